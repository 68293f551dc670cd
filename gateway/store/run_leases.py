"""Which worker has a run, and until when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, literal_column, select, update

from audit.store.prepared import Prepared
from gateway.domain.states import RunState
from gateway.store.items import Item
from gateway.store.runs import Run, run_of
from gateway.store.tables import RUNS
from gateway.store.times import to_us

_R = RUNS.c

_DUE = Prepared(
    select(RUNS)
    .where(_R.due_us <= bindparam("now_us"))
    .order_by(_R.due_us)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_ANY_DUE = Prepared(select(_R.id).where(_R.due_us <= bindparam("now_us")).limit(literal_column("1")))
_LEASE = Prepared(update(RUNS).where(_R.id == bindparam("run")).values(lease=bindparam("new_lease"), due_us=bindparam("until_us")))


@dataclass(frozen=True, slots=True)
class LeaseRuns(Item[Sequence[Run]]):
    """Take what is due, `most` at once; nobody else gets it before `until`."""

    lease: str
    at: datetime
    until: datetime
    most: int

    def apply(self, connection: Connection) -> Sequence[Run]:
        due = [run_of(row) for row in _DUE.rows(connection, {"now_us": to_us(self.at), "most": self.most})]
        if due:
            until_us = to_us(self.until)
            _LEASE.many(connection, [{"run": run.id, "new_lease": self.lease, "until_us": until_us} for run in due])
        return [replace(run, lease=self.lease) for run in due]


@dataclass(frozen=True, slots=True)
class RenewLeases(Item[Mapping[str, RunState]]):
    """Answered with the states of those of these runs that the lease still has."""

    lease: str
    runs: tuple[str, ...]
    until: datetime

    def apply(self, connection: Connection) -> Mapping[str, RunState]:
        mine = (_R.id.in_(self.runs), _R.lease == self.lease)
        connection.execute(update(RUNS).where(*mine).values(due_us=to_us(self.until)))
        return {row.id: RunState(row.state) for row in connection.execute(select(_R.id, _R.state).where(*mine))}


@dataclass(frozen=True, slots=True)
class FreeLeases(Item[None]):
    """Nobody has any run: the only process that could has just started. What was had is due."""

    at: datetime

    def apply(self, connection: Connection) -> None:
        connection.execute(update(RUNS).where(_R.lease.is_not(None)).values(lease=None, due_us=to_us(self.at)))


def is_any_due(connection: Connection, at: datetime) -> bool:
    """Whether somebody must look at a run now."""
    return bool(_ANY_DUE.rows(connection, {"now_us": to_us(at)}))
