"""A person of the bank who does a duty: who proved to be who, and how lately. Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from gateway.domain.duties import Duty, StaffRole, duty_obstacle
from gateway.domain.errors import Fault, RequestFault

SUBJECT_MOST = 64
"""Characters of a person's `sub`."""


class ProvedBy(StrEnum):
    """How a person was known. On record with everything that they do."""

    SIGN_IN = "operations"
    KEY = "officer_key"


@dataclass(frozen=True, slots=True)
class StaffMember:
    """`subject`: `sub` of the bank's OpenID provider, one for each person, whatever their roles. `strong`: two factors were used at
    `authenticated_at_s` (seconds since 1970)."""

    subject: str
    roles: frozenset[StaffRole]
    strong: bool
    authenticated_at_s: int
    proved_by: ProvedBy = ProvedBy.SIGN_IN

    def is_fresh(self, now: datetime, fresh_s: int) -> bool:
        """Whether this person signed in strongly within so many seconds. A key signs each act anew."""
        if self.proved_by is ProvedBy.KEY:
            return True
        return self.strong and now.timestamp() - self.authenticated_at_s <= fresh_s


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffRecord:
    """What the trail says of a person's act. `facts` stand in clear; `sealed` under the key of the customer whom it is about."""

    word: str
    duty: Duty
    by: str
    proved_by: ProvedBy
    at: datetime
    facts: Mapping[str, str | int]
    customer: str | None = None
    sealed: Mapping[str, str] = field(default_factory=dict)
    retention: str = "P7Y"
    """Class of the record, an ISO 8601 duration."""


def require_duty(member: StaffMember, duty: Duty, now: datetime, fresh_s: int) -> None:
    """RequestFault INSUFFICIENT_ROLE or FRESH_SIGN_IN unless the table of duties lets this person do it now."""
    obstacle = duty_obstacle(duty, member.roles, fresh=member.is_fresh(now, fresh_s))
    if obstacle is None:
        return
    if obstacle.code == "role":
        raise RequestFault(Fault.INSUFFICIENT_ROLE, f"none of your roles may {duty.rule.does}: {_listed(duty.rule.roles)} may")
    raise RequestFault(Fault.FRESH_SIGN_IN, f"sign in again, with two factors, to {duty.rule.does}")


def _listed(roles: Collection[StaffRole]) -> str:
    return " or ".join(role.value for role in StaffRole if role in roles)
