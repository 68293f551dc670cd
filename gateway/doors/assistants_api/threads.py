"""Threads and messages, `/v1/threads`: the customer's own, or of an agent that acts for them, with a token of the scope `threads`.

A user's message under the customer's own token, which also has the scope `customer_words`, is the customer's word; nothing else is.
"""

from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, Query, Request, Response

from gateway.calls.hearing import heard
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import SCOPE_THREADS, SCOPE_WORDS, Principal
from gateway.domain.strict_json import Json
from gateway.doors.assistants_api.api import (
    Api,
    Deleted,
    JsonAnswer,
    ObjectPage,
    body_as,
    listed,
    metadata_of,
    missing,
    page_of,
    plain,
    responses_of,
)
from gateway.doors.assistants_api.common_schemas import Id
from gateway.doors.assistants_api.resources import AskedResources, asked_of_messages, asked_of_thread, attachments_body
from gateway.doors.assistants_api.schemas import ChangedThread, ImageContent, ImageFileContent, Labels, NewMessage, NewThread
from gateway.doors.bodies import json_answer
from gateway.doors.rest import Door
from gateway.doors.schemas import body_of
from gateway.runs import objects
from gateway.runs.objects import MESSAGE_FIELDS, new_id, seconds
from gateway.store import threads
from gateway.store.assistants import Metadata
from gateway.store.pages import PageRequest
from gateway.store.threads import (
    AddMessage,
    ChangeThread,
    CreateThread,
    DeleteMessage,
    DeleteThread,
    Message,
    SetMetadata,
    Thread,
    WriteAnswer,
)

ORIGIN = "tellergate.origin"
"""Key of a message's metadata: `typed`, `pasted` or `document`."""

TYPED = "typed"
_ORIGINS = (TYPED, "pasted", "document")


def mount(app: FastAPI, door: Door, api: Api) -> None:
    """Put these routes into the application."""
    _mount_threads(app, door, api)
    _mount_messages(app, door, api)


def _mount_threads(app: FastAPI, door: Door, api: Api) -> None:
    @app.post("/v1/threads", responses=responses_of(JsonAnswer), openapi_extra=body_of(NewThread))
    async def create_thread(request: Request) -> Response:
        """Create a thread.

        Each thread has a conversation of its own.
        """
        return await door.answer(request, partial(_create, api), SCOPE_THREADS)

    @app.get("/v1/threads/{thread_id}", responses=responses_of(JsonAnswer))
    async def get_thread(request: Request, thread_id: Id) -> Response:
        """Read a thread."""
        return await door.answer(request, partial(_get, api, thread_id), SCOPE_THREADS)

    @app.post("/v1/threads/{thread_id}", responses=responses_of(JsonAnswer), openapi_extra=body_of(ChangedThread))
    async def update_thread(request: Request, thread_id: Id) -> Response:
        """Change a thread's metadata, or what its tools may use."""
        return await door.answer(request, partial(_change, api, thread_id), SCOPE_THREADS)

    @app.delete("/v1/threads/{thread_id}", responses=responses_of(Deleted))
    async def delete_thread(request: Request, thread_id: Id) -> Response:
        """Delete a thread with all that is in it.

        A run that is under way is given up; what it has done at the bank stays done, and on record. A thread in which the customer said
        something is theirs to delete, with their own token (scopes `threads` and `customer_words`, no agent).
        """
        return await door.answer(request, partial(_delete, api, thread_id), SCOPE_THREADS)


def _mount_messages(app: FastAPI, door: Door, api: Api) -> None:
    @app.post("/v1/threads/{thread_id}/messages", responses=responses_of(JsonAnswer), openapi_extra=body_of(NewMessage))
    async def create_message(request: Request, thread_id: Id) -> Response:
        """Add a message to a thread.

        Under the customer's own token it counts as the customer's words. Refused while a run of the thread is active.
        """
        return await door.answer(request, partial(_write, api, thread_id), SCOPE_THREADS)

    @app.get("/v1/threads/{thread_id}/messages", responses=responses_of(ObjectPage))
    async def list_messages(
        request: Request,
        thread_id: Id,
        page: Annotated[PageRequest, Depends(page_of)],
        run_id: Annotated[str | None, Query(max_length=64)] = None,
    ) -> Response:
        """List the messages of a thread."""
        return await door.answer(request, partial(_list, api, thread_id, page, run_id), SCOPE_THREADS)

    @app.get("/v1/threads/{thread_id}/messages/{message_id}", responses=responses_of(JsonAnswer))
    async def get_message(request: Request, thread_id: Id, message_id: Id) -> Response:
        """Read a message."""
        return await door.answer(request, partial(_message, api, thread_id, message_id), SCOPE_THREADS)

    @app.post("/v1/threads/{thread_id}/messages/{message_id}", responses=responses_of(JsonAnswer), openapi_extra=body_of(Labels))
    async def update_message(request: Request, thread_id: Id, message_id: Id) -> Response:
        """Change a message's metadata.

        That of what the customer said is theirs to change, with their own token (scopes `threads` and `customer_words`, no agent).
        """
        return await door.answer(request, partial(_label, api, thread_id, message_id), SCOPE_THREADS)

    @app.delete("/v1/threads/{thread_id}/messages/{message_id}", responses=responses_of(Deleted))
    async def delete_message(request: Request, thread_id: Id, message_id: Id) -> Response:
        """Delete a message.

        What the customer said is theirs to delete, with their own token (scopes `threads` and `customer_words`, no agent): it counts as
        taken back.
        """
        return await door.answer(request, partial(_remove, api, thread_id, message_id), SCOPE_THREADS)


