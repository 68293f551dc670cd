"""The files of a vector store, one by one and in batches: `/v1/vector_stores/{id}/files` and `/file_batches`."""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request, Response

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import SCOPE_ASSISTANTS, SCOPE_THREADS, Principal
from gateway.domain.states import IndexState
from gateway.doors.assistants_api import vector_objects
from gateway.doors.assistants_api.api import (
    Deleted,
    JsonAnswer,
    ObjectPage,
    body_as,
    listed,
    maker_of,
    missing,
    page_of,
    responses_of,
)
from gateway.doors.assistants_api.common_schemas import Id
from gateway.doors.assistants_api.files import file_of
from gateway.doors.assistants_api.resources import chunking_of
from gateway.doors.assistants_api.vector_schemas import ChangedVectorStoreFile, ContentAnswer, NewFileBatch, NewVectorStoreFile
from gateway.doors.assistants_api.vector_stores import POLL_AFTER, VectorsApi, attributes_of
from gateway.doors.bodies import json_answer
from gateway.doors.rest import Door
from gateway.doors.schemas import body_of
from gateway.files.searching import texts_of
from gateway.runs import objects
from gateway.runs.objects import new_id
from gateway.store import vector_files, vectors
from gateway.store.pages import PageRequest
from gateway.store.vector_files import (
    AttachFiles,
    CancelBatch,
    ChangeAttributes,
    DetachFile,
    EntriesWanted,
    NewEntry,
    StoredBatch,
    VectorFile,
)
from gateway.store.vector_index import chunks_of
from gateway.store.vectors import IndexedCounts

_STORE = "/v1/vector_stores/{vector_store_id}"
_FILE = f"{_STORE}/files/{{file_id}}"
_BATCH = f"{_STORE}/file_batches/{{batch_id}}"


@dataclass(frozen=True, slots=True)
class _Called:
    """A request, by whom, about which store."""

    api: VectorsApi
    store: str
    door: Door
    request: Request
    principal: Principal

    def bounded(self) -> None:
        self.api.files.api.bounded(self.door, self.principal)


def wanted_of(
    page: Annotated[PageRequest, Depends(page_of)],
    filter: Annotated[IndexState | None, Query()] = None,  # noqa: A002  # the API's name
) -> EntriesWanted:
    """The parameters of a list of files in a store."""
    return EntriesWanted(page, None, filter)


Wanted = Annotated[EntriesWanted, Depends(wanted_of)]


def mount(app: FastAPI, door: Door, api: VectorsApi) -> None:
    """Put these routes into the application."""
    _mount_files(app, door, api)
    _mount_batches(app, door, api)


async def _answer(door: Door, api: VectorsApi, request: Request, what: Any, *which: Any) -> Response:
    """`what` answers, about the store that is first of `which`."""
    store, *rest = which

    async def handled(door: Door, request: Request, principal: Principal) -> Response:
        answered: Response = await what(_Called(api, store, door, request, principal), *rest)
        return answered

    return await door.answer(request, handled, SCOPE_ASSISTANTS, SCOPE_THREADS)


def _mount_files(app: FastAPI, door: Door, api: VectorsApi) -> None:
    answer = partial(_answer, door, api)

    @app.post(f"{_STORE}/files", responses=responses_of(JsonAnswer), openapi_extra=body_of(NewVectorStoreFile))
    async def create_vector_store_file(request: Request, vector_store_id: Id) -> Response:
        """Put a file into a vector store.

        It is indexed in the background; one that is there already is indexed anew.
        """
        return await answer(request, _attach, vector_store_id)

    @app.get(f"{_STORE}/files", responses=responses_of(ObjectPage))
    async def list_vector_store_files(request: Request, vector_store_id: Id, wanted: Wanted) -> Response:
        """List the files of a vector store."""
        return await answer(request, _list, vector_store_id, wanted)

    @app.get(_FILE, responses=responses_of(JsonAnswer))
    async def get_vector_store_file(request: Request, vector_store_id: Id, file_id: Id) -> Response:
        """Read how far a file is indexed, and why not."""
        return await answer(request, _get, vector_store_id, file_id)

    @app.post(_FILE, responses=responses_of(JsonAnswer), openapi_extra=body_of(ChangedVectorStoreFile))
    async def update_vector_store_file(request: Request, vector_store_id: Id, file_id: Id) -> Response:
        """Replace the attributes of a file in a vector store."""
        return await answer(request, _change, vector_store_id, file_id)

    @app.delete(_FILE, responses=responses_of(Deleted))
    async def delete_vector_store_file(request: Request, vector_store_id: Id, file_id: Id) -> Response:
        """Take a file out of a vector store.

        The file itself stays.
        """
        return await answer(request, _detach, vector_store_id, file_id)

    @app.get(f"{_FILE}/content", responses=responses_of(ContentAnswer))
    async def get_vector_store_file_content(request: Request, vector_store_id: Id, file_id: Id) -> Response:
        """Read the text that was found in a file."""
        return await answer(request, _content, vector_store_id, file_id)


