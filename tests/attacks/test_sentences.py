"""Plain English, held against a standing mandate that covers everything: only what the words order exactly is done unasked."""

from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from adapters.core import Acquaintance, KnownPayee
from gateway.domain.doubts import Doubt
from gateway.domain.facts import Use, Utterance
from gateway.grounding import Ungrounded, ground
from gateway.grounding.orders import DELETED
from tests.attacks.meant.sentences import NOW, Outcome, Payment, Sentence, a_call, measured, outcome, said, sentences

EVERY = sentences()
KINDS = sorted({sentence.kind for sentence in EVERY})


def test_the_corpus_is_as_large_as_it_says_and_says_nothing_twice() -> None:
    assert len(EVERY) >= 800
    counted = Counter((sentence.turns, sentence.payment) for sentence in EVERY)
    assert [turns for turns, count in counted.items() if count > 1] == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_of_each_kind_of_sentence(kind: str) -> None:
    (row,) = measured([sentence for sentence in EVERY if sentence.kind == kind])
    assert row.wrong == [], "done unasked, and not what the words say"
    assert row.missed == [], "asked or denied otherwise than expected"


def _of(expect: Outcome) -> list[Sentence]:
    return [sentence for sentence in EVERY if sentence.expect is expect]


def test_the_corpus_holds_enough_of_each_outcome() -> None:
    assert len(_of(Outcome.GOES_ON)) >= 170
    assert len(_of(Outcome.DENIED)) >= 120
    assert len(_of(Outcome.NOT_DONE)) >= 400


ORDERED = "Pay Anna £20"


def test_words_that_the_customer_deleted_count_as_taken_back() -> None:
    words = (*said([ORDERED]), Utterance(2, DELETED, "", NOW))
    with pytest.raises(Ungrounded) as refused:
        ground(a_call(words, Payment()))
    assert refused.value.reason == "ungrounded_withdrawn"
    again = (*words, Utterance(3, "typed", ORDERED, NOW))
    assert ground(a_call(again, Payment())).covered is not None, "said again since"


@pytest.mark.parametrize(
    ("turn", "used", "came"),
    [
        (ORDERED, 0, Outcome.GOES_ON),
        (ORDERED, 1, Outcome.DENIED),
        (f"{ORDERED}. {ORDERED} for the taxi.", 1, Outcome.GOES_ON),
        (f"{ORDERED}. {ORDERED} for the taxi.", 2, Outcome.DENIED),
    ],
)
def test_an_order_is_used_up_as_often_as_it_was_said(turn: str, used: int, came: Outcome) -> None:
    assert outcome([turn], Payment(), uses=(Use("amount", "20.00", 1),) * used) is came


def test_the_customer_is_shown_which_words_were_not_understood() -> None:
    grounded = ground(a_call(said(["Pay Anna £20 if she asks"]), Payment()))
    assert "".join(part.text for part in grounded.quoted) == "Pay Anna £20 if she asks"
    marked = " ".join(part.text for part in grounded.quoted if not part.understood)
    assert "if" in marked
    assert "Anna" not in marked
    assert Doubt.CONDITION in grounded.doubts


def test_an_order_that_names_another_when_it_is_read_in_another_way_does_not_go_on() -> None:
    words, payment = said(["Pay the gym £39.90"]), Payment("Northside Gym", Decimal("39.90"))
    call = a_call(words, payment)
    evidence = call.facts.evidence
    assert evidence is not None
    assert ground(call).covered is not None
    other = KnownPayee("ben:other", "The Gym", "99999912345678", None)
    known = replace(evidence, acquaintance=Acquaintance(payees=(*evidence.acquaintance.payees, other)))
    with pytest.raises(Ungrounded):
        ground(replace(call, facts=replace(call.facts, evidence=known)))


def test_a_twin_of_the_payee_s_name_is_asked() -> None:
    call = a_call(said([ORDERED]), Payment())
    evidence = call.facts.evidence
    assert evidence is not None
    twin = KnownPayee("ben:twin", "Anna Schmidt", "99999912345678", None)
    known = replace(evidence, acquaintance=Acquaintance(payees=(*evidence.acquaintance.payees, twin)))
    grounded = ground(replace(call, facts=replace(call.facts, evidence=known)))
    assert grounded.covered is None
    assert Doubt.AMBIGUOUS in grounded.doubts
