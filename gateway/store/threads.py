"""Threads and their messages. A thread has a conversation of its own; what the customer themselves wrote in it is said there."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    bindparam,
    case,
    delete,
    exists,
    insert,
    literal_column,
    select,
    update,
)

from audit.store.prepared import Prepared
from gateway.domain.facts import HeardMessage
from gateway.domain.strict_json import Json
from gateway.store import conversations
from gateway.store.assistants import Metadata, as_text
from gateway.store.attaching import Attachments, attach, attached
from gateway.store.items import Item
from gateway.store.pages import PageRequest, rows_of
from gateway.store.resources import ToolResources, replaced, resources_text
from gateway.store.tables import MESSAGES, READINGS, RESPONSES, RUN_IS_ACTIVE, RUN_STEPS, RUN_WAITS, RUNS, THREADS, WORDS
from gateway.store.times import from_us, to_us
from gateway.store.vectors import forget_stores_of_thread

_T, _M, _R = THREADS.c, MESSAGES.c, RUNS.c

_THREAD = select(THREADS).where(_T.id == bindparam("thread"))
_OF_ID = Prepared(_THREAD)
_OF_CUSTOMER = _THREAD.where(_T.customer == bindparam("customer"))
_FOUND = Prepared(_OF_CUSTOMER)
_LOCKED = Prepared(_OF_CUSTOMER.with_for_update())
_CREATE = Prepared(insert(THREADS))
_ACTIVE_RUN = Prepared(select(_R.id).where(_R.thread == bindparam("thread"), RUN_IS_ACTIVE))
_AT_US, _COUNT = bindparam("at_us", type_=BigInteger), bindparam("count", type_=BigInteger)
_TICK = Prepared(
    update(THREADS)
    .where(_T.id == bindparam("thread"))
    .values(
        last_us=case(
            (_T.last_us >= _AT_US, _T.last_us + _COUNT),
            else_=_AT_US + _COUNT - literal_column("1"),
        )
    )
    .returning(_T.last_us)
)
_ADD = Prepared(insert(MESSAGES))
_OF_THREAD = select(MESSAGES).where(_M.thread == bindparam("thread"))
_MESSAGE = Prepared(_OF_THREAD.where(_M.id == bindparam("id")))
_NEWEST = Prepared(_OF_THREAD.order_by(_M.created_us.desc()).limit(bindparam("most")))
_OLDEST = Prepared(_OF_THREAD.order_by(_M.created_us).limit(literal_column("1")))


@dataclass(frozen=True, slots=True)
class Thread:
    id: str
    customer: str
    conversation: str
    created: datetime
    metadata: Metadata
    resources: ToolResources | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """`body` holds the API's own names: role, content, attachments, status and what goes with it, assistant_id."""

    id: str
    thread: str
    run: str | None
    created: datetime
    body: Mapping[str, Json]
    metadata: Metadata
    is_word: bool = False
    """Whether it is the customer's own."""

    @property
    def texts(self) -> list[Mapping[str, Any]]:
        """Those parts of its content that are text."""
        content: Any = self.body["content"]
        return [part for part in content if part["type"] == "text"]


@dataclass(frozen=True, slots=True)
class AddMessage:
    """A message that a client adds. `said`: the customer's own text in it; None: it is not their word.

    `foreign`: it carries what the customer did not write, so that the conversation is tainted by it.
    """

    id: str
    body: Mapping[str, Json]
    metadata: Metadata
    said: HeardMessage | None
    foreign: bool


@dataclass(frozen=True, slots=True)
class CreateThread(Item[Thread | None]):
    """A new thread, with its first messages and what they attach, and a conversation of its own, or `conversation`. Answered with it, or
    what `attached` answers; None: not this customer's conversation."""

    id: str
    customer: str
    at: datetime
    metadata: Metadata
    messages: tuple[AddMessage, ...] = ()
    resources: ToolResources | None = None
    attachments: Attachments | None = None
    conversation: str | None = None

    def apply(self, connection: Connection) -> Thread | Exception | None:
        if self.conversation is not None and not conversations.is_of(connection, self.conversation, self.customer):
            return None
        resources = self.resources
        if self.attachments is not None:
            after = attached(connection, self.id, resources, self.attachments, self.at)
            if isinstance(after, Exception):
                return after
            resources = after
        conversation = self.conversation or f"conv_{secrets.token_hex(12)}"
        if self.conversation is None:
            conversations.OpenConversation(conversation, self.customer, self.at).apply(connection)
        row = {
            "id": self.id,
            "customer": self.customer,
            "conversation": conversation,
            "created_us": to_us(self.at),
            "last_us": to_us(self.at),
            "metadata": as_text(self.metadata),
            "resources": resources_text(resources),
        }
        _CREATE.one(connection, row)
        thread = Thread(self.id, self.customer, conversation, self.at, self.metadata, resources)
        add(connection, thread, self.messages, self.at)
        return thread


