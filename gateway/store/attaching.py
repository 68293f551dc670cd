"""Files for the tools of an assistant or a thread, with the vector store that is made for them: in the write of what names them.

Nothing names a store that is not there, and nobody has a store that was made for nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, select, update

from gateway.domain.states import IndexState
from gateway.store.assistants import Assistant, CreateAssistant, Maker
from gateway.store.file_tables import FILES, file_stands
from gateway.store.items import Item
from gateway.store.resources import (
    CODE,
    CODE_FILES_MOST,
    FILE_IDS,
    SEARCH,
    STORE_IDS,
    ToolResources,
    files_of,
    replaced,
    resources_text,
    stores_of,
)
from gateway.store.tables import THREADS
from gateway.store.times import to_us
from gateway.store.vector_files import AttachedMost, AttachFiles, NewEntry, NoSuchFile
from gateway.store.vector_tables import VECTOR_FILES, VECTOR_STORES
from gateway.store.vectors import CreateVectorStore, VectorStore, forget_stores

THREAD_STORE_LASTS = timedelta(days=7)
"""From when it was last used: a store that was made for a thread."""

_F, _S, _V = FILES.c, VECTOR_STORES.c, VECTOR_FILES.c


class TooManyCodeFiles(Exception):
    """The thread would have more than `CODE_FILES_MOST` files for the code interpreter."""


class NoSuchAttachment(Exception):
    """A file that they do not see any more. `file`: its id."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.file = file


class StoreOfAnother(Exception):
    """The thread's vector store is not of who attaches: it takes no files of theirs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachments:
    """Files that one request brings for tools. `store`: what is made, where there is none that takes them; it says whose it is.

    `searched`: into the vector store. `computed`: for the code interpreter. `makes`: the store is wanted without files, too.
    """

    store: VectorStore
    searched: tuple[NewEntry, ...] = ()
    computed: tuple[str, ...] = ()
    most: AttachedMost
    makes: bool = False


@dataclass(frozen=True, slots=True)
class CreateAssistantWithStore(Item[Assistant]):
    """An assistant, and the vector store that it names. TooManyStores, NoSuchAttachment, TooManyAttached: neither was made."""

    assistant: Assistant
    attachments: Attachments

    def apply(self, connection: Connection) -> Assistant | Exception:
        problem = _made(connection, self.attachments, self.assistant.created)
        return problem if problem is not None else CreateAssistant(self.assistant).apply(connection)


def attached(
    connection: Connection, thread: str, before: ToolResources | None, given: Attachments, at: datetime
) -> ToolResources | Exception | None:
    """What a thread's tools may use then. Where the thread's store has expired, or is gone, another is made.

    TooManyCodeFiles, StoreOfAnother, TooManyStores, NoSuchAttachment, TooManyAttached: nothing was written.
    """
    changes: dict[str, Any] = {}
    if given.computed:
        files = tuple(dict.fromkeys((*files_of(before), *given.computed)))
        if len(files) > CODE_FILES_MOST:
            return TooManyCodeFiles()
        changes[CODE] = {FILE_IDS: files}
    if given.searched or given.makes:
        store = _with_files(connection, thread, before, given, at)
        if isinstance(store, Exception):
            return store
        changes[SEARCH] = {STORE_IDS: [store]}
    return replaced(before, changes)


def attach(
    connection: Connection, thread: str, before: ToolResources | None, given: Attachments | None, at: datetime
) -> Exception | None:
    """The same for a thread that is there, and kept with it; what `attached` answers where it wrote nothing."""
    if given is None:
        return None
    after = attached(connection, thread, before, given, at)
    if isinstance(after, Exception):
        return after
    connection.execute(update(THREADS).where(THREADS.c.id == thread).values(resources=resources_text(after)))
    return None


def _with_files(
    connection: Connection, thread: str, before: ToolResources | None, given: Attachments, at: datetime
) -> str | Exception:
    for id_ in stores_of(before):
        asked = (
            select(_S.owner, _S.customer, _S.expires_us).where(_S.id == id_).with_for_update()
        )  # nobody deletes it before the files
        row = connection.execute(asked).one_or_none()
        if row is None or (row.expires_us is not None and row.expires_us <= to_us(at)):
            continue
        if Maker(row.owner, row.customer) != given.store.owner:
            return StoreOfAnother()
        return _put(connection, id_, given, at) or id_
    made = replace(given, store=replace(given.store, thread=thread))
    return _made(connection, made, at) or given.store.id


def _made(connection: Connection, given: Attachments, at: datetime) -> Exception | None:
    problem: Exception | None = CreateVectorStore(given.store).apply(connection)
    if problem is None and (problem := _put(connection, given.store.id, given, at)) is not None:
        forget_stores(connection, [given.store.id])
    return problem


def _put(connection: Connection, store: str, given: Attachments, at: datetime) -> Exception | None:
    """Those files into a store that are not in it already, or failed there."""
    standing = (IndexState.IN_PROGRESS, IndexState.COMPLETED)
    there = select(_V.id).where(_V.store == store, _V.id.in_([new.file for new in given.searched]), _V.state.in_(standing))
    kept = set(connection.execute(there).scalars())
    new = tuple(entry for entry in given.searched if entry.file not in kept)
    if not new:
        return None
    answered = AttachFiles(given.store.owner, store, new, at, given.most).apply(connection)
    if isinstance(answered, NoSuchFile):
        return NoSuchAttachment(new[answered.number].file)
    return answered if isinstance(answered, Exception) else None


def seen(
    connection: Connection, who: Maker, files: Sequence[str], stores: Sequence[str], at: datetime
) -> tuple[frozenset[str], frozenset[str]]:
    """Which of these files and of these vector stores they may read."""
    of_files = _ids(connection, _F.id, files, *who.sees(FILES), file_stands(at))
    return of_files, _ids(connection, _S.id, stores, *who.sees(VECTOR_STORES))


def _ids(connection: Connection, column: Any, wanted: Sequence[str], *which: ColumnElement[bool]) -> frozenset[str]:
    return frozenset(connection.execute(select(column).where(column.in_(wanted), *which)).scalars()) if wanted else frozenset()
