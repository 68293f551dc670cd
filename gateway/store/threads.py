"""Threads and their messages. A thread has a conversation of its own; what the customer themselves wrote in it is said there."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, delete, exists, insert, select, update

from gateway.domain.facts import HeardMessage
from gateway.domain.strict_json import Json
from gateway.store import conversations
from gateway.store.assistants import Metadata, as_text
from gateway.store.items import Item
from gateway.store.pages import PageRequest, rows_of
from gateway.store.tables import (
    MESSAGES,
    READINGS,
    RUN_IS_ACTIVE,
    RUN_STEPS,
    RUN_WAITS,
    RUNS,
    THREADS,
    WORDS,
)
from gateway.store.times import from_us, to_us

_T, _M, _R = THREADS.c, MESSAGES.c, RUNS.c


@dataclass(frozen=True, slots=True)
class Thread:
    id: str
    customer: str
    conversation: str
    created: datetime
    metadata: Metadata


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
class CreateThread(Item[Thread]):
    """A new thread, with its conversation and its first messages. Answered with it."""

    id: str
    customer: str
    at: datetime
    metadata: Metadata
    messages: tuple[AddMessage, ...] = ()

    def apply(self, connection: Connection) -> Thread:
        conversation = f"conv_{secrets.token_hex(12)}"
        conversations.OpenConversation(conversation, self.customer, self.at).apply(connection)
        row = {
            "id": self.id,
            "customer": self.customer,
            "conversation": conversation,
            "created_us": to_us(self.at),
            "last_us": to_us(self.at),
            "metadata": as_text(self.metadata),
        }
        connection.execute(insert(THREADS), [row])
        thread = Thread(self.id, self.customer, conversation, self.at, self.metadata)
        add(connection, thread, self.messages, self.at)
        return thread


@dataclass(frozen=True, slots=True)
class WriteAnswer(Item[Sequence[Message] | str | None]):
    """Messages into a thread. Answered with them; None: not this customer's; the id of an active run, which nothing may come before."""

    thread: str
    customer: str
    at: datetime
    messages: tuple[AddMessage, ...] = field(default=())

    def apply(self, connection: Connection) -> Sequence[Message] | str | None:
        thread = locked(connection, self.customer, self.thread)
        if thread is None:
            return None
        return active_run(connection, self.thread) or add(connection, thread, self.messages, self.at)


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
    """A thread with all that is in it, the text of the words included; a run that is under way is let go.

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
        runs = select(_R.id).where(_R.thread == thread.id)
        connection.execute(delete(RUN_WAITS).where(RUN_WAITS.c.run.in_(runs)))
        for table in (RUN_STEPS, RUNS, MESSAGES):
            connection.execute(delete(table).where(table.c.thread == thread.id))
        connection.execute(delete(READINGS).where(READINGS.c.conversation == thread.conversation))
        conversations.take_back(connection, thread.conversation)
        connection.execute(delete(THREADS).where(_T.id == thread.id))
        return True


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
    return _found(connection, select(THREADS).where(_T.id == thread, _T.customer == customer).with_for_update())


def active_run(connection: Connection, thread: str) -> str | None:
    return connection.execute(select(_R.id).where(_R.thread == thread, RUN_IS_ACTIVE)).scalar_one_or_none()


def next_us(connection: Connection, thread: str, at: datetime, count: int = 1) -> int:
    """The first of `count` moments of this thread that are later than all before: now, if the clock has gone on."""
    last: int = connection.execute(select(_T.last_us).where(_T.id == thread)).scalar_one()
    first = max(to_us(at), last + 1)
    connection.execute(update(THREADS).where(_T.id == thread).values(last_us=first + count - 1))
    return first


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
    connection.execute(insert(MESSAGES), rows)
    return [
        Message(item.id, thread.id, None, from_us(first + number), item.body, item.metadata, item.said is not None)
        for number, item in enumerate(messages)
    ]


_LABELLED = {"threads": THREADS, "messages": MESSAGES, "runs": RUNS, "run_steps": RUN_STEPS}


def find(connection: Connection, customer: str, id_: str) -> Thread | None:
    return _found(connection, select(THREADS).where(_T.id == id_, _T.customer == customer))


def of_id(connection: Connection, id_: str) -> Thread | None:
    """Whoever's it is: for who works for the thread's own run."""
    return _found(connection, select(THREADS).where(_T.id == id_))


def _found(connection: Connection, wanted: Any) -> Thread | None:
    row = connection.execute(wanted).one_or_none()
    return (
        None if row is None else Thread(row.id, row.customer, row.conversation, from_us(row.created_us), orjson.loads(row.metadata))
    )


def message(connection: Connection, thread: str, id_: str) -> Message | None:
    row = connection.execute(select(MESSAGES).where(_M.thread == thread, _M.id == id_)).one_or_none()
    return None if row is None else _message(row)


def messages(connection: Connection, thread: str, run: str | None, page_request: PageRequest) -> tuple[Sequence[Message], bool]:
    """One page of a thread's, or of those that a run wrote. NoSuchCursor."""
    within: list[ColumnElement[bool]] = [_M.thread == thread, *([] if run is None else [_M.run == run])]
    rows, more = rows_of(connection, MESSAGES, within, page_request)
    return [_message(row) for row in rows], more


def newest(connection: Connection, thread: str, most: int) -> Sequence[Message]:
    """The last `most` messages, the oldest of them first; with the thread's first before them, if it is not among them."""
    within = select(MESSAGES).where(_M.thread == thread)
    rows = list(connection.execute(within.order_by(_M.created_us.desc()).limit(most)).all())[::-1]
    first = connection.execute(within.order_by(_M.created_us).limit(1)).all()
    return [_message(row) for row in ([*first, *rows] if rows and first[0].id != rows[0].id else rows)]


def _message(row: Row[Any]) -> Message:
    body, metadata = orjson.loads(row.body), orjson.loads(row.metadata)
    return Message(row.id, row.thread, row.run, from_us(row.created_us), body, metadata, row.word is not None)
