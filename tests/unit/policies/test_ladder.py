"""What is asked at which rung, and what becomes of the answers."""

from collections.abc import Sequence

import pytest

from policies import ladder
from policies.ladder import Tally
from policies.model import Assurance, Decision, PolicyEffect, Reason

REASONS = {"floor": Reason.LEVEL, "confirm": Reason.CONFIRMATION, "limit": Reason.LIMIT, "granted": Reason.MANDATED}


class Rungs:
    """Answers by rung, and what was asked."""

    def __init__(self, **answers: Tally) -> None:
        self.asked: list[int] = []
        self._answers = answers

    def __call__(self, rungs: Sequence[Assurance]) -> list[Tally]:
        self.asked.extend(rungs)
        return [self._answers[f"l{int(rung)}"] for rung in rungs]


GRANTED = Tally(True, ("granted",))


def test_a_permit_is_asked_once() -> None:
    ask = Rungs(l1=GRANTED)
    assert ladder.judge(Assurance.SESSION, ask, REASONS) == Decision(PolicyEffect.PERMIT, Reason.MANDATED, ("granted",))
    assert ask.asked == [1]


def test_what_the_top_denies_is_denied_with_the_tops_reasons() -> None:
    ask = Rungs(l1=Tally(False, ("floor", "limit")), l4=Tally(False, ("limit",)))
    assert ladder.judge(Assurance.SESSION, ask, REASONS) == Decision(PolicyEffect.DENY, Reason.LIMIT, ("limit",))
    assert ask.asked == [1, 4]


def test_the_first_rung_that_permits_is_the_challenge() -> None:
    ask = Rungs(l1=Tally(False, ("confirm", "floor")), l2=Tally(False, ("confirm",)), l3=GRANTED, l4=GRANTED)
    decision = ladder.judge(Assurance.SESSION, ask, REASONS)
    assert decision == Decision(PolicyEffect.CHALLENGE, Reason.CONFIRMATION, ("confirm", "floor"), Assurance.CONFIRMED)


def test_the_top_itself_is_the_last_challenge() -> None:
    ask = Rungs(l3=Tally(False, ()), l4=GRANTED)
    assert ladder.judge(Assurance.CONFIRMED, ask, REASONS) == Decision(
        PolicyEffect.CHALLENGE, Reason.APPROVAL, (), Assurance.APPROVED
    )


def test_at_the_top_there_is_nothing_left_to_ask() -> None:
    ask = Rungs(l4=Tally(False, ("limit",)))
    assert ladder.judge(Assurance.APPROVED, ask, REASONS) == Decision(PolicyEffect.DENY, Reason.LIMIT, ("limit",))
    assert ask.asked == [4]


@pytest.mark.parametrize("broken", ["l1", "l2", "l4"])
def test_an_error_at_any_rung_denies(broken: str) -> None:
    refused = Tally(False, ("floor",))
    answers = {"l1": refused, "l2": refused, "l3": GRANTED, "l4": GRANTED}
    answers[broken] = Tally(answers[broken].permitted, answers[broken].policies, ("overflow",))
    decision = ladder.judge(Assurance.SESSION, Rungs(**answers), REASONS)
    assert decision == Decision(PolicyEffect.DENY, Reason.ERROR, errors=("overflow",))


def test_a_decision_cannot_be_half_a_challenge() -> None:
    with pytest.raises(ValueError, match="rung"):
        Decision(PolicyEffect.CHALLENGE, Reason.LEVEL)
    with pytest.raises(ValueError, match="rung"):
        Decision(PolicyEffect.PERMIT, Reason.MANDATED, rung=Assurance.STRONG)
    with pytest.raises(ValueError, match="errors"):
        Decision(PolicyEffect.PERMIT, Reason.MANDATED, errors=("overflow",))
