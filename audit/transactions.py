"""The transactions of a log, which whoever has tables beside it in the same database may share: a change there and the record of it are
committed together or not at all.

Owns the order within a transaction: changes first, since they may refuse, then the records, whose numbers are taken under the head's lock.
Knows nothing of what a change is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from audit.committer import Committer, Item, LogEntry, Pending
from audit.database import Lane
from audit.group import GroupWriter
from audit.store.bulk_insert import SharedChange

Apply = Callable[[Connection, Sequence[Any]], Sequence[Any]]
"""Makes changes, and answers each: an exception means that this one was not made. What it raises rolls the group back."""


AtOnce = Callable[[Connection, Sequence[Any]], SharedChange | None]
"""The same changes in the one statement that records them, on PostgreSQL; it may ask questions first. None: `Apply` makes them."""


def always(_answer: Any) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Write:
    """What one caller wants written at once: a change, an item of the log, or both. `wants`: whether the item belongs to the change's
    answer; otherwise the change stands alone."""

    item: Item | None = None
    change: Any = None
    wants: Callable[[Any], bool] = always


@dataclass(frozen=True, slots=True)
class CommittedWrite:
    """What became of it: the change's answer, and where the record is; None where there was none."""

    answer: Any = None
    entry: LogEntry | None = None


class Transactions:
    """The one writer of a process over the log's database. As `GroupWriter`, whose errors it has."""

    def __init__(self, lane: Lane, committer: Committer) -> None:
        self._committer = committer
        self._change: Apply | None = None
        self._at_once: AtOnce | None = None
        self._writer: GroupWriter[Write, CommittedWrite] = GroupWriter(
            lane,
            self._apply,
            alone=self._alone,
            before=committer.sign_ahead,
            committed=self._committer.committed,
            failed=committer.failed,
        )
        self.submit = self._writer.submit
        self.close = self._writer.close
        self.observe = self._writer.observe

    @property
    def waiting(self) -> int:
        """Writes that wait for the next transaction."""
        return self._writer.waiting

    def share(self, change: Apply, at_once: AtOnce | None = None) -> None:
        """From now on `change` makes the changes of others, and `at_once` those that need no transaction. They have one maker, so that it
        may order the locks of a whole group."""
        if self._change is not None:
            raise RuntimeError("somebody shares these transactions already")
        self._change, self._at_once = change, at_once

    def _alone(self, writes: Sequence[Write]) -> Callable[[Connection], Sequence[CommittedWrite | Exception] | None] | None:
        items = [write.item for write in writes if isinstance(write.item, Pending)]
        changes = [write.change for write in writes if write.change is not None]
        if len(items) != len(writes) or (changes and self._at_once is None):
            return None

        def work(connection: Connection) -> Sequence[CommittedWrite | Exception] | None:
            beside = None if not changes or self._at_once is None else self._at_once(connection, changes)
            if changes and beside is None:
                return None
            answers = _in_place(writes, () if beside is None else beside.answers)
            if any(write.change is not None and not write.wants(answer) for write, answer in zip(writes, answers, strict=True)):
                return None
            entries = self._committer.at_once(connection, items, alone=True, beside=beside)
            if entries is None:
                return None
            return [
                entry if isinstance(entry, Exception) else CommittedWrite(answer, entry)
                for answer, entry in zip(answers, entries, strict=True)
            ]

        return work

    def _apply(self, connection: Connection, writes: Sequence[Write]) -> Sequence[CommittedWrite | Exception]:
        answers = self._changed(connection, writes)
        recorded = [
            write.item is not None and not isinstance(answer, Exception) and write.wants(answer)
            for write, answer in zip(writes, answers, strict=True)
        ]
        items = [write.item for write, wanted in zip(writes, recorded, strict=True) if wanted and write.item is not None]
        entries = iter(self._committer.apply(connection, items) if items else ())
        written: list[CommittedWrite | Exception] = []
        for answer, wanted in zip(answers, recorded, strict=True):
            entry = next(entries) if wanted else None
            failed = next((one for one in (answer, entry) if isinstance(one, Exception)), None)
            written.append(failed if failed is not None else CommittedWrite(answer, entry))  # type: ignore[arg-type]
        return written

    def _changed(self, connection: Connection, writes: Sequence[Write]) -> list[Any]:
        changes = [write.change for write in writes if write.change is not None]
        if not changes:
            return [None] * len(writes)
        if self._change is None:
            raise RuntimeError("nobody shares these transactions")
        return _in_place(writes, self._change(connection, changes))


def _in_place(writes: Sequence[Write], answers: Sequence[Any]) -> list[Any]:
    """The answers of changes, each beside the write that holds it."""
    remaining = iter(answers)
    return [None if write.change is None else next(remaining) for write in writes]