def _mount_batches(app: FastAPI, door: Door, api: VectorsApi) -> None:
    answer = partial(_answer, door, api)

    @app.post(f"{_STORE}/file_batches", responses=responses_of(JsonAnswer), openapi_extra=body_of(NewFileBatch))
    async def create_file_batch(request: Request, vector_store_id: Id) -> Response:
        """Put many files into a vector store at once."""
        return await answer(request, _attach_many, vector_store_id)

    @app.get(_BATCH, responses=responses_of(JsonAnswer))
    async def get_file_batch(request: Request, vector_store_id: Id, batch_id: Id) -> Response:
        """Read how far a batch is indexed."""
        return await answer(request, _get_batch, vector_store_id, batch_id)

    @app.post(f"{_BATCH}/cancel", responses=responses_of(JsonAnswer))
    async def cancel_file_batch(request: Request, vector_store_id: Id, batch_id: Id) -> Response:
        """Cancel what of a batch is not indexed yet."""
        return await answer(request, _cancel, vector_store_id, batch_id)

    @app.get(f"{_BATCH}/files", responses=responses_of(ObjectPage))
    async def list_file_batch_files(request: Request, vector_store_id: Id, batch_id: Id, wanted: Wanted) -> Response:
        """List the files of a batch."""
        return await answer(request, _list_batch, vector_store_id, batch_id, wanted)


async def _attach(called: _Called) -> Response:
    called.bounded()
    given = await body_as(NewVectorStoreFile, called.request)
    (file,) = await _attached(called, [given], "file_id")
    return json_answer(vector_objects.vector_file(file), POLL_AFTER)


async def _attach_many(called: _Called) -> Response:
    called.bounded()
    given = await body_as(NewFileBatch, called.request)
    of_all = (given.attributes, given.chunking_strategy)
    files = given.files or [
        NewVectorStoreFile(file_id=file, attributes=of_all[0], chunking_strategy=of_all[1]) for file in given.file_ids or []
    ]
    batch = new_id("vsfb")
    await _attached(called, files, "file_ids[{}]" if given.files is None else "files[{}].file_id", batch)
    return json_answer(vector_objects.file_batch(*await _batch(called, batch)), POLL_AFTER)


async def _attached(called: _Called, files: list[NewVectorStoreFile], param: str, batch: str | None = None) -> list[VectorFile]:
    if len({file.file_id for file in files}) < len(files):
        raise RequestFault(Fault.INVALID_REQUEST, "a file is named twice", param=param.split("[", maxsplit=1)[0])
    store = await called.api.own(called.principal, called.store)
    entries = tuple(NewEntry(file.file_id, attributes_of(file.attributes), chunking_of(file.chunking_strategy)) for file in files)
    attaching = AttachFiles(store.owner, store.id, entries, called.door.clock(), called.api.most, batch)
    return await called.api.attached(attaching, param)


async def _list(called: _Called, wanted: EntriesWanted) -> Response:
    await called.api.seen(called.principal, called.store)
    return await listed(
        called.api.files.api,
        lambda connection: vector_files.page_of_files(connection, maker_of(called.principal), called.store, wanted),
        vector_objects.vector_file,
    )


async def _get(called: _Called, file: str) -> Response:
    return json_answer(vector_objects.vector_file(await _found(called, file)), POLL_AFTER)


async def _change(called: _Called, file: str) -> Response:
    called.bounded()
    given = await body_as(ChangedVectorStoreFile, called.request)
    store = await called.api.own(called.principal, called.store)
    changing = ChangeAttributes(store.owner, store.id, file, attributes_of(given.attributes))
    changed = await called.api.files.api.book.write(changing)
    if changed is None:
        raise missing("file")
    return json_answer(vector_objects.vector_file(changed))


async def _detach(called: _Called, file: str) -> Response:
    store = await called.api.own(called.principal, called.store)
    if await called.api.files.api.book.write(DetachFile(store.owner, store.id, file)) is None:
        raise missing("file")
    return json_answer(objects.deleted(file, "vector_store.file.deleted"))


async def _content(called: _Called, file: str) -> Response:
    """The chunks without what each repeats of the one before."""
    api = called.api
    store, _ = await api.seen(called.principal, called.store)
    found = await _found(called, file)
    if found.state is not IndexState.COMPLETED:
        raise RequestFault(Fault.INVALID_REQUEST, f"the file is not indexed: it is {found.state.value}", param="file_id")
    kept = await file_of(api.files, called.door, called.principal, file)
    key = await api.index.key(store)
    await called.door.records.file(kept, "read", called.principal.client, called.door.clock())
    chunks = await api.reader.read_long(lambda connection: chunks_of(connection, found))
    return json_answer(vector_objects.parsed_content(await asyncio.to_thread(texts_of, key, found.entry, chunks)))


async def _get_batch(called: _Called, batch: str) -> Response:
    return json_answer(vector_objects.file_batch(*await _batch(called, batch)), POLL_AFTER)


async def _cancel(called: _Called, batch: str) -> Response:
    store = await called.api.own(called.principal, called.store)
    if await called.api.files.api.book.write(CancelBatch(store.owner, store.id, batch, called.door.clock())) is None:
        raise missing("batch")
    return json_answer(vector_objects.file_batch(*await _batch(called, batch)))


async def _list_batch(called: _Called, batch: str, wanted: EntriesWanted) -> Response:
    await _batch(called, batch)
    return await _list(called, EntriesWanted(wanted.page, batch, wanted.state))


async def _found(called: _Called, file: str) -> VectorFile:
    who = maker_of(called.principal)
    found = await called.api.files.api.book.read(lambda connection: vector_files.find_entry(connection, who, called.store, file))
    if found is None:
        raise missing("file")
    return found


async def _batch(called: _Called, id_: str) -> tuple[StoredBatch, IndexedCounts]:
    who = maker_of(called.principal)
    book = called.api.files.api.book
    found = await book.read(lambda connection: vector_files.find_batch(connection, who, called.store, id_))
    if found is None:
        raise missing("batch")
    return found, await book.read(lambda connection: vectors.counts_of_batch(connection, called.store, id_))
