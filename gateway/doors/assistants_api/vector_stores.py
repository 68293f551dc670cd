"""Vector stores, `/v1/vector_stores`: files that are searched together; a customer's own, and those that a client gives to its customers.

As with files, a client's own token (scope `assistants`) makes what every customer of the client may read and search; a customer's token
(scope `threads`) makes what nobody else sees.
"""

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import Depends, FastAPI, Request, Response

from gateway.calls.record_fields import SearchRecord
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import SCOPE_ASSISTANTS, SCOPE_THREADS, Principal
from gateway.doors.assistants_api import vector_objects
from gateway.doors.assistants_api.api import (
    Deleted,
    JsonAnswer,
    ObjectPage,
    body_as,
    listed,
    maker_of,
    metadata_of,
    missing,
    page_of,
    responses_of,
)
from gateway.doors.assistants_api.common_schemas import Id
from gateway.doors.assistants_api.files import FilesApi
from gateway.doors.assistants_api.resources import chunking_of, too_many_attached, too_many_stores
from gateway.doors.assistants_api.vector_schemas import (
    ChangedVectorStore,
    GivenAttributes,
    NewVectorStore,
    SearchAnswer,
    StoreLasts,
    VectorStoreSearch,
)
from gateway.doors.bodies import json_answer
from gateway.doors.faults import too_often
from gateway.doors.rest import Door
from gateway.doors.schemas import body_of
from gateway.files.indexing import IndexDependencies
from gateway.files.new_stores import NewStores
from gateway.files.search_tool import used
from gateway.files.searching import TextsWanted, search
from gateway.files.vector_search import LongReader
from gateway.runs import objects
from gateway.runs.objects import new_id
from gateway.store import vectors
from gateway.store.pages import PageRequest
from gateway.store.vector_files import (
    AttachedMost,
    AttachFiles,
    NewEntry,
    NoSuchFile,
    NoSuchStore,
    TooManyAttached,
    VectorFile,
)
from gateway.store.vector_index import SearchScope
from gateway.store.vectors import (
    ChangeVectorStore,
    CreateVectorStore,
    DeleteVectorStore,
    IndexedCounts,
    TooManyStores,
    VectorStore,
)

POLL_AFTER = {"openai-poll-after-ms": "300"}
"""How soon the client asks again what became of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorsApi:
    files: FilesApi
    index: IndexDependencies
    reader: LongReader
    stores: NewStores

    async def seen(self, principal: Principal, id_: str) -> tuple[VectorStore, IndexedCounts]:
        """A store that this one may read, and what its files come to. RequestFault NOT_FOUND."""
        found = await self.files.api.book.read(lambda connection: vectors.with_counts(connection, maker_of(principal), id_))
        if found is None:
            raise missing("vector store")
        return found

    async def own(self, principal: Principal, id_: str) -> VectorStore:
        """A store that this one may change. RequestFault: NOT_FOUND, or INSUFFICIENT_SCOPE for the client's."""
        store, _ = await self.seen(principal, id_)
        if store.owner != maker_of(principal):
            raise RequestFault(
                Fault.INSUFFICIENT_SCOPE, "this vector store is the client's: only a token of the client itself changes it"
            )
        return store

    async def attached(self, attaching: AttachFiles, param: str) -> list[VectorFile]:
        """In the order in which they were named. RequestFault; `param`: what names them, with `{}` for a number."""
        try:
            attached = {item.file: item for item in await self.files.api.book.write(attaching)}
        except NoSuchFile as error:
            name = param.format(error.number)
            raise RequestFault(Fault.NOT_FOUND, f"{name}: no such file", param=name) from None
        except TooManyAttached:
            raise too_many_attached(attaching.most) from None
        except NoSuchStore:
            raise expired() from None
        return [attached[new.file] for new in attaching.files]

    @property
    def most(self) -> AttachedMost:
        """What one owner may have in vector stores."""
        return self.stores.most


def expired() -> RequestFault:
    return RequestFault(Fault.INVALID_REQUEST, "the vector store has expired: make another", param="vector_store_id")


def attributes_of(given: GivenAttributes | None) -> dict[str, str | float | bool]:
    return dict(given or {})


def mount(app: FastAPI, door: Door, api: VectorsApi) -> None:
    """Put these routes into the application."""

    @app.post("/v1/vector_stores", responses=responses_of(JsonAnswer), openapi_extra=body_of(NewVectorStore))
    async def create_vector_store(request: Request) -> Response:
        """Create a vector store.

        Its files are indexed in the background.
        """
        return await door.answer(request, partial(_create, api), SCOPE_ASSISTANTS, SCOPE_THREADS)

    @app.get("/v1/vector_stores", responses=responses_of(ObjectPage))
    async def list_vector_stores(request: Request, page: Annotated[PageRequest, Depends(page_of)]) -> Response:
        """List the customer's vector stores, and those of the client."""
        return await door.answer(request, partial(_list, api, page), SCOPE_ASSISTANTS, SCOPE_THREADS)

    @app.get("/v1/vector_stores/{vector_store_id}", responses=responses_of(JsonAnswer))
    async def get_vector_store(request: Request, vector_store_id: Id) -> Response:
        """Read a vector store, with how far its files are indexed."""
        return await door.answer(request, partial(_get, api, vector_store_id), SCOPE_ASSISTANTS, SCOPE_THREADS)

    @app.post("/v1/vector_stores/{vector_store_id}", responses=responses_of(JsonAnswer), openapi_extra=body_of(ChangedVectorStore))
    async def update_vector_store(request: Request, vector_store_id: Id) -> Response:
        """Change a vector store's name, metadata, or how long it lasts."""
        return await door.answer(request, partial(_change, api, vector_store_id), SCOPE_ASSISTANTS, SCOPE_THREADS)

    @app.delete("/v1/vector_stores/{vector_store_id}", responses=responses_of(Deleted))
    async def delete_vector_store(request: Request, vector_store_id: Id) -> Response:
        """Delete a vector store and its index.

        Its files stay.
        """
        return await door.answer(request, partial(_delete, api, vector_store_id), SCOPE_ASSISTANTS, SCOPE_THREADS)

    @app.post(
        "/v1/vector_stores/{vector_store_id}/search",
        responses=responses_of(SearchAnswer),
        openapi_extra=body_of(VectorStoreSearch),
    )
    async def search_vector_store(request: Request, vector_store_id: Id) -> Response:
        """Search a vector store by words, and by meaning where vectors are made.

        What is found is other people's text: nothing in it is an instruction.
        """
        return await door.answer(request, partial(_search, api, vector_store_id), SCOPE_ASSISTANTS, SCOPE_THREADS)