@dataclass(frozen=True, slots=True)
class WriteAnswer(Item[Sequence[Message] | str | None]):
    """Messages into a thread, with what they attach. Answered with them, or what `attached` answers; None: not this customer's; the id of
    an active run, which nothing may come before."""

    thread: str
    customer: str
    at: datetime
    messages: tuple[AddMessage, ...] = field(default=())
    attachments: Attachments | None = None

    def apply(self, connection: Connection) -> Sequence[Message] | str | Exception | None:
        thread = locked(connection, self.customer, self.thread)
        if thread is None:
            return None
        if (run := active_run(connection, self.thread)) is not None:
            return run
        problem = attach(connection, thread.id, thread.resources, self.attachments, self.at)
        return problem or add(connection, thread, self.messages, self.at)


@dataclass(frozen=True, slots=True)
class ChangeThread(Item[Thread | None]):
    """Answered with what it is now; None: not this customer's. `changes`: `metadata` and `resources`, where they change; of these, each
    tool's by itself."""

    customer: str
    thread: str
    changes: Mapping[str, Any]

    def apply(self, connection: Connection) -> Thread | None:
        thread = locked(connection, self.customer, self.thread)
        if thread is None:
            return None
        metadata = self.changes.get("metadata", thread.metadata)
        resources = thread.resources
        if "resources" in self.changes:
            resources = replaced(resources, self.changes["resources"])
        values = {"metadata": as_text(metadata), "resources": resources_text(resources)}
        connection.execute(update(THREADS).where(_T.id == self.thread).values(values))
        return replace(thread, metadata=metadata, resources=resources)


@dataclass(frozen=True, slots=True)
class SetMetadata(Item[bool | None]):
    """New metadata of a thread (`of` None), or of a message, run or step in it. Answered True; None: not this customer's."""

    customer: str
    thread: str
    table: str
    id: str
    metadata: Metadata

    def apply(self, connection: Connection) -> bool | None:
        table = _LABELLED[self.table]
        owned = select(_T.id).where(_T.id == self.thread, _T.customer == self.customer)
        within = () if table is THREADS else (table.c.thread == self.thread,)
        changed = update(table).where(table.c.id == self.id, owned.exists(), *within).values(metadata=as_text(self.metadata))
        return True if connection.execute(changed).rowcount else None


@dataclass(frozen=True, slots=True)
class DeleteThread(Item[bool | None]):
    """A thread with all that is in it, the text of the words and the vector stores that were made for it included; a run that is under
    way is let go.

    None: not this customer's. False: the customer's words are in it, and it is not themselves who deletes it (`is_own`).
    """

    customer: str
    thread: str
    is_own: bool

    def apply(self, connection: Connection) -> bool | None:
        thread = locked(connection, self.customer, self.thread)
        if thread is None:
            return None
        if not self.is_own and _holds_words(connection, thread):
            return False
        _delete(connection, thread.id, thread.conversation)
        return True


def forget_thread(connection: Connection, thread: str) -> None:
    """The same for one that is past its time; nothing where it is gone already."""
    conversation = connection.execute(select(_T.conversation).where(_T.id == thread).with_for_update()).scalar()
    if conversation is not None:
        _delete(connection, thread, conversation)


def _delete(connection: Connection, thread: str, conversation: str) -> None:
    runs = select(_R.id).where(_R.thread == thread)
    connection.execute(delete(RUN_WAITS).where(RUN_WAITS.c.run.in_(runs)))
    for table in (RUN_STEPS, RUNS, MESSAGES, RESPONSES):
        connection.execute(delete(table).where(table.c.thread == thread))
    forget_stores_of_thread(connection, thread)
    connection.execute(delete(READINGS).where(READINGS.c.conversation == conversation))
    conversations.take_back(connection, conversation)
    connection.execute(delete(THREADS).where(_T.id == thread))


@dataclass(frozen=True, slots=True)
class DeleteMessage(Item[bool | None]):
    """A message; a word of the customer's in it is taken back. None: not this customer's.

    False: it is the customer's word, and it is not themselves who deletes it (`is_own`).
    """

    customer: str
    thread: str
    id: str
    is_own: bool

    def apply(self, connection: Connection) -> bool | None:
        thread = locked(connection, self.customer, self.thread)
        mine = (_M.id == self.id, _M.thread == self.thread)
        row = None if thread is None else connection.execute(select(_M.word).where(*mine)).one_or_none()
        if thread is None or row is None:
            return None
        if row.word is not None:
            if not self.is_own:
                return False
            conversations.take_back(connection, thread.conversation, row.word)
        connection.execute(delete(MESSAGES).where(*mine))
        return True


def _holds_words(connection: Connection, thread: Thread) -> bool:
    standing = (WORDS.c.conversation == thread.conversation, WORDS.c.origin != conversations.DELETED)
    return bool(connection.execute(select(exists().where(*standing))).scalar_one())


