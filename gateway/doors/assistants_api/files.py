"""Files, `/v1/files`: a customer's own, and those that a client gives to all of its customers to read.

As with assistants, a client's own token (`sub` is the client, scope `assistants`) brings what every customer of the client may read; a
customer's token (scope `threads`) brings what nobody else sees.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, ExitStack, aclosing
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Annotated, Literal, TypeVar
from urllib.parse import quote

from fastapi import Depends, FastAPI, Query, Request, Response
from pydantic import BaseModel
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import SCOPE_ASSISTANTS, SCOPE_THREADS, Principal
from gateway.domain.strict_json import MAX_DEPTH, JsonError, loads
from gateway.doors.assistants_api.api import Api, Deleted, JsonAnswer, ObjectPage, listed, maker_of, missing, responses_of
from gateway.doors.assistants_api.common_schemas import Id
from gateway.doors.assistants_api.schemas import ExpiresAfter, NewFile
from gateway.doors.bodies import QUOTA, UNKEPT, json_answer
from gateway.doors.faults import too_often
from gateway.doors.multipart import FIELD_BYTES_MOST, NAME_MOST, Multipart
from gateway.doors.rest import Door
from gateway.doors.schemas import multipart_body_of
from gateway.doors.validation import validated
from gateway.files.keeping import ContentRefused, ContentTooLarge, FileKeeper
from gateway.runs import objects
from gateway.runs.objects import new_id
from gateway.store import files
from gateway.store.assistants import Maker
from gateway.store.files import DeleteFile, FilesMost, StoredContent, StoredFile, TooManyFiles
from gateway.store.pages import PageRequest

LISTED_MOST = 10_000

_Form = TypeVar("_Form", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesApi:
    """`file_most`: bytes of one file. `most`: what one owner may keep."""

    api: Api
    keeper: FileKeeper
    file_most: int
    most: FilesMost

    async def looked_at(self, content: StoredContent) -> None:
        """RequestFault FILE_REFUSED; nothing is kept then."""
        try:
            await self.keeper.looked_at(content)
        except ContentRefused:
            raise RequestFault(
                Fault.FILE_REFUSED, "the file was refused by the scan of files; nothing was kept", param="file"
            ) from None

    async def uploaded(
        self, request: Request, owner: Maker, part: str, model: type[_Form], most: int
    ) -> tuple[_Form, str, StoredContent]:
        """What a form brings: its fields, and the name and the content of its file, which is kept. RequestFault; nothing is kept then."""
        form, fields = Multipart(request), dict[str, object]()
        content, name = None, ""
        async with AsyncExitStack() as kept:
            async for item in form.parts():
                if item.name == part and content is None:
                    name = (item.filename or part)[:NAME_MOST]
                    content = await self.in_storage(owner, form.content(), name, most)
                    await kept.enter_async_context(self.keeper.kept_if_well(content.name))
                else:
                    fields[item.name] = await form.text()
            given = validated(model, unflattened(fields))
            if content is None:
                raise RequestFault(Fault.INVALID_REQUEST, f"{part}: is missing: it is the part with the file", param=part)
            if (spend := request.scope.get(QUOTA)) is not None:
                spend(content.size)
        return given, name, content

    async def in_storage(self, owner: Maker, parts: AsyncIterator[bytes], name: str, most: int) -> StoredContent:
        """Kept, and not looked at. RequestFault."""
        try:
            return await self.keeper.keep(owner, parts, name=name, most=most)
        except ContentTooLarge:
            raise RequestFault(Fault.TOO_LARGE, f"the file has more than {most} bytes", param="file") from None

    async def added(self, door: Door, principal: Principal, file: StoredFile) -> StoredFile:
        """On record, then the owner's: see `FileKeeper.added`. RequestFault FILES_FULL; nothing is kept then."""
        await door.records.file(file, "kept", principal.client, door.clock())
        try:
            return await self.keeper.added(file, self.most)
        except TooManyFiles:
            raise too_many(self.most) from None


@dataclass(frozen=True, slots=True)
class FilesWanted:
    """A page of files. `purpose` None: of any."""

    page: PageRequest
    purpose: str | None


def too_many(most: FilesMost) -> RequestFault:
    return RequestFault(
        Fault.FILES_FULL, f"at most {most.count} files with {most.size} bytes together are kept: delete some that are not needed"
    )


def file_page_of(
    limit: Annotated[int, Query(ge=1, le=LISTED_MOST)] = LISTED_MOST,
    order: Literal["asc", "desc"] = "desc",
    after: Annotated[str | None, Query(max_length=64)] = None,
    purpose: Annotated[str | None, Query(max_length=32)] = None,
) -> FilesWanted:
    """The parameters of the list of files."""
    return FilesWanted(PageRequest(limit, order == "asc", after or None), purpose)