async def _create(api: Api, door: Door, request: Request, principal: Principal) -> Response:
    api.bounded(door, principal)
    opening, asked = await opening_of(api, door, principal, await body_as(NewThread, request))
    thread = await asked.written(api, opening)
    if thread is None:
        raise missing("conversation")
    return json_answer(objects.thread(thread))


async def opening_of(
    api: Api, door: Door, principal: Principal, new_thread: NewThread, inside: str = ""
) -> tuple[CreateThread, AskedResources]:
    """`inside`: where in the body the thread is. RequestFault."""
    asked = await asked_of_messages(
        api, door, principal, new_thread.messages, inside=f"{inside}messages[{{}}].", given=new_thread.tool_resources
    )
    opening = CreateThread(
        new_id("thread"),
        principal.customer,
        door.clock(),
        metadata_of(new_thread.metadata),
        await adding_of(api, door, principal, new_thread.messages),
        asked.resources or None,
        asked.attachments,
    )
    return opening, asked


async def _get(api: Api, id_: str, _door: Door, _request: Request, principal: Principal) -> Response:
    return json_answer(objects.thread(await thread_of(api, principal, id_)))


async def _change(api: Api, id_: str, door: Door, request: Request, principal: Principal) -> Response:
    api.bounded(door, principal)
    wanted = await body_as(ChangedThread, request)
    changes: dict[str, Any] = {}
    if "metadata" in wanted.model_fields_set:
        changes["metadata"] = metadata_of(wanted.metadata)
    if "tool_resources" in wanted.model_fields_set:
        changes["resources"] = (await asked_of_thread(api, door, principal, wanted.tool_resources)).resources
    changed = await api.book.write(ChangeThread(principal.customer, id_, changes))
    if changed is None:
        raise missing("thread")
    return json_answer(objects.thread(changed))


async def _delete(api: Api, id_: str, _door: Door, _request: Request, principal: Principal) -> Response:
    _deleted(await api.book.write(DeleteThread(principal.customer, id_, _speaks(principal))), "thread")
    return json_answer(objects.deleted(id_, "thread.deleted"))


async def _write(api: Api, id_: str, door: Door, request: Request, principal: Principal) -> Response:
    api.bounded(door, principal)
    new_messages = [await body_as(NewMessage, request)]
    asked = await asked_of_messages(api, door, principal, new_messages, inside="")
    messages = await adding_of(api, door, principal, new_messages)
    written = await asked.written(api, WriteAnswer(id_, principal.customer, door.clock(), messages, asked.attachments))
    if isinstance(written, str):
        message = f"Can't add messages to {id_} while a run {written} is active."
        raise RequestFault(Fault.THREAD_HAS_ACTIVE_RUN, message)
    if written is None:
        raise missing("thread")
    return json_answer(objects.message(written[0]))


async def _list(api: Api, id_: str, page: PageRequest, run: str | None, *rest: Any) -> Response:
    await thread_of(api, rest[-1], id_)
    return await listed(api, lambda connection: threads.messages(connection, id_, run, page), objects.message)


async def _message(api: Api, thread: str, id_: str, *rest: Any) -> Response:
    return json_answer(objects.message(await _found(api, rest[-1], thread, id_)))


async def _label(api: Api, thread: str, id_: str, *rest: Any) -> Response:
    door, request, principal = rest
    api.bounded(door, principal)
    labels = await body_as(Labels, request)
    found = await _found(api, principal, thread, id_)
    if found.is_word and not _speaks(principal):
        message = f"the customer said this: only their own token, with {SCOPE_WORDS} and no agent, changes its metadata"
        raise RequestFault(Fault.INSUFFICIENT_SCOPE, message)
    if "metadata" in plain(labels):
        metadata = _with_origin(found, metadata_of(labels.metadata))
        await labelled(api, SetMetadata(principal.customer, thread, "messages", id_, metadata))
    return json_answer(objects.message(await _found(api, principal, thread, id_)))