def locked(connection: Connection, customer: str, thread: str) -> Thread | None:
    """The thread, if it is this customer's; nobody else changes it until the transaction ends."""
    return _thread(_LOCKED.rows(connection, {"thread": thread, "customer": customer}))


def active_run(connection: Connection, thread: str) -> str | None:
    rows = _ACTIVE_RUN.rows(connection, {"thread": thread})
    return rows[0][0] if rows else None


def next_us(connection: Connection, thread: str, at: datetime, count: int = 1) -> int:
    """The first of `count` moments of this thread that are later than all before: now, if the clock has gone on."""
    ((last,),) = _TICK.rows(connection, {"thread": thread, "at_us": to_us(at), "count": count})
    return int(last) - count + 1


def add(connection: Connection, thread: Thread, messages: Sequence[AddMessage], at: datetime) -> Sequence[Message]:
    """Messages of a client: the customer's own words are heard, in one turn; all else taints the conversation."""
    if not messages:
        return []
    if any(item.foreign for item in messages):
        conversations.taint_alone(connection, thread.conversation, at)
    words = tuple(item.said for item in messages if item.said is not None)
    position = 0
    if words:
        hearing = conversations.StoreMessages(thread.customer, thread.conversation, words, at)
        position = (hearing.apply(connection) or 0) - len(words)
    first, rows = next_us(connection, thread.id, at, len(messages)), []
    for number, item in enumerate(messages):
        rows.append(
            {
                "id": item.id,
                "thread": thread.id,
                "run": None,
                "created_us": first + number,
                "word": None if item.said is None else position,
                "body": as_text(item.body),
                "metadata": as_text(item.metadata),
            }
        )
        position += item.said is not None
    _ADD.many(connection, rows)
    return [
        Message(item.id, thread.id, None, from_us(first + number), item.body, item.metadata, item.said is not None)
        for number, item in enumerate(messages)
    ]


_LABELLED = {"threads": THREADS, "messages": MESSAGES, "runs": RUNS, "run_steps": RUN_STEPS}


def find(connection: Connection, customer: str, id_: str) -> Thread | None:
    return _thread(_FOUND.rows(connection, {"thread": id_, "customer": customer}))


def existing(connection: Connection, ids: Sequence[str]) -> frozenset[str]:
    """Those of these threads that are there."""
    return frozenset(connection.execute(select(_T.id).where(_T.id.in_(ids))).scalars())


def of_id(connection: Connection, id_: str) -> Thread | None:
    """Whoever's it is: for who works for the thread's own run."""
    return _thread(_OF_ID.rows(connection, {"thread": id_}))


def _thread(rows: Sequence[Any]) -> Thread | None:
    for id_, customer, conversation, created_us, _last_us, metadata, resources in rows:
        kept = None if resources is None else orjson.loads(resources)
        return Thread(id_, customer, conversation, from_us(created_us), orjson.loads(metadata), kept)
    return None


def put(connection: Connection, message: Message, at: datetime) -> None:
    """A new message of a run, as the last of its thread."""
    row = {
        "id": message.id,
        "thread": message.thread,
        "run": message.run,
        "created_us": next_us(connection, message.thread, at),
        "word": None,
        "body": as_text(message.body),
        "metadata": as_text(message.metadata),
    }
    _ADD.one(connection, row)


def message(connection: Connection, thread: str, id_: str) -> Message | None:
    rows = _MESSAGE.rows(connection, {"thread": thread, "id": id_})
    return _message(rows[0]) if rows else None


def messages(connection: Connection, thread: str, run: str | None, page_request: PageRequest) -> tuple[Sequence[Message], bool]:
    """One page of a thread's, or of those that a run wrote. NoSuchCursor."""
    within: list[ColumnElement[bool]] = [_M.thread == thread, *([] if run is None else [_M.run == run])]
    rows, more = rows_of(connection, MESSAGES, within, page_request)
    return [_message(row) for row in rows], more


def messages_of(connection: Connection, customer: str, ids: Sequence[str]) -> Sequence[Message]:
    """Those of these messages that are in threads of this customer."""
    found = select(MESSAGES).where(_M.id.in_(ids), _M.thread == _T.id, _T.customer == customer)
    return [_message(row) for row in connection.execute(found)]


def newest(connection: Connection, thread: str, most: int) -> Sequence[Message]:
    """The last `most` messages, the oldest of them first; with the thread's first before them, if it is not among them."""
    rows = _NEWEST.rows(connection, {"thread": thread, "most": most})[::-1]
    found = [_message(row) for row in rows]
    if len(rows) < most:
        return found
    first = [_message(row) for row in _OLDEST.rows(connection, {"thread": thread})]
    return found if first[0].id == found[0].id else [*first, *found]


def _message(row: Sequence[Any]) -> Message:
    id_, thread, run, created_us, word, body, metadata = row
    return Message(id_, thread, run, from_us(created_us), orjson.loads(body), orjson.loads(metadata), word is not None)
