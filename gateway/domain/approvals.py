"""Four eyes: one person asks for a duty over an exact subject, another person approves, and the act uses the approval once. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.domain.duties import Duty
from gateway.domain.obstacle import Obstacle

LASTS = timedelta(hours=1)
"""From asking to the act: after that it is asked anew."""

REASON_MOST = 500
SUBJECT_BYTES_MOST = 4096

UNKNOWN_CUSTOMER = "unknown customer: nothing is on record of them, or they were erased; check the name"
"""What a person is told who names a customer without a record: nothing is written of the name."""


class ApprovalState(StrEnum):
    """Of an approval at one moment."""

    ASKED = "asked"
    APPROVED = "approved"
    USED = "used"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffApproval:
    """`subject`: exactly what the duty is done to, in canonical JSON. People are named by `sub`, whatever their roles."""

    id: str
    duty: Duty
    subject: str
    reason: str
    asked_by: str
    asked: datetime
    expires: datetime
    approved_by: str | None = None
    used: datetime | None = None

    def state(self, now: datetime) -> ApprovalState:
        if self.used is not None:
            return ApprovalState.USED
        if now >= self.expires:
            return ApprovalState.EXPIRED
        return ApprovalState.ASKED if self.approved_by is None else ApprovalState.APPROVED

    def approve_obstacle(self, person: str, now: datetime) -> Obstacle | None:
        """Why this person cannot approve it: it is no longer `asked`, or `same_person`: nobody approves what they asked."""
        if (state := self.state(now)) is not ApprovalState.ASKED:
            return Obstacle(state.value)
        return Obstacle("same_person") if person == self.asked_by else None

    def use_obstacle(self, act: "StaffAct", now: datetime) -> Obstacle | None:
        """Why this act cannot use it: `asked` still, `used`, `expired`, or `another`: of another person, duty or subject."""
        if (self.duty, self.subject, self.asked_by) != (act.duty, act.subject, act.by):
            return Obstacle("another")
        state = self.state(now)
        return None if state is ApprovalState.APPROVED else Obstacle(state.value)


@dataclass(frozen=True, slots=True)
class StaffAct:
    """What is about to be done: which duty, over exactly what (canonical JSON), by whom."""

    duty: Duty
    subject: str
    by: str


class NotApproved(Exception):
    """`state` says why: `unknown`, `unknown_customer`, `not_needed`, or the code of the obstacle."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


def canonical(subject: Mapping[str, object]) -> str:
    """A subject in the one spelling that is compared and signed: sorted keys, no spaces (RFC 8785 for texts, whole numbers and lists)."""
    return json.dumps(subject, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
