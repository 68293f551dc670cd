"""Kill switches in the gateway's database. Each change takes the epoch's row first, so that changes come one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, func, insert, literal_column, or_, select, update

from audit.store.prepared import Asked, Prepared
from gateway.domain.kill_switch import EngagedSwitches, KillSwitch, NotLifted, Scope, Subjects
from gateway.domain.obstacle import Obstacle
from gateway.store import epochs
from gateway.store.items import Item, ItemStore, Locks
from gateway.store.tables import CUSTOMERS, EPOCHS, KILL_SWITCHES
from gateway.store.times import from_us, to_us

EPOCH = "kill"

_K = KILL_SWITCHES.c
_IS_ENGAGED = _K.lifted_us.is_(literal_column("null"))
_IS_EPOCH = EPOCHS.c.name == literal_column(f"'{EPOCH}'")

KILL_EPOCH = func.coalesce(select(EPOCHS.c.value).where(_IS_EPOCH).scalar_subquery(), literal_column("0"))
"""The epoch, as a column of another question. 0 before the first switch."""

_ENGAGED = Prepared(select(KILL_EPOCH.label("epoch"), _K.scope, _K.subject).select_from(KILL_SWITCHES).where(_IS_ENGAGED))
_EPOCH = Prepared(select(KILL_EPOCH.label("epoch")))
_OVER = and_(
    _IS_ENGAGED,
    or_(
        _K.scope == literal_column("'global'"),
        and_(_K.scope == literal_column("'customer'"), _K.subject == bindparam("customer")),
        and_(_K.scope == literal_column("'client'"), _K.subject == bindparam("client")),
        and_(_K.scope == literal_column("'agent'"), _K.subject == bindparam("agent")),
        and_(_K.scope == literal_column("'function'"), _K.subject == bindparam("function")),
    ),
)
_STOPPED = Prepared(
    select(
        select(CUSTOMERS.c.frozen).where(CUSTOMERS.c.customer == bindparam("customer")).scalar_subquery().label("frozen"),
        select(_K.scope).where(_OVER).limit(literal_column("1")).scalar_subquery().label("scope"),
    )
)
_GROW = Prepared(update(EPOCHS).where(_IS_EPOCH).values(value=EPOCHS.c.value + literal_column("1")))


@dataclass(frozen=True, slots=True)
class EngageSwitch(Item[KillSwitch]):
    """Engage, unless the same is engaged already. Answered with the switch that is engaged then."""

    switch: KillSwitch

    @property
    def locks(self) -> Locks:
        return Locks(kill_switches=True)

    def apply(self, connection: Connection) -> KillSwitch:
        lock(connection)
        wanted = self.switch
        same = (_K.scope == wanted.scope.value, _K.subject == wanted.subject, _K.lifted_us.is_(None))
        row_of_same = connection.execute(select(KILL_SWITCHES).where(*same)).one_or_none()
        if row_of_same is not None:
            return _switch(row_of_same)
        row = {
            "id": wanted.id,
            "scope": wanted.scope.value,
            "subject": wanted.subject,
            "reason": wanted.reason,
            "engaged_by": wanted.engaged_by,
            "engaged_us": to_us(wanted.engaged),
        }
        connection.execute(insert(KILL_SWITCHES), [row])
        _GROW.one(connection, {})
        return wanted


@dataclass(frozen=True, slots=True)
class LiftSwitch(Item[KillSwitch]):
    """One officer's word that a switch may go. The second one's lifts it. Answered with the switch; NotLifted."""

    id: str
    by: str
    at: datetime

    @property
    def locks(self) -> Locks:
        return Locks(kill_switches=True)

    def apply(self, connection: Connection) -> KillSwitch | NotLifted:
        lock(connection)
        switch = find(connection, self.id)
        obstacle = Obstacle("unknown") if switch is None else switch.lift_obstacle(self.by)
        if switch is None or obstacle is not None:
            return NotLifted("unknown" if obstacle is None else obstacle.code)
        first = {"first_lift_by": self.by, "first_lift_us": to_us(self.at)}
        second = {"lifted_by": self.by, "lifted_us": to_us(self.at)}
        change = update(KILL_SWITCHES).where(_K.id == self.id).values(first if switch.first_lift_by is None else second)
        connection.execute(change)
        if switch.first_lift_by is None:
            return replace(switch, first_lift_by=self.by)
        _GROW.one(connection, {})
        return replace(switch, lifted_by=self.by)


def engaged(connection: Connection) -> EngagedSwitches:
    """The epoch and the switches, of one statement: they belong together."""
    rows = _ENGAGED.rows(connection, {})
    if rows:
        (epoch, _, _), *_ = rows
        return EngagedSwitches(epoch, frozenset((scope, subject) for _, scope, subject in rows))
    ((epoch,),) = _EPOCH.rows(connection, {})
    return EngagedSwitches(epoch, frozenset())


def stopped(subjects: Subjects) -> Asked[Obstacle | None]:
    """Why an effect may not happen now: `frozen` (also a customer without a row), or `killed_` and a scope. One statement."""
    named = {"customer": subjects.customer, "client": subjects.client, "agent": subjects.agent, "function": subjects.function}
    return Asked(_STOPPED, named, _obstacle)


def _obstacle(rows: Sequence[Any]) -> Obstacle | None:
    ((frozen, scope),) = rows
    if scope is not None:
        return Obstacle(f"killed_{scope}")
    return None if frozen is not None and not frozen else Obstacle("frozen")


def lock(connection: Connection) -> None:
    """Until the transaction ends. Before any other lock of it, so that two processes cannot wait for each other."""
    epochs.lock(connection, EPOCH)


def find(connection: Connection, switch: str) -> KillSwitch | None:
    row = connection.execute(select(KILL_SWITCHES).where(_K.id == switch)).one_or_none()
    return None if row is None else _switch(row)


def listed(connection: Connection) -> list[KillSwitch]:
    """Those that are engaged, the oldest first."""
    rows = connection.execute(select(KILL_SWITCHES).where(_K.lifted_us.is_(None)).order_by(_K.engaged_us, _K.id))
    return [_switch(row) for row in rows]


def _switch(row: Any) -> KillSwitch:
    return KillSwitch(
        id=row.id,
        scope=Scope(row.scope),
        subject=row.subject,
        reason=row.reason,
        engaged_by=row.engaged_by,
        engaged=from_us(row.engaged_us),
        first_lift_by=row.first_lift_by,
        lifted_by=row.lifted_by,
    )


@dataclass(frozen=True, slots=True)
class SqlKillSwitches:
    """The `KillSwitchStore` on the gateway's database."""

    store: ItemStore

    async def engage(self, wanted: KillSwitch) -> KillSwitch:
        return await self.store.write(EngageSwitch(wanted))

    async def lift(self, switch: str, officer: str, at: datetime) -> KillSwitch:
        return await self.store.write(LiftSwitch(switch, officer, at))

    async def find(self, switch: str) -> KillSwitch | None:
        return await self.store.read(lambda connection: find(connection, switch))

    async def engaged(self) -> Sequence[KillSwitch]:
        return await self.store.read(listed)
