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

Apply = Callable[[Connection, Sequence[Any]], Sequence[Any]]
"""Makes changes, and answers each: an exception means that this one was not made. What it raises rolls the group back."""


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
        self._writer: GroupWriter[Write, CommittedWrite] = GroupWriter(
            lane, self._apply, alone=self._alone, committed=self._committer.committed, failed=committer.failed
        )
        self.submit = self._writer.submit
        self.close = self._writer.close

    def share(self, change: Apply) -> None:
        """From now on `change` makes the changes of others. They have one maker, so that it may order the locks of a whole group."""
        if self._change is not None:
            raise RuntimeError("somebody shares these transactions already")
        self._change = change

    def _alone(self, writes: Sequence[Write]) -> Callable[[Connection], Sequence[CommittedWrite | Exception] | None] | None:
        items = [write.item for write in writes if write.change is None and isinstance(write.item, Pending)]
        if len(items) != len(writes):
            return None

        def work(connection: Connection) -> Sequence[CommittedWrite | Exception] | None:
            entries = self._committer.at_once(connection, items, alone=True)
            if entries is None:
                return None
            return [entry if isinstance(entry, Exception) else CommittedWrite(entry=entry) for entry in entries]

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
        answers = iter(self._change(connection, changes))
        return [None if write.change is None else next(answers) for write in writes]
