"""Tools, and what they may use, as requests say it: ids that who sends them may read, and files that are attached to messages.

An id that is another's, was deleted or was made up gets one answer, which names the field that it stands in.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import Principal
from gateway.doors.assistants_api.api import Api, maker_of
from gateway.doors.assistants_api.common_schemas import ChunkingStrategy, StaticChunking
from gateway.doors.assistants_api.schemas import NewMessage
from gateway.doors.assistants_api.tool_schemas import FunctionTool, NamedResources, NewResources, StoreWithFiles, Tool
from gateway.doors.rest import Door
from gateway.runs.objects import new_id
from gateway.store.attaching import (
    THREAD_STORE_LASTS,
    Attachments,
    NoSuchAttachment,
    StoreOfAnother,
    TooManyCodeFiles,
    seen,
)
from gateway.store.items import Item
from gateway.store.resources import CODE, CODE_FILES_MOST, FILE_IDS, SEARCH, STORE_IDS, ToolResources
from gateway.store.vector_files import AttachedMost, Chunking, NewEntry, TooManyAttached
from gateway.store.vectors import STORES_MOST, TooManyStores

if TYPE_CHECKING:
    from gateway.files.new_stores import NewStores  # needs the extra `files`

RESOURCES = "tool_resources"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class NamedId:
    """An id of a file or a vector store, and the field of the request that names it."""

    what: Literal["file", "vector store"]
    id: str
    field: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedResources:
    """What a request names for tools. `ids`: all of them. `resources`: those of `tool_resources`, as they are kept, with the vector store
    that `attachments` make for an assistant."""

    ids: tuple[NamedId, ...] = ()
    resources: ToolResources | None = None
    attachments: Attachments | None = None

    async def written(self, api: Api, item: Item[_T]) -> _T:
        """What the item is answered with, which makes what was asked for. RequestFault; nothing is made then."""
        try:
            return await api.book.write(item)
        except NoSuchAttachment as error:
            raise _missing(next(named for named in self.ids if named.id == error.file)) from None
        except TooManyCodeFiles:
            message = (
                f"attachments: a thread has at most {CODE_FILES_MOST} files for the code interpreter: take some out of {RESOURCES}"
            )
            raise RequestFault(Fault.INVALID_REQUEST, message, param="attachments") from None
        except StoreOfAnother:
            message = (
                "attachments: the thread's vector store is the client's: name it at the assistant, and the thread gets its own"
            )
            raise RequestFault(Fault.INVALID_REQUEST, message, param="attachments") from None
        except TooManyAttached:
            raise too_many_attached(new_stores(api).most) from None
        except TooManyStores:
            raise too_many_stores() from None


def too_many_stores() -> RequestFault:
    return RequestFault(Fault.FILES_FULL, f"at most {STORES_MOST} vector stores are kept: delete some")


def too_many_attached(most: AttachedMost) -> RequestFault:
    message = f"at most {most.count} files with {most.size} bytes together are in vector stores: take some out"
    return RequestFault(Fault.FILES_FULL, message)


def chunking_of(given: ChunkingStrategy | None) -> Chunking:
    if not isinstance(given, StaticChunking):
        return Chunking()
    return Chunking(given.static.max_chunk_size_tokens, given.static.chunk_overlap_tokens)


def tools_checked(api: Api, tools: Sequence[Tool]) -> None:
    """RequestFault when two functions have one name, a tool is there twice, or is not served here."""
    names = [tool.function.name if isinstance(tool, FunctionTool) else tool.type for tool in tools]
    if len(set(names)) < len(names):
        raise RequestFault(Fault.INVALID_REQUEST, "tools: must have different names, and each tool once", param="tools")
    for number, tool in enumerate(tools):
        if not isinstance(tool, FunctionTool):
            served(api, tool.type, f"tools[{number}]")


def run_tools_checked(api: Api, body: Mapping[str, Any]) -> None:
    """RequestFault when a run, or its assistant, has a tool that is not served any more, or must use one that is none of its own."""
    for number, tool in enumerate(body["tools"]):
        if tool["type"] in (CODE, SEARCH):
            served(api, tool["type"], f"tools[{number}]")
    choice = body["tool_choice"]
    if not isinstance(choice, dict):
        return
    name = _name_of(choice)
    if name not in {_name_of(tool) for tool in body["tools"]}:
        raise RequestFault(Fault.INVALID_REQUEST, "tool_choice: nothing of this name is among the tools", param="tool_choice")


def served(api: Api, tool: str, field: str) -> None:
    """RequestFault UNSUPPORTED for a tool that this gateway does not have."""
    if tool not in api.tools:
        raise RequestFault(Fault.UNSUPPORTED, f"{field}: {tool} is not supported here", param=field)


async def asked_of_assistant(
    api: Api, door: Door, principal: Principal, given: NewResources | NamedResources | None
) -> AskedResources:
    """What an assistant's tools may use, with the vector store that is made for it. RequestFault."""
    ids = tuple(_in_resources(api, given, RESOURCES))
    await readable(api, door, principal, ids)
    resources, making = _kept(given), _made_in(given)
    if making is None:
        return AskedResources(ids=ids, resources=resources)
    stores = new_stores(api)
    store = await stores.new(new_id("vs"), maker_of(principal), door.clock(), metadata=making.metadata)
    attachments = Attachments(store=store, searched=_entries(making), most=stores.most, makes=True)
    return AskedResources(ids=ids, resources={**(resources or {}), SEARCH: {STORE_IDS: [store.id]}}, attachments=attachments)


