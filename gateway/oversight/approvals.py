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
from gateway.domain.staff import StaffMember, StaffRecord
from gateway.store.approvals import AskApproval, GiveApproval, SqlApprovals, UseApproval

_OF_CUSTOMERS, _OF_NOBODY = "P13M", "P7Y"
"""What is sealed of a customer goes with an erasure: that it was approved must keep nothing of them under a legal minimum."""

T = TypeVar("T")

Signs = Callable[[Duty, Mapping[str, object], datetime], Mapping[str, str]]
"""A person's key signs what they do: the statement, its signature and which key, for the record."""


class StaffTrail(Protocol):
    """Where what people do is recorded, together with its change: both are durable when it returns, or neither is. Unavailable."""

    async def staff_act(self, told: StaffRecord, change: BookChange[T]) -> T: ...

    async def knows(self, customer: str) -> bool:
        """Whether there is a record of this customer. Unavailable."""


@dataclass(frozen=True, slots=True)
class Approvals:
    """`subject` of a duty is what it is done to, as plain members; `customer` among them names the person whom it is about. `signs`: where
    people act by a key."""

    store: SqlApprovals
    trail: StaffTrail
    clock: Callable[[], datetime]
    signs: Signs | None = None

    async def ask(self, member: StaffMember, duty: Duty, subject: Mapping[str, object], reason: str) -> StaffApproval:
        """One person asks. NotApproved `not_needed`: the duty needs no approval; `unknown_customer`: nothing is on record of whom the
        subject names, so a name that was mistyped, or somebody's whom the bank does not know, gets no pseudonym and no keys."""
        if not duty.rule.needs_approval:
            raise NotApproved("not_needed")
        customer = customer_of(canonical(subject))
        if customer is not None and not await self.trail.knows(customer):
            raise NotApproved("unknown_customer")
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
        await self.trail.staff_act(self._told("approval_asked", Duty.ASK_APPROVAL, asked, member), AskApproval(asked, customer))
        return asked

    async def give(self, member: StaffMember, approval: str) -> StaffApproval:
        """Another person approves. NotApproved."""
        at, asked = self.clock(), await self.find(approval)
        told = self._told("approval_given", Duty.APPROVE, asked, member)
        return await self.trail.staff_act(told, GiveApproval(approval, member.subject, at))

    async def use(self, member: StaffMember, approval: str, act: StaffAct) -> StaffApproval:
        """The act begins: from now on the approval is used, whatever becomes of the act. NotApproved."""
        at, given = self.clock(), await self.find(approval)
        told = self._told("approval_used", given.duty, given, member)
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

    async def of_act(self, act: StaffAct) -> StaffApproval | None:
        """What this person asked for exactly this and may still be approved or used: one that is approved, if there is any."""
        return await self.store.of_act(act, self.clock())

    def _told(self, word: str, duty: Duty, approval: StaffApproval, member: StaffMember) -> StaffRecord:
        """Of a customer the trail keeps the subject, the reason and what was signed sealed; otherwise they stand in clear. `duty` is what
        this person does; the record names the one that is approved."""
        at, customer = self.clock(), customer_of(approval.subject)
        facts = {"approval": approval.id}
        told = {"subject": approval.subject if customer is not None else of_nobody(approval.subject), "reason": approval.reason}
        if self.signs is not None:
            signed = dict(self.signs(duty, {"word": word, "approval": approval.id, **told}, at))
            told["statement"] = signed.pop("statement")
            facts |= signed
        if customer is None:
            facts |= {**told, "subject_sha256": sha256(told["subject"].encode()).hexdigest()}
        return StaffRecord(
            word=word,
            duty=approval.duty,
            by=member.subject,
            proved_by=member.proved_by,
            at=at,
            facts=facts,
            customer=customer,
            sealed=told if customer is not None else {},
            retention=_OF_CUSTOMERS if customer is not None else _OF_NOBODY,
        )


def customer_of(subject: str) -> str | None:
    """The person whom a subject names, if it names one."""
    members = json.loads(subject)
    named = next((members[name] for name in ("customer", "about", "shown") if name in members), None)
    return named if isinstance(named, str) else None


def of_nobody(subject: str) -> str:
    """What the trail keeps in clear of a subject that names no customer: not whom a payee names, who may be a person."""
    members = json.loads(subject)
    return canonical({**members, "payee": "given"}) if "payee" in members else subject
