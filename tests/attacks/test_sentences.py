"""Plain English, held against a standing mandate that covers everything: only what the words order exactly is done unasked."""

from collections import Counter

import pytest

from tests.attacks.meant.sentences import Outcome, Sentence, measured, sentences

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
