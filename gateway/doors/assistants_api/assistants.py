"""Assistants, `/v1/assistants`. Each belongs to who made it with the scope `assistants`, and nobody else changes it.

A client's own token (`sub` is the client) makes those that every customer of the client sees, with the scope `threads` too. A customer's
token makes some that this customer alone sees, for clients that use one token for everything.
"""

from functools import partial
from hashlib import sha256
from typing import Annotated, Any

import orjson
from fastapi import Depends, FastAPI, Request, Response

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import SCOPE_ASSISTANTS, SCOPE_THREADS, Principal
from gateway.doors.assistants_api.api import (
    Api,
    Deleted,
    JsonAnswer,
    ObjectPage,
    body_as,
    listed,
    maker_of,
    metadata_of,
    missing,
    page_of,
    plain,
    responses_of,
)
from gateway.doors.assistants_api.common_schemas import Id
from gateway.doors.assistants_api.resources import RESOURCES, asked_of_assistant, tools_checked
from gateway.doors.assistants_api.schemas import ChangedAssistant, NewAssistant
from gateway.doors.bodies import json_answer
from gateway.doors.rest import Door
from gateway.doors.schemas import body_of
from gateway.runs import objects
from gateway.runs.objects import ASSISTANT_FIELDS, new_id
from gateway.store import assistants
from gateway.store.assistants import Assistant, ChangeAssistant, CreateAssistant, DeleteAssistant
from gateway.store.attaching import CreateAssistantWithStore
from gateway.store.pages import PageRequest

_FALSY_MODEL = "model: must not be null"


def mount(app: FastAPI, door: Door, api: Api) -> None:
    """Put these routes into the application."""

    @app.post("/v1/assistants", responses=responses_of(JsonAnswer), openapi_extra=body_of(NewAssistant))
    async def create_assistant(request: Request) -> Response:
        """Create an assistant.

        A model, its instructions, the functions that it may call, and the files that its tools may use. A client's names the client's own:
        all of its customers read them.
        """
        return await door.answer(request, partial(_create, api), SCOPE_ASSISTANTS)

    @app.get("/v1/assistants", responses=responses_of(ObjectPage))
    async def list_assistants(request: Request, page: Annotated[PageRequest, Depends(page_of)]) -> Response:
        """List the assistants of the client, and the customer's own."""
        return await door.answer(request, partial(_list, api, page), SCOPE_ASSISTANTS, SCOPE_THREADS)

    @app.get("/v1/assistants/{assistant_id}", responses=responses_of(JsonAnswer))
    async def get_assistant(request: Request, assistant_id: Id) -> Response:
        """Read an assistant."""
        return await door.answer(request, partial(_get, api, assistant_id), SCOPE_ASSISTANTS, SCOPE_THREADS)

    @app.post("/v1/assistants/{assistant_id}", responses=responses_of(JsonAnswer), openapi_extra=body_of(ChangedAssistant))
    async def update_assistant(request: Request, assistant_id: Id) -> Response:
        """Change an assistant.

        Runs that began before go on as they were.
        """
        return await door.answer(request, partial(_change, api, assistant_id), SCOPE_ASSISTANTS)

    @app.delete("/v1/assistants/{assistant_id}", responses=responses_of(Deleted))
    async def delete_assistant(request: Request, assistant_id: Id) -> Response:
        """Delete an assistant."""
        return await door.answer(request, partial(_delete, api, assistant_id), SCOPE_ASSISTANTS)


async def _create(api: Api, door: Door, request: Request, principal: Principal) -> Response:
    api.bounded(door, principal)
    new_assistant = await body_as(NewAssistant, request)
    tools_checked(api, new_assistant.tools)
    given, asked = plain(new_assistant), await asked_of_assistant(api, door, principal, new_assistant.tool_resources)
    body = {**ASSISTANT_FIELDS, **{name: given[name] for name in ASSISTANT_FIELDS if name in given}}
    body[RESOURCES] = asked.resources or None
    made = Assistant(new_id("asst"), maker_of(principal), door.clock(), body, metadata_of(new_assistant.metadata))
    await _recorded(door, principal, made.id, "made", body)
    await asked.written(
        api, CreateAssistant(made) if asked.attachments is None else CreateAssistantWithStore(made, asked.attachments)
    )
    return json_answer(objects.assistant(made))


async def _list(api: Api, page: PageRequest, _door: Door, _request: Request, principal: Principal) -> Response:
    return await listed(api, lambda connection: assistants.page(connection, maker_of(principal), page), objects.assistant)


async def _get(api: Api, id_: str, _door: Door, _request: Request, principal: Principal) -> Response:
    return json_answer(objects.assistant(await assistant_of(api, principal, id_)))


async def _change(api: Api, id_: str, door: Door, request: Request, principal: Principal) -> Response:
    api.bounded(door, principal)
    wanted = await body_as(ChangedAssistant, request)
    tools_checked(api, wanted.tools or [])
    given = plain(wanted)
    if "model" in given and given["model"] is None:
        raise RequestFault(Fault.INVALID_REQUEST, _FALSY_MODEL, param="model")
    await _own(api, principal, id_)
    changes = {name: given[name] for name in ASSISTANT_FIELDS if name in given}
    if RESOURCES in changes:
        changes[RESOURCES] = (await asked_of_assistant(api, door, principal, wanted.tool_resources)).resources
    if changes.get("tools", ()) is None:
        changes["tools"] = []
    await _recorded(door, principal, id_, "changed", changes)
    metadata = metadata_of(wanted.metadata) if "metadata" in given else None
    changed = await api.book.write(ChangeAssistant(maker_of(principal), id_, changes, metadata))
    if changed is None:
        raise missing("assistant")
    return json_answer(objects.assistant(changed))


async def _delete(api: Api, id_: str, door: Door, _request: Request, principal: Principal) -> Response:
    await _own(api, principal, id_)
    await _recorded(door, principal, id_, "dropped", {})
    if await api.book.write(DeleteAssistant(maker_of(principal), id_)) is None:
        raise missing("assistant")
    return json_answer(objects.deleted(id_, "assistant.deleted"))


async def assistant_of(api: Api, principal: Principal, id_: str) -> Assistant:
    """An assistant of the client that the token was given to, or of the customer by that client. RequestFault NOT_FOUND."""
    assistant = await api.book.read(lambda connection: assistants.find(connection, maker_of(principal), id_))
    if assistant is None:
        raise missing("assistant")
    return assistant


async def _own(api: Api, principal: Principal, id_: str) -> None:
    """RequestFault: NOT_FOUND; INSUFFICIENT_SCOPE for one that the client made for all its customers."""
    if (await assistant_of(api, principal, id_)).maker != maker_of(principal):
        raise RequestFault(Fault.INSUFFICIENT_SCOPE, "this assistant is the client's: only a token of the client itself changes it")


async def _recorded(door: Door, principal: Principal, id_: str, word: str, body: dict[str, Any]) -> None:
    """First on record, then done: what an assistant is told decides what it tries."""
    digest = sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
    await door.records.assistant(id_, word, principal.client, digest, door.clock())