async def _remove(api: Api, thread: str, id_: str, *rest: Any) -> Response:
    principal: Principal = rest[-1]
    _deleted(await api.book.write(DeleteMessage(principal.customer, thread, id_, _speaks(principal))), "message")
    return json_answer(objects.deleted(id_, "thread.message.deleted"))


def _deleted(outcome: bool | None, what: str) -> None:
    """RequestFault NOT_FOUND; INSUFFICIENT_SCOPE where the customer's words are in it, and somebody else asks."""
    if outcome is None:
        raise missing(what)
    if not outcome:
        message = f"this {what} holds what the customer said: only their own token, with {SCOPE_WORDS} and no agent, deletes it"
        raise RequestFault(Fault.INSUFFICIENT_SCOPE, message)


def _speaks(principal: Principal) -> bool:
    """Whether this is the customer themselves: what they write is their word, and theirs to delete."""
    return principal.agent is None and SCOPE_WORDS in principal.scopes


async def labelled(api: Api, item: SetMetadata) -> None:
    """Put this metadata in the place of the earlier one. RequestFault NOT_FOUND."""
    if await api.book.write(item) is None:
        raise missing("thread")


async def thread_of(api: Api, principal: Principal, id_: str) -> Thread:
    """A thread of this customer. RequestFault NOT_FOUND."""
    thread = await api.book.read(lambda connection: threads.find(connection, principal.customer, id_))
    if thread is None:
        raise missing("thread")
    return thread


async def _found(api: Api, principal: Principal, thread: str, id_: str) -> Message:
    await thread_of(api, principal, thread)
    message = await api.book.read(lambda connection: threads.message(connection, thread, id_))
    if message is None:
        raise missing("message")
    return message


def _with_origin(message: Message, metadata: Metadata) -> Metadata:
    """New metadata of a message. Where the customer's words come from was said with them and stays: RequestFault for another origin."""
    if not message.is_word:
        return metadata
    origin = message.metadata.get(ORIGIN)
    if metadata.get(ORIGIN, origin or TYPED) != (origin or TYPED):
        raise RequestFault(Fault.INVALID_REQUEST, f"metadata: {ORIGIN} of what the customer said stays as it is", param="metadata")
    return {**metadata, ORIGIN: origin} if origin else metadata


async def adding_of(api: Api, door: Door, principal: Principal, new_messages: list[NewMessage]) -> tuple[AddMessage, ...]:
    """Messages as they are kept, and what of them the customer said. RequestFault."""
    return tuple([await _adding(api, door, principal, new_message) for new_message in new_messages])


async def _adding(api: Api, door: Door, principal: Principal, new_message: NewMessage) -> AddMessage:
    metadata = metadata_of(new_message.metadata)
    origin = metadata.get(ORIGIN, TYPED)
    if origin not in _ORIGINS:
        raise RequestFault(Fault.INVALID_REQUEST, f"metadata: {ORIGIN} must be one of {', '.join(_ORIGINS)}", param="metadata")
    parts = [new_message.content] if isinstance(new_message.content, str) else list(new_message.content)
    content: list[Json] = []
    texts: list[str] = []
    for part in parts:
        if isinstance(part, ImageContent):
            _allowed(api, part)
            content.append({"type": "image_url", "image_url": {"url": part.image_url.url, "detail": part.image_url.detail}})
        elif isinstance(part, ImageFileContent):
            await _seen(api, principal, part)
            content.append({"type": "image_file", "image_file": part.image_file.model_dump()})
        else:
            texts.append(part if isinstance(part, str) else part.text)
            content += objects.text_content(texts[-1])
    is_own = _speaks(principal) and new_message.role == "user"
    said = await heard(principal.customer, [("\n".join(texts), origin)]) if is_own and texts else (None,)
    body: dict[str, Any] = {**MESSAGE_FIELDS, "role": new_message.role, "content": content, "completed_at": seconds(door.clock())}
    body["attachments"] = attachments_body(new_message)
    return AddMessage(
        id=new_id("msg"),
        body=body,
        metadata=metadata,
        said=said[0],
        foreign=not is_own or len(texts) < len(parts),
    )


async def _seen(api: Api, principal: Principal, part: ImageFileContent) -> None:
    """RequestFault for a file that is none of theirs, or no image."""
    is_image = await api.images.is_image(principal.client, principal.customer, part.image_file.file_id)
    if is_image is None:
        raise RequestFault(Fault.NOT_FOUND, "no such file", param="content")
    if not is_image:
        raise RequestFault(Fault.INVALID_REQUEST, "image_file: must be a PNG, JPEG, GIF or WebP of at most 8 MiB", param="content")


def _allowed(api: Api, part: ImageContent) -> None:
    url = urlsplit(part.image_url.url)
    if url.scheme != "data" and not (url.hostname in api.hosts and url.port is None and url.username is None):
        raise RequestFault(
            Fault.UNSUPPORTED, "image_url: must be a data: URL, or lie on a host that the bank allows", param="content"
        )
