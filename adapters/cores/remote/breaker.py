"""A circuit breaker: a core that fails is left alone for a while. Pure: the time is handed in, from one monotonic clock.

closed      everything goes; enough failures within the window, and not fewer than successes: open
open        nothing goes, until it has been open for `cool_s`
half-open   one question goes, as the probe, and never an instruction; answered: closed; failed: open, for twice as long
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerLimits:
    """When it opens and for how long. Times in seconds."""

    failures: int = 8
    """So many failures within the window open it, unless more was answered in the window."""
    window_s: float = 10.0
    cool_s: float = 1.0
    cool_most_s: float = 30.0
    remembered: int = 1024
    """Outcomes that are kept; older ones are forgotten."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Leave to go once. Whoever holds it hands it back, with what came of it, exactly once."""

    turn: int
    is_probe: bool


class Breaker:
    """One core's breaker. Not for several threads."""

    def __init__(
        self, limits: BreakerLimits | None = None, *, moved: Callable[[State, int], None] = lambda _state, _failures: None
    ) -> None:
        """`moved` is told each new state, with the failures that were in the window."""
        self._limits = limits or BreakerLimits()
        self._moved = moved
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=self._limits.remembered)
        self._failures = 0
        self._state = State.CLOSED
        self._turn = 0
        """Counts the states: what began in an earlier one says nothing about this one."""
        self._opened_at = 0.0
        self._cool_s = self._limits.cool_s
        self._is_probing = False

    @property
    def state(self) -> State:
        return self._state

    def question(self, now: float) -> Ticket | None:
        """Leave to ask something without an effect; None while the core is left alone."""
        if self._state is State.OPEN and now >= self._opened_at + self._cool_s:
            self._become(State.HALF_OPEN)
        if self._state is State.CLOSED:
            return Ticket(self._turn, is_probe=False)
        if self._state is State.HALF_OPEN and not self._is_probing:
            self._is_probing = True
            return Ticket(self._turn, is_probe=True)
        return None

    def instruction(self) -> Ticket | None:
        """Leave to send an instruction: only while closed, since nobody probes with money."""
        return Ticket(self._turn, is_probe=False) if self._state is State.CLOSED else None

    def ended(self, ticket: Ticket, now: float, *, answered: bool | None) -> None:
        """What came of it: an answer (a refusal is one too), a failure, or None when nobody waited for the end."""
        if ticket.turn != self._turn:
            return
        if ticket.is_probe:
            self._probed(now, answered)
        elif answered is not None:
            self._count(now, answered)

    def _probed(self, now: float, answered: bool | None) -> None:
        self._is_probing = False
        if answered is None:
            return  # the next question probes
        if answered:
            self._cool_s = self._limits.cool_s
            self._become(State.CLOSED)
        else:
            self._cool_s = min(self._cool_s * 2, self._limits.cool_most_s)
            self._open(now)

    def _count(self, now: float, answered: bool) -> None:
        if len(self._outcomes) == self._outcomes.maxlen:
            self._forget()
        self._outcomes.append((now, answered))
        self._failures += not answered
        while self._outcomes[0][0] <= now - self._limits.window_s:
            self._forget()
        if not answered and self._failures >= self._limits.failures and self._failures * 2 >= len(self._outcomes):
            self._open(now)

    def _forget(self) -> None:
        _, answered = self._outcomes.popleft()
        self._failures -= not answered

    def _open(self, now: float) -> None:
        self._opened_at = now
        self._become(State.OPEN)

    def _become(self, state: State) -> None:
        failures = self._failures
        self._state = state
        self._turn += 1
        self._is_probing = False
        self._outcomes.clear()
        self._failures = 0
        self._moved(state, failures)
