"""The breaker against a model: what may go in which state, what opens and closes it, and that no probe is lost."""

from dataclasses import dataclass

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from adapters.cores.remote.breaker import Breaker, BreakerLimits, State, Ticket

LIMITS = BreakerLimits(failures=3, window_s=10.0, cool_s=1.0, cool_most_s=4.0, remembered=8)


@dataclass
class Out:
    """A ticket that somebody holds."""

    ticket: Ticket
    is_stale: bool = False
    """It was given in an earlier state."""


class BreakerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.seen: list[tuple[State, int]] = []
        self.breaker = Breaker(LIMITS, moved=lambda state, failures: self.seen.append((state, failures)))
        self.out: list[Out] = []
        # the model: its state, the outcomes of the present closed state, until when it is open, for how long it opens next
        self.state = State.CLOSED
        self.outcomes: list[tuple[float, bool]] = []
        self.open_until = 0.0
        self.cool = LIMITS.cool_s
        self.probe: Ticket | None = None

    @rule(by=st.sampled_from([0.0, 0.25, 1.0, 5.0, 11.0]))
    def time_goes_by(self, by: float) -> None:
        self.now += by

    @rule()
    def a_question(self) -> None:
        if self.state is State.OPEN and self.now >= self.open_until:
            self._becomes(State.HALF_OPEN)
        ticket = self.breaker.question(self.now)
        assert (ticket is not None) == (self.state is State.CLOSED or (self.state is State.HALF_OPEN and self.probe is None))
        if ticket is not None:
            assert ticket.is_probe == (self.state is State.HALF_OPEN)
            self.probe = ticket if ticket.is_probe else self.probe
            self.out.append(Out(ticket))

    @rule()
    def an_instruction(self) -> None:
        ticket = self.breaker.instruction()
        assert (ticket is not None) == (self.state is State.CLOSED), "nobody probes with money"
        if ticket is not None:
            assert not ticket.is_probe
            self.out.append(Out(ticket))

    @precondition(lambda self: self.out)
    @rule(pick=st.integers(0, 99), answered=st.sampled_from([True, False, False, None]))
    def an_end(self, pick: int, answered: bool | None) -> None:
        out = self.out.pop(pick % len(self.out))
        ended = out.ticket
        self.breaker.ended(ended, self.now, answered=answered)
        if out.is_stale or answered is None:
            if ended is self.probe:
                self.probe = None
            return
        if ended is self.probe:
            self.probe = None
            if answered:
                self.cool = LIMITS.cool_s
                self._becomes(State.CLOSED)
            else:
                self.cool = min(self.cool * 2, LIMITS.cool_most_s)
                self._opens()
            return
        self.outcomes = [*self.outcomes, (self.now, answered)][-LIMITS.remembered :]
        self.outcomes = [outcome for outcome in self.outcomes if outcome[0] > self.now - LIMITS.window_s]
        failures = sum(not outcome for _, outcome in self.outcomes)
        if not answered and failures >= LIMITS.failures and failures * 2 >= len(self.outcomes):
            self._opens()

    @precondition(lambda self: self.state is State.CLOSED)
    @rule()
    def it_fails_until_it_opens(self) -> None:
        while self.state is State.CLOSED:
            self.a_question()
            self.an_end(len(self.out) - 1, answered=False)

    def _opens(self) -> None:
        self.open_until = self.now + self.cool
        self._becomes(State.OPEN)

    def _becomes(self, state: State) -> None:
        self.state = state
        self.outcomes, self.probe = [], None
        for item in self.out:
            item.is_stale = True

    @invariant()
    def they_agree(self) -> None:
        if not (self.state is State.HALF_OPEN and self.breaker.state is State.OPEN):
            assert self.breaker.state is self.state
        assert len([item for item in self.out if item.ticket is self.probe]) <= 1


BreakerMachine.TestCase.settings = settings(stateful_step_count=40)
TestBreaker = BreakerMachine.TestCase


def opened() -> tuple[Breaker, list[State]]:
    told: list[State] = []
    breaker = Breaker(LIMITS, moved=lambda state, _failures: told.append(state))
    for _ in range(LIMITS.failures):
        ticket = breaker.instruction()
        assert ticket is not None
        breaker.ended(ticket, 0.0, answered=False)
    return breaker, told


def test_it_opens_probes_once_and_closes_and_says_each() -> None:
    breaker, told = opened()
    assert (breaker.question(0.9), breaker.instruction()) == (None, None)
    probe = breaker.question(1.0)
    assert probe is not None
    assert (breaker.question(1.0), breaker.instruction()) == (None, None), "one question at a time, and no instruction"
    breaker.ended(probe, 1.1, answered=True)
    assert told == [State.OPEN, State.HALF_OPEN, State.CLOSED]
    assert breaker.instruction() is not None


def test_a_probe_that_nobody_waits_for_is_not_lost() -> None:
    breaker, _ = opened()
    probe = breaker.question(1.0)
    assert probe is not None
    breaker.ended(probe, 1.1, answered=None)
    assert breaker.question(1.2) is not None


def test_what_began_before_it_opened_says_nothing_about_now() -> None:
    breaker = Breaker(LIMITS)
    early = [breaker.question(0.0) for _ in range(LIMITS.failures)]
    for _ in range(LIMITS.failures):
        ticket = breaker.question(0.0)
        assert ticket is not None
        breaker.ended(ticket, 0.0, answered=False)
    probe = breaker.question(1.0)
    assert probe is not None
    breaker.ended(probe, 1.0, answered=True)
    for item in early:
        assert item is not None
        breaker.ended(item, 1.0, answered=False)
    assert breaker.state is State.CLOSED


def test_each_probe_that_fails_doubles_the_rest_up_to_a_most() -> None:
    breaker, _ = opened()
    now = 1.0
    for rest in (2.0, 4.0, 4.0):
        probe = breaker.question(now)
        assert probe is not None
        breaker.ended(probe, now, answered=False)
        assert breaker.question(now + rest - 0.01) is None
        now += rest
    probe = breaker.question(now)
    assert probe is not None
    breaker.ended(probe, now, answered=True)
    for _ in range(LIMITS.failures):
        ticket = breaker.question(now)
        assert ticket is not None
        breaker.ended(ticket, now, answered=False)
    assert breaker.question(now + LIMITS.cool_s) is not None, "the first rest is short again"


def test_few_failures_among_many_answers_do_not_open_it() -> None:
    breaker = Breaker(LIMITS)
    for number in range(40):
        ticket = breaker.question(float(number) / 10)
        assert ticket is not None
        breaker.ended(ticket, float(number) / 10, answered=number % 3 != 0)
    assert breaker.state is State.CLOSED
