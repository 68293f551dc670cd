"""Kill switches over everything, a customer, a client, an agent or a function. Pure; code, beyond the policies (banking.md G-11).

What protects the customer (freezing a card, reporting fraud, asking for a human) stays open under every switch.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.domain.errors import Code, Refusal
from gateway.domain.obstacle import Obstacle
from gateway.domain.states import SwitchState


class Scope(StrEnum):
    """What a switch stops, the widest first. Its subject is the customer's, agent's, client's or function's name; empty for the whole
    gateway. An agent (`act.sub` of a token, or the assistant of a run) and a client (`client_id`) of one name are two.
    """

    GLOBAL = "global"
    CUSTOMER = "customer"
    CLIENT = "client"
    AGENT = "agent"
    FUNCTION = "function"


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitch:
    """A kill switch that is engaged, half lifted (one officer agreed), or lifted (a second one did)."""

    id: str
    scope: Scope
    subject: str
    reason: str
    engaged_by: str
    engaged: datetime
    first_lift_by: str | None = None
    lifted_by: str | None = None

    @property
    def state(self) -> SwitchState:
        if self.lifted_by is not None:
            return SwitchState.LIFTED
        return SwitchState.ENGAGED if self.first_lift_by is None else SwitchState.HALF_LIFTED

    def lift_obstacle(self, officer: str) -> Obstacle | None:
        """Why this officer cannot lift it: `lifted` already, or `same_officer`: who gave the first lift gives no second."""
        if self.state is SwitchState.LIFTED:
            return Obstacle("lifted")
        return Obstacle("same_officer") if self.first_lift_by == officer else None


@dataclass(frozen=True, slots=True)
class Subjects:
    """Of one call, what a switch may name. `agent` None: the customer's own device asks."""

    customer: str
    client: str
    agent: str | None
    function: str


@dataclass(frozen=True, slots=True)
class EngagedSwitches:
    """The switches that are engaged, as (scope, subject), and the epoch that grows with each change of them."""

    epoch: int
    engaged: frozenset[tuple[str, str]]

    def over(self, subjects: Subjects) -> str | None:
        """The widest scope that stops this; None: nothing does."""
        if not self.engaged:
            return None
        named = zip(Scope, ("", subjects.customer, subjects.client, subjects.agent, subjects.function), strict=True)
        return next((scope.value for scope, subject in named if (scope.value, subject) in self.engaged), None)


class NotLifted(Exception):
    """`state` says why: `unknown`, `lifted` already, or `same_officer`: who gave the first lift gives no second."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class Killed(Refusal):
    """A kill switch is engaged over this call. The model learns only that it is denied."""

    def __init__(self, scope: str) -> None:
        super().__init__(Code.DENIED, f"killed_{scope}")
