"""What one person asks and another approves, in the gateway's database. An approval is used once, in whichever process asks first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from gateway.domain.approvals import NotApproved, StaffAct, StaffApproval
from gateway.domain.duties import Duty
from gateway.domain.obstacle import Obstacle
from gateway.store.items import Item, ItemStore
from gateway.store.staff_tables import STAFF_APPROVALS
from gateway.store.times import from_us, to_us

_A = STAFF_APPROVALS.c


@dataclass(frozen=True, slots=True)
class AskApproval(Item[None]):
    """One person asks. `customer`: whom it is about, whose erasure takes it along."""

    approval: StaffApproval
    customer: str | None

    def apply(self, connection: Connection) -> None:
        asked = self.approval
        row = {
            "id": asked.id,
            "duty": asked.duty.value,
            "subject": asked.subject,
            "reason": asked.reason,
            "customer": self.customer,
            "asked_by": asked.asked_by,
            "asked_us": to_us(asked.asked),
            "expires_us": to_us(asked.expires),
        }
        connection.execute(insert(STAFF_APPROVALS), [row])


@dataclass(frozen=True, slots=True)
class GiveApproval(Item[StaffApproval]):
    """Another person approves. NotApproved."""

    id: str
    by: str
    at: datetime

    def apply(self, connection: Connection) -> StaffApproval | NotApproved:
        asked = _found(connection, self.id, locked=True)
        obstacle = Obstacle("unknown") if asked is None else asked.approve_obstacle(self.by, self.at)
        if asked is None or obstacle is not None:
            return NotApproved("unknown" if obstacle is None else obstacle.code)
        connection.execute(update(STAFF_APPROVALS).where(_A.id == self.id).values(approved_by=self.by, approved_us=to_us(self.at)))
        return replace(asked, approved_by=self.by)


@dataclass(frozen=True, slots=True)
class UseApproval(Item[StaffApproval]):
    """The act uses it, once and for all. NotApproved."""

    id: str
    act: StaffAct
    at: datetime

    def apply(self, connection: Connection) -> StaffApproval | NotApproved:
        given = _found(connection, self.id, locked=True)
        obstacle = Obstacle("unknown") if given is None else given.use_obstacle(self.act, self.at)
        if given is None or obstacle is not None:
            return NotApproved("unknown" if obstacle is None else obstacle.code)
        connection.execute(update(STAFF_APPROVALS).where(_A.id == self.id).values(used_us=to_us(self.at)))
        return replace(given, used=self.at)


@dataclass(frozen=True, slots=True)
class SqlApprovals:
    """What waits, of the gateway's database. Changes are made with the record of them: `oversight.approvals`. Unavailable."""

    store: ItemStore

    async def find(self, approval: str) -> StaffApproval | None:
        return await self.store.read(lambda connection: _found(connection, approval))

    async def waiting(self, now: datetime) -> Sequence[StaffApproval]:
        """Those that may still be approved or used, the oldest first."""
        is_open = (_A.used_us.is_(None), _A.expires_us > to_us(now))
        question = select(STAFF_APPROVALS).where(*is_open).order_by(_A.asked_us, _A.id).limit(200)
        return await self.store.read(lambda connection: [_approval(row) for row in connection.execute(question)])

    async def of_act(self, act: StaffAct, now: datetime) -> StaffApproval | None:
        """What was asked for exactly this act and is neither used nor expired: the newest that is approved, else the newest."""
        is_of = (_A.asked_by == act.by, _A.duty == act.duty.value, _A.subject == act.subject)
        is_open = (_A.used_us.is_(None), _A.expires_us > to_us(now))
        newest = (_A.approved_us.is_(None), _A.asked_us.desc())
        question = select(STAFF_APPROVALS).where(*is_of, *is_open).order_by(*newest).limit(1)

        def ask(connection: Connection) -> StaffApproval | None:
            row = connection.execute(question).one_or_none()
            return None if row is None else _approval(row)

        return await self.store.read(ask)


def _found(connection: Connection, approval: str, *, locked: bool = False) -> StaffApproval | None:
    """`locked`: nobody else changes it until the transaction ends. SQLite's one writer has it so anyway."""
    question = select(STAFF_APPROVALS).where(_A.id == approval)
    row = connection.execute(question.with_for_update() if locked else question).one_or_none()
    return None if row is None else _approval(row)


def _approval(row: Any) -> StaffApproval:
    return StaffApproval(
        id=row.id,
        duty=Duty(row.duty),
        subject=row.subject,
        reason=row.reason,
        asked_by=row.asked_by,
        asked=from_us(row.asked_us),
        expires=from_us(row.expires_us),
        approved_by=row.approved_by,
        used=None if row.used_us is None else from_us(row.used_us),
    )
