"""The states of what is kept, and the statuses of what is answered. Closed and stable: they stand in databases, records and answers. Pure.

Which state follows which is held by the database itself (`gateway.store.transitions`).
"""

from enum import StrEnum
from typing import Final, Literal, TypeAlias


class CallState(StrEnum):
    """Of a call with an effect, and so of its hold on the limits."""

    PENDING = "pending"
    """Claimed; it may be under way."""
    UNKNOWN = "unknown"
    """The core was asked, and nobody knows whether it happened. It holds on to the limits."""
    POSTED = "posted"
    VOIDED = "voided"


RELEASED: Final = "released"
"""What a call is settled as that did not happen: no state, since its row is deleted, as if it had not been asked for."""

SettledAs: TypeAlias = CallState | Literal["released"]


class ProposalState(StrEnum):
    """Of what a customer is to confirm."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    """The end at L3; at L4 a second person approves or declines it."""
    APPROVED = "approved"
    DECLINED = "declined"
    EXPIRED = "expired"


class RunState(StrEnum):
    """Of a run, as the Assistants API calls its `status`."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    REQUIRES_ACTION = "requires_action"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    EXPIRED = "expired"

    @property
    def is_active(self) -> bool:
        """Whether the run has not ended: nothing may come into its thread before it has."""
        return self in ACTIVE_RUNS


ACTIVE_RUNS = (RunState.QUEUED, RunState.IN_PROGRESS, RunState.REQUIRES_ACTION, RunState.CANCELLING)


class StepStatus(StrEnum):
    """Of a step of a run."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    EXPIRED = "expired"


class SwitchState(StrEnum):
    """Of a kill switch."""

    ENGAGED = "engaged"
    HALF_LIFTED = "half_lifted"
    """One officer agreed to lift it; it stops the same."""
    LIFTED = "lifted"


class CallStatus(StrEnum):
    """What the caller is told became of a call."""

    DONE = "done"
    DENIED = "denied"
    HELD = "held"
    """It waits for the customer."""
    IN_DOUBT = "in_doubt"
    """Nobody knows yet; it must not be repeated."""
    UNAVAILABLE = "unavailable"
    """Nothing happened; it may be asked for again."""
    UNKNOWN = "unknown"
    """Of a run alone: nobody knew when the run had to go on, and the model is told so."""

    @property
    def is_open(self) -> bool:
        """Whether something is still to come."""
        return self in (CallStatus.HELD, CallStatus.IN_DOUBT)


class IndexState(StrEnum):
    """Of a file in a vector store, as the API calls its `status`."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"
