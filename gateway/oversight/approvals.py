"""Four eyes over HTTP and for commands: asking, approving, and using an approval, each durable together with the record of it.

Must never let an act go on that could not be recorded, nor take the word of the person who asked for that of a second one.
"""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Protocol, TypeVar

from gateway.domain.approvals import LASTS, NotApproved, StaffAct, StaffApproval, canonical
from gateway.domain.duties import Duty
from gateway.domain.ports import BookChange
from gateway.domain.staff import ProvedBy, StaffMember, StaffRecord
from gateway.store.approvals import AskApproval, GiveApproval, SqlApprovals, UseApproval

T = TypeVar("T")


class StaffTrail(Protocol):
    """Where what people do is recorded, together with its change: both are durable when it returns, or neither is. Unavailable."""

    async def staff_act(self, told: StaffRecord, change: BookChange[T]) -> T: ...


@dataclass(frozen=True, slots=True)
class Approvals:
    """`subject` of a duty is what it is done to, as plain members; `customer` among them names the person whom it is about."""

    store: SqlApprovals
    trail: StaffTrail
    clock: Callable[[], datetime]

    async def ask(self, member: StaffMember, duty: Duty, subject: Mapping[str, object], reason: str) -> StaffApproval:
        """One person asks. NotApproved `not_needed`: the duty needs no approval."""
        if not duty.rule.needs_approval:
            raise NotApproved("not_needed")
        at = self.clock()
        asked = StaffApproval(
            id=f"apr_{secrets.token_hex(16)}",
            duty=duty,
            subject=canonical(subject),
            reason=reason,
            asked_by=member.subject,
            asked=at,
            expires=at + LASTS,
        )
        customer = customer_of(asked.subject)
        await self.trail.staff_act(
            _told("approval_asked", asked, member.subject, member.proved_by, at), AskApproval(asked, customer)
        )
        return asked

    async def give(self, member: StaffMember, approval: str) -> StaffApproval:
        """Another person approves. NotApproved."""
        at, asked = self.clock(), await self.find(approval)
        told = _told("approval_given", asked, member.subject, member.proved_by, at)
        return await self.trail.staff_act(told, GiveApproval(approval, member.subject, at))

    async def use(self, member: StaffMember, approval: str, act: StaffAct) -> StaffApproval:
        """The act begins: from now on the approval is used, whatever becomes of the act. NotApproved."""
        at, given = self.clock(), await self.find(approval)
        told = _told("approval_used", given, member.subject, member.proved_by, at)
        return await self.trail.staff_act(told, UseApproval(approval, act, at))

    async def find(self, approval: str) -> StaffApproval:
        """NotApproved `unknown`."""
        found = await self.store.find(approval)
        if found is None:
            raise NotApproved("unknown")
        return found

    async def waiting(self) -> Sequence[StaffApproval]:
        """What may still be approved or used, the oldest first; 200 at most."""
        return await self.store.waiting(self.clock())


def customer_of(subject: str) -> str | None:
    """The person whom a subject names, if it names one."""
    named = json.loads(subject).get("customer")
    return named if isinstance(named, str) else None


def _told(word: str, approval: StaffApproval, by: str, proved_by: ProvedBy, at: datetime) -> StaffRecord:
    """Of a customer the trail keeps the subject and the reason sealed; otherwise they stand in clear."""
    customer = customer_of(approval.subject)
    facts = {"approval": approval.id}
    told = {"subject": approval.subject, "reason": approval.reason}
    if customer is None:
        facts |= {**told, "subject_sha256": sha256(approval.subject.encode()).hexdigest()}
    return StaffRecord(
        word=word,
        duty=approval.duty,
        by=by,
        proved_by=proved_by,
        at=at,
        facts=facts,
        customer=customer,
        sealed=told if customer is not None else {},
    )