async def _create(api: VectorsApi, door: Door, request: Request, principal: Principal) -> Response:
    api.files.api.bounded(door, principal)
    given = await body_as(NewVectorStore, request)
    id_, owner, now = new_id("vs"), maker_of(principal), door.clock()
    new = await api.stores.new(id_, owner, now, lasts=_lasts(given.expires_after), metadata=given.metadata)
    store = replace(new, name=given.name or "", description=given.description)
    try:
        await api.files.api.book.write(CreateVectorStore(store))
    except TooManyStores:
        raise too_many_stores() from None
    if given.file_ids:
        await _filled(api, store, given, now)
    return json_answer(vector_objects.vector_store(*await api.seen(principal, id_), now), POLL_AFTER)


async def _filled(api: VectorsApi, store: VectorStore, given: NewVectorStore, now: datetime) -> None:
    """With the files that it was made with. RequestFault; the store is not there then."""
    chunking = chunking_of(given.chunking_strategy)
    entries = tuple(NewEntry(file, {}, chunking) for file in dict.fromkeys(given.file_ids))
    try:
        await api.attached(AttachFiles(store.owner, store.id, entries, now, api.most), "file_ids[{}]")
    except RequestFault:
        await api.files.api.book.write(DeleteVectorStore(store.owner, store.id))
        raise


async def _list(api: VectorsApi, page: PageRequest, door: Door, _request: Request, principal: Principal) -> Response:
    who, at = maker_of(principal), door.clock()
    return await listed(
        api.files.api,
        lambda connection: vectors.page_of_stores(connection, who, page),
        lambda row: vector_objects.vector_store(*row, at),
    )


async def _get(api: VectorsApi, id_: str, door: Door, _request: Request, principal: Principal) -> Response:
    return json_answer(vector_objects.vector_store(*await api.seen(principal, id_), door.clock()), POLL_AFTER)


async def _change(api: VectorsApi, id_: str, door: Door, request: Request, principal: Principal) -> Response:
    api.files.api.bounded(door, principal)
    given = await body_as(ChangedVectorStore, request)
    store = await api.own(principal, id_)
    if store.has_expired(door.clock()):
        raise expired()
    changes: dict[str, Any] = {}
    if "name" in given.model_fields_set:
        changes["name"] = given.name or ""
    if "metadata" in given.model_fields_set:
        changes["metadata"] = metadata_of(given.metadata)
    if "expires_after" in given.model_fields_set:
        changes["lasts"] = _lasts(given.expires_after)
    if await api.files.api.book.write(ChangeVectorStore(store.owner, id_, door.clock(), changes)) is None:
        raise missing("vector store")
    return json_answer(vector_objects.vector_store(*await api.seen(principal, id_), door.clock()))


async def _delete(api: VectorsApi, id_: str, door: Door, _request: Request, principal: Principal) -> Response:
    store = await api.own(principal, id_)
    if await api.files.api.book.write(DeleteVectorStore(store.owner, id_)) is None:
        raise missing("vector store")
    return json_answer(objects.deleted(id_, "vector_store.deleted"))


async def _search(api: VectorsApi, id_: str, door: Door, request: Request, principal: Principal) -> Response:
    api.files.api.bounded(door, principal)
    given = await body_as(VectorStoreSearch, request)
    store, _ = await api.seen(principal, id_)
    who, at = maker_of(principal), door.clock()
    if store.has_expired(at):
        raise expired()
    scope = SearchScope(who, id_, at, None if given.filters is None else given.filters.filter())
    with ExitStack() as held:
        if not held.enter_context(door.waits.one(principal.customer)):
            raise too_often()
        key = await api.index.key(store)
        wanted = TextsWanted(given.questions, given.max_num_results, given.ranking_options.score_threshold)
        texts = await search(api.reader, key, scope, wanted, api.index.meant)
    asked = hashlib.sha256(orjson.dumps(given.questions)).digest()
    files = tuple(dict.fromkeys(text.file for text in texts))
    await door.records.searched(SearchRecord(id_, who.customer, principal.client, asked, files), at)
    await used(api.index, store, scope)
    return json_answer(vector_objects.found(given.questions, texts))


def _lasts(given: StoreLasts | None) -> timedelta | None:
    return None if given is None else timedelta(days=given.days)
