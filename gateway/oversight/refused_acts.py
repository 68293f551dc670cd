"""What people of the bank tried and may not do, on record as refused calls are; so many of each person, and beyond that counted.

A refusal stays one whatever becomes of its record.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway.domain.duties import Duty
from gateway.domain.errors import Fault, RequestFault, Unavailable
from gateway.domain.staff import StaffMember, StaffRecord

RECORDED = frozenset({Fault.INSUFFICIENT_ROLE, Fault.FRESH_SIGN_IN, Fault.SAME_PERSON, Fault.SAME_OFFICER})
"""Refusals of a person. What was mistyped, came too late or was done already is no attempt."""

HOURLY_MOST = 20
"""Records of one person in an hour, in each process."""


class RefusalTrail(Protocol):
    """Where they are recorded. Unavailable."""

    async def staff_act(self, told: StaffRecord, change: None) -> None: ...


@dataclass(slots=True)
class _Hour:
    """Of one person: since when, how many stand on record, and how many do not yet stand in any."""

    began: datetime
    recorded: int = 0
    beyond: int = 0


@dataclass(frozen=True, slots=True)
class RefusedActs:
    """Of one process. It remembers people by their `sub`: as many as have a role at the bank."""

    trail: RefusalTrail
    clock: Callable[[], datetime]
    _hours: dict[str, _Hour] = field(default_factory=dict)

    async def record(self, member: StaffMember, duty: Duty, refused: RequestFault) -> None:
        """Put it on record, with how many of this person's were only counted before."""
        if refused.fault not in RECORDED:
            return
        at = self.clock()
        hour = self._hours.setdefault(member.subject, _Hour(at))
        if (at - hour.began).total_seconds() >= 3_600:
            hour.began, hour.recorded = at, 0
        if hour.recorded >= HOURLY_MOST:
            hour.beyond += 1
            return
        hour.recorded += 1
        counted, hour.beyond = hour.beyond, 0
        facts = {"code": refused.fault.value, "not_recorded": counted}
        told = StaffRecord(word="refused", duty=duty, by=member.subject, proved_by=member.proved_by, at=at, facts=facts)
        try:
            await self.trail.staff_act(told, None)
        except Unavailable:
            hour.beyond += counted + 1