def mount(app: FastAPI, door: Door, api: FilesApi) -> None:
    """Put these routes into the application."""

    @app.post("/v1/files", responses=responses_of(JsonAnswer), openapi_extra=multipart_body_of(NewFile, "file"))
    async def create_file(request: Request) -> Response:
        """Upload a file.

        It is sealed under the key of whose it is, and looked at before anything reads it.
        """
        return await door.answer(request, partial(_create, api), SCOPE_ASSISTANTS, SCOPE_THREADS)

    @app.get("/v1/files", responses=responses_of(ObjectPage))
    async def list_files(request: Request, wanted: Annotated[FilesWanted, Depends(file_page_of)]) -> Response:
        """List the customer's files, and those of the client."""
        return await door.answer(request, partial(_list, api, wanted), SCOPE_ASSISTANTS, SCOPE_THREADS)

    @app.get("/v1/files/{file_id}", responses=responses_of(JsonAnswer))
    async def get_file(request: Request, file_id: Id) -> Response:
        """Read what a file is."""
        return await door.answer(request, partial(_get, api, file_id), SCOPE_ASSISTANTS, SCOPE_THREADS)

    @app.delete("/v1/files/{file_id}", responses=responses_of(Deleted))
    async def delete_file(request: Request, file_id: Id) -> Response:
        """Delete a file."""
        return await door.answer(request, partial(_delete, api, file_id), SCOPE_ASSISTANTS, SCOPE_THREADS)

    @app.get("/v1/files/{file_id}/content", responses=responses_of(JsonAnswer) | _BYTES, response_class=Response)
    async def get_file_content(request: Request, file_id: Id) -> Response:
        """Download what is in a file."""
        return await door.answer(request, partial(_content, api, file_id), SCOPE_ASSISTANTS, SCOPE_THREADS)


_BYTES: dict[int | str, dict[str, object]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}, "description": "The bytes"}
}


def lasts(expires_after: ExpiresAfter | None) -> timedelta | None:
    return None if expires_after is None else timedelta(seconds=expires_after.seconds)


def new_file(content: StoredContent, purpose: str, name: str, kept_for: timedelta | None) -> StoredFile:
    """Of its owner, under an id of its own. `kept_for` None: for good."""
    expires = None if kept_for is None else content.created + kept_for
    return StoredFile(new_id("file"), content.owner, content.created, purpose, name, expires, content)


async def _create(api: FilesApi, door: Door, request: Request, principal: Principal) -> Response:
    api.api.bounded(door, principal)
    owner = maker_of(principal)
    given, name, content = await api.uploaded(request, owner, "file", NewFile, api.file_most)
    await api.looked_at(content)
    file = new_file(content, given.purpose, name, lasts(given.expires_after))
    return json_answer(objects.file(await api.added(door, principal, file)))


async def _list(api: FilesApi, wanted: FilesWanted, door: Door, _request: Request, principal: Principal) -> Response:
    who, at = maker_of(principal), door.clock()
    return await listed(
        api.api, lambda connection: files.page_of_files(connection, who, wanted.page, wanted.purpose, at), objects.file
    )


async def _get(api: FilesApi, id_: str, door: Door, _request: Request, principal: Principal) -> Response:
    return json_answer(objects.file(await file_of(api, door, principal, id_)))


async def _delete(api: FilesApi, id_: str, door: Door, _request: Request, principal: Principal) -> Response:
    owner = maker_of(principal)
    file = await file_of(api, door, principal, id_)
    if file.owner != owner:
        raise RequestFault(Fault.INSUFFICIENT_SCOPE, "this file is the client's: only a token of the client itself deletes it")
    await door.records.file(file, "deleted", principal.client, door.clock())
    gone = await api.api.book.write(DeleteFile(owner, id_))
    if gone is None:
        raise missing("file")
    await api.keeper.forget(gone)
    return json_answer(objects.deleted(id_, "file"))


async def _content(api: FilesApi, id_: str, door: Door, _request: Request, principal: Principal) -> Response:
    file = await file_of(api, door, principal, id_)
    with ExitStack() as held:
        if not held.enter_context(door.waits.one(principal.customer)):
            raise too_often()
        await door.records.file(file, "read", principal.client, door.clock())
        parts = api.keeper.read(file.content)
        first = await anext(parts, b"")  # what cannot be read at all gets another status
        return Downloaded(first, parts, _headers(file), held.pop_all())


def _headers(file: StoredFile) -> dict[str, str]:
    return {
        **UNKEPT,
        "content-length": str(file.content.size),
        "content-disposition": f"attachment; filename*=UTF-8''{quote(file.name, safe='')}",
        "x-content-type-options": "nosniff",
    }


class Downloaded(StreamingResponse):
    """The bytes of a file, of which the first are read already; `held` until they have gone out, or nobody listens any more."""

    def __init__(self, first: bytes, parts: AsyncGenerator[bytes, None], headers: Mapping[str, str], held: ExitStack) -> None:
        super().__init__(self._bytes(first, parts), media_type="application/octet-stream", headers=headers)
        self._held, self._parts = held, parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            async with aclosing(self._parts):
                await super().__call__(scope, receive, send)

    @staticmethod
    async def _bytes(first: bytes, parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        yield first
        async for part in parts:
            yield part


async def file_of(api: FilesApi, door: Door, principal: Principal, id_: str) -> StoredFile:
    """A file that this one may read. RequestFault NOT_FOUND."""
    file = await api.api.book.read(lambda connection: files.find_file(connection, maker_of(principal), id_, door.clock()))
    if file is None:
        raise missing("file")
    return file


def unflattened(fields: Mapping[str, object]) -> dict[str, object]:
    """What is nested in fields of a form: `expires_after[seconds]`, as clients of this API say it, or JSON, as OpenAPI has it."""
    found: dict[str, object] = {}
    for name, value in fields.items():
        outer, bracket, rest = name.partition("[")
        inner = found.setdefault(outer, {}) if bracket else None
        if isinstance(inner, dict):
            inner[rest.removesuffix("]")] = int(value) if isinstance(value, str) and value.isdecimal() else value
        else:
            found[name] = _json(value) if isinstance(value, str) and value.startswith("{") else value
    return found


def _json(value: str) -> object:
    try:
        return loads(value.encode(), max_bytes=FIELD_BYTES_MOST, max_depth=MAX_DEPTH)
    except JsonError:
        return value
