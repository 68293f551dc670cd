"""The journal of what was sent to an upstream: one row for each key, durable before the first byte goes.

    sent       bytes may have gone, and the end is not known
    unsent     no byte went; the same instruction may be sent
    done       it happened; with its answer
    declined   it did not, and never will under this key; with its reason
    burned     never seen, and refused from now on

Owns one SQLite file (WAL, synchronous FULL), which several processes of one host may share. Every change is one transaction.
"""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from adapters.core import Declined, Done
from adapters.tagged import tagged, untagged

_METADATA = MetaData()
_SENT = Table(
    "sent",
    _METADATA,
    Column("key", String, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("function", String, nullable=False),
    Column("customer", String, nullable=False),
    Column("state", String, nullable=False),
    Column("answer", String, nullable=False),
    Column("permit_ends_us", Integer, nullable=False),
    Column("changed_us", Integer, nullable=False, index=True),
)


FILE = "upstream.sqlite"
"""The journal's, in the data folder."""


@dataclass(frozen=True, slots=True)
class JournalRow:
    """What the journal knows of one key. `digest`: SHA-256 of the instruction; empty for a key that was burned unseen."""

    key: str
    digest: bytes
    function: str
    customer: str
    state: str
    answer: Done | Declined | None
    permit_ends: datetime


class Journal:
    """The file at this path; made on first use. Its methods block for a disk's write: call them in a thread."""

    def __init__(self, path: Path) -> None:
        self._engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 10, "check_same_thread": False}, pool_size=4)
        event.listen(self._engine, "connect", _settle)
        event.listen(self._engine, "begin", _begin)
        self._reading = self._engine.execution_options(reads=True)
        self._lock = threading.Lock()
        """One writer at a time in this process; SQLite holds the others off."""
        _METADATA.create_all(self._engine)

    def close(self) -> None:
        self._engine.dispose()

    def find(self, key: str) -> JournalRow | None:
        """What is known of this key."""
        with self._reading.connect() as connection:
            row = connection.execute(select(_SENT).where(_SENT.c.key == key)).one_or_none()
        return None if row is None else _row(row)

    def claim(self, row: JournalRow, now: datetime, *, may_repeat: bool) -> JournalRow | None:
        """Note `row` as sent. None: it is, and may go; else what stands there under its key.

        A row that was not sent is taken over by the same instruction; one that was sent, only where `may_repeat`.
        """
        values = {**_values(row), "state": "sent", "answer": "", "changed_us": _micros(now)}
        with self._lock:
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(_SENT).values(values))
                return None
            except IntegrityError:
                pass
            takes_over = ("unsent", "sent") if may_repeat else ("unsent",)
            mine = (_SENT.c.key == row.key) & (_SENT.c.digest == row.digest) & _SENT.c.state.in_(takes_over)
            with self._engine.begin() as connection:
                if connection.execute(update(_SENT).where(mine).values(values)).rowcount:
                    return None
        return self.find(row.key)

    def end(self, key: str, state: str, now: datetime, answer: Done | Declined | None = None) -> None:
        """The end of what was sent. What has ended stays so."""
        changed = {"state": state, "answer": "" if answer is None else to_text(answer), "changed_us": _micros(now)}
        with self._lock, self._engine.begin() as connection:
            connection.execute(update(_SENT).where((_SENT.c.key == key) & (_SENT.c.state == "sent")).values(changed))

    def burn(self, key: str, now: datetime) -> JournalRow | None:
        """Refuse this key from now on. None: it is burned; else the row of what was sent under it."""
        row = JournalRow(key, b"", "", "", "burned", None, now)
        with self._lock:
            try:
                with self._engine.begin() as connection:
                    connection.execute(insert(_SENT).values({**_values(row), "answer": "", "changed_us": _micros(now)}))
                return None
            except IntegrityError:
                unsent = (_SENT.c.key == key) & (_SENT.c.state == "unsent")
                with self._engine.begin() as connection:
                    connection.execute(update(_SENT).where(unsent).values(state="burned", changed_us=_micros(now)))
        found = self.find(key)
        return None if found is None or found.state == "burned" else found

    def forget(self, customer: str) -> int:
        """Remove the rows of this customer; how many. None of theirs may be under way."""
        with self._lock, self._engine.begin() as connection:
            return connection.execute(delete(_SENT).where(_SENT.c.customer == customer)).rowcount

    def done_since(self, since: datetime) -> int:
        """How many effects are known to have happened since then."""
        counting = select(func.count()).where((_SENT.c.state == "done") & (_SENT.c.changed_us >= _micros(since)))
        with self._reading.connect() as connection:
            return int(connection.execute(counting).scalar_one())


def _settle(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's own BEGIN, below
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "busy_timeout=10000"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get("reads") else "BEGIN IMMEDIATE")


def _values(row: JournalRow) -> dict[str, object]:
    return {
        "key": row.key,
        "digest": row.digest,
        "function": row.function,
        "customer": row.customer,
        "state": row.state,
        "permit_ends_us": _micros(row.permit_ends),
    }


def _row(row: Any) -> JournalRow:
    answer = None if row.answer == "" else from_text(row.answer)
    ends = datetime.fromtimestamp(0, UTC) + (datetime.resolution * row.permit_ends_us)
    return JournalRow(row.key, bytes(row.digest), row.function, row.customer, row.state, answer, ends)


def _micros(at: datetime) -> int:
    return (at - datetime.fromtimestamp(0, UTC)) // datetime.resolution


# Answers, with the type of every value, so that a resend reads exactly what the first one said


def to_text(answer: Done | Declined) -> str:
    """JSON of an answer. TypeError for a value that none may hold."""
    if isinstance(answer, Declined):
        return json.dumps({"declined": answer.code})
    return json.dumps({"done": _tagged(answer.output)})


def from_text(text: str) -> Done | Declined:
    """The answer that `to_text` wrote."""
    stored: dict[str, Any] = json.loads(text)
    if "declined" in stored:
        return Declined(stored["declined"])
    return Done(_plain(stored["done"]))


def _tagged(value: object) -> object:
    """Beside the scalars, the lists and records of declared outputs."""
    match value:
        case tuple():
            return [_tagged(item) for item in value]
        case Mapping():
            return {"fields": {str(name): _tagged(item) for name, item in value.items()}}
    return tagged(value)


def _plain(value: Any) -> Any:
    match value:
        case list():
            return tuple(_plain(item) for item in value)
        case {"fields": {**inner}}:
            return {name: _plain(item) for name, item in inner.items()}
    return untagged(value)