async def asked_of_thread(
    api: Api, door: Door, principal: Principal, given: NewResources | NamedResources | None, *, inside: str = ""
) -> AskedResources:
    """The same for a thread that is there. `inside`: where in the body that is."""
    ids = tuple(_in_resources(api, given, f"{inside}{RESOURCES}"))
    await readable(api, door, principal, ids)
    return AskedResources(ids=ids, resources=_kept(given))


async def asked_of_messages(
    api: Api,
    door: Door,
    principal: Principal,
    messages: Sequence[NewMessage],
    *,
    inside: str,
    given: NewResources | None = None,
) -> AskedResources:
    """What messages attach for the tools of their thread, and, of a new one, what its tools may use. RequestFault.

    `inside`: the field that holds the messages, with `{}` for their number; empty: the message is the body.
    """
    of_resources = _in_resources(api, given, f"{inside.rpartition('messages')[0]}{RESOURCES}")
    attached = [named for number, message in enumerate(messages) for named in _in_message(api, message, inside.format(number))]
    ids = (*of_resources, *(NamedId("file", id_, field) for id_, _, field in attached))
    await readable(api, door, principal, ids)
    making = _made_in(given)
    searched = {entry.file: entry for entry in _entries(making)}
    searched |= {id_: NewEntry(id_, {}, Chunking()) for id_, tools, _ in attached if SEARCH in tools and id_ not in searched}
    computed = tuple(dict.fromkeys(id_ for id_, tools, _ in attached if CODE in tools))
    if not (searched or computed or making):
        return AskedResources(ids=ids, resources=_kept(given))
    stores = new_stores(api)
    store = await stores.new(
        new_id("vs"),
        maker_of(principal),
        door.clock(),
        lasts=THREAD_STORE_LASTS,
        metadata=None if making is None else making.metadata,
    )
    attachments = Attachments(
        store=store, searched=tuple(searched.values()), computed=computed, most=stores.most, makes=making is not None
    )
    return AskedResources(ids=ids, resources=_kept(given), attachments=attachments)


def attachments_body(message: NewMessage) -> list[dict[str, Any]]:
    """As the message is kept, and given back."""
    return [attachment.model_dump() for attachment in message.attachments or []]


def new_stores(api: Api) -> "NewStores":
    """RequestFault UNSUPPORTED where no files are kept."""
    if api.stores is None:
        raise RequestFault(Fault.UNSUPPORTED, "no files are kept here: leave them out")
    return api.stores


def _name_of(tool: Mapping[str, Any]) -> tuple[str, str]:
    """What tells a tool from the others."""
    return tool["type"], tool["function"]["name"] if tool["type"] == "function" else ""


def _in_resources(api: Api, given: NewResources | NamedResources | None, field: str) -> Iterator[NamedId]:
    """What is named. RequestFault for a tool that is not served."""
    if given is None:
        return
    if given.code_interpreter is not None:
        inside = f"{field}.{CODE}"
        served(api, CODE, inside)
        yield from _named("file", given.code_interpreter.file_ids, f"{inside}.{FILE_IDS}")
    if given.file_search is not None:
        inside = f"{field}.{SEARCH}"
        served(api, SEARCH, inside)
        yield from _named("vector store", given.file_search.vector_store_ids, f"{inside}.{STORE_IDS}")
    if (making := _made_in(given)) is not None:
        yield from _named("file", making.file_ids, f"{field}.{SEARCH}.vector_stores[0].{FILE_IDS}")


def _named(what: Literal["file", "vector store"], ids: Sequence[str] | None, field: str) -> Iterator[NamedId]:
    for number, id_ in enumerate(ids or ()):
        yield NamedId(what, id_, f"{field}[{number}]")


def _in_message(api: Api, message: NewMessage, inside: str) -> Iterator[tuple[str, frozenset[str], str]]:
    """Each file that a message attaches, for which tools, and in which field. RequestFault for a tool that is not served."""
    for number, attachment in enumerate(message.attachments or []):
        field = f"{inside}attachments[{number}]"
        for tool in attachment.tools:
            served(api, tool.type, f"{field}.tools")
        yield attachment.file_id, frozenset(tool.type for tool in attachment.tools), f"{field}.file_id"


def _kept(given: NewResources | NamedResources | None) -> ToolResources | None:
    """As they are kept, without what is made."""
    kept: dict[str, Any] = {}
    if given is None:
        return None
    if given.code_interpreter is not None:
        kept[CODE] = {FILE_IDS: list(dict.fromkeys(given.code_interpreter.file_ids or ()))}
    if given.file_search is not None:
        kept[SEARCH] = {STORE_IDS: list(given.file_search.vector_store_ids or ())}
    return kept


def _made_in(given: NewResources | NamedResources | None) -> StoreWithFiles | None:
    """The vector store that is to be made."""
    if isinstance(given, NewResources) and given.file_search is not None and given.file_search.vector_stores:
        return given.file_search.vector_stores[0]
    return None


def _entries(making: StoreWithFiles | None) -> tuple[NewEntry, ...]:
    if making is None:
        return ()
    return tuple(NewEntry(file, {}, chunking_of(making.chunking_strategy)) for file in dict.fromkeys(making.file_ids))


async def readable(api: Api, door: Door, principal: Principal, ids: Sequence[NamedId]) -> None:
    """RequestFault NOT_FOUND for the first that this one may not read."""
    if not ids:
        return
    files, stores = ([named.id for named in ids if named.what == what] for what in ("file", "vector store"))
    who, at = maker_of(principal), door.clock()
    of_files, of_stores = await api.book.read(lambda connection: seen(connection, who, files, stores, at))
    for named in ids:
        if named.id not in (of_files if named.what == "file" else of_stores):
            raise _missing(named)


def _missing(named: NamedId) -> RequestFault:
    return RequestFault(Fault.NOT_FOUND, f"{named.field}: no such {named.what}", param=named.field)
