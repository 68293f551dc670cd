"""Rankings by meaning: what packing costs, who is nearest, and what becomes of two rankings that are one."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gateway.files.embedding import Vectors, normalised
from gateway.files.index import ranked
from gateway.files.sealing import ContentDamaged
from gateway.files.vectors import PackedVectors, Place, blocks_of, fused, nearest
from gateway.store.vector_index import Places, WordsFound

PLACES = st.tuples(st.integers(1, 5), st.integers(0, 9))
RANKINGS = st.lists(PLACES, unique=True, max_size=30)
NUMBERS = st.floats(-1e300, 1e300).filter(lambda number: number == 0 or abs(number) > 1e-300)


@st.composite
def vectors(draw: st.DrawFn, columns: int = 8) -> Vectors:
    made = draw(hnp.arrays(np.float64, (draw(st.integers(1, 12)), columns), elements=NUMBERS))
    made[:, 0] += np.where(np.abs(made).max(axis=1) == 0, 1.0, 0.0)
    return normalised(made)


@given(RANKINGS, RANKINGS)
def test_what_both_rankings_agree_on_keeps_its_order(one: list[Place], other: list[Place]) -> None:
    order = {place: rank for rank, (_, place) in enumerate(fused((one, other), 100))}
    assert set(order) == set(one) | set(other), "nothing is lost, nothing comes from elsewhere"
    both = [place for place in one if place in other]
    for first in both:
        for second in both:
            if one.index(first) < one.index(second) and other.index(first) < other.index(second):
                assert order[first] < order[second]


@given(RANKINGS, RANKINGS, st.integers(0, 40))
def test_scores_fall_between_one_and_nothing(one: list[Place], other: list[Place], most: int) -> None:
    found = fused((one, other), most)
    scores = [score for score, _ in found]
    assert len(found) == min(most, len(set(one) | set(other)))
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    if found and one and other and one[0] == other[0]:
        assert found[0] == (1.0, one[0]), "first in both is the best that there is"


@given(vectors(), vectors())
def test_packed_vectors_are_compared_as_the_whole_ones(kept: Vectors, asked: Vectors) -> None:
    packed = PackedVectors.of(kept)
    again = PackedVectors.unpacked(packed.packed())
    assert np.array_equal(again.steps, packed.steps)
    assert np.array_equal(again.scales, packed.scales)
    exact = (kept @ asked.T).max(axis=1)
    # half a step of each of eight numbers, in the direction of the question, whose numbers come to the root of eight at most
    bound = (np.abs(kept).max(axis=1) / 127 / 2) * np.sqrt(8) + 1e-5
    assert (np.abs(packed.likeness(asked) - exact) <= bound).all()


@given(vectors(), st.binary(max_size=60))
def test_what_was_not_packed_is_not_unpacked(kept: Vectors, junk: bytes) -> None:
    packed = PackedVectors.of(kept).packed()
    for bad in (packed[:-1], packed + b"\0", packed[:7], b""):
        with pytest.raises(ValueError, match=r"too short|not as long"):
            PackedVectors.unpacked(bad)
    try:
        assert PackedVectors.unpacked(junk).packed() == junk
    except ValueError as error:
        assert str(error) in ("too short", "not as long as it says")


def test_vectors_of_other_dimensions_are_not_compared() -> None:
    kept = PackedVectors.of(normalised(np.ones((2, 3))))
    with pytest.raises(ValueError, match="other dimensions"):
        kept.likeness(normalised(np.ones((1, 4))))


@given(
    st.dictionaries(st.integers(1, 2**62), st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5]), max_size=6), max_size=5),
    st.integers(1, 12),
)
def test_the_nearest_are_those_that_sorting_all_would_find(found: dict[int, list[float]], most: int) -> None:
    given_in = [(entry, np.array(likeness, np.float32)) for entry, likeness in found.items()]
    all_of = [(-value, entry, number) for entry, values in found.items() for number, value in enumerate(values)]
    assert nearest(given_in, most) == [(entry, number) for _, entry, number in sorted(all_of)[:most]]


@given(st.integers(0, 300), st.integers(1, 64))
def test_blocks_hold_each_chunk_once(count: int, size: int) -> None:
    blocks = list(blocks_of(count, size))
    assert [number for block in blocks for number in block] == list(range(count))
    assert all(len(block) == size for block in blocks[:-1])


WORDS = st.integers(1, 6)
WEIGHTS = st.dictionaries(st.integers(0, 5), st.integers(1, 22_000), min_size=1)
HELD = st.dictionaries(st.tuples(WORDS, st.integers(1, 3)), WEIGHTS, max_size=12)


@given(HELD, st.lists(st.frozensets(WORDS, min_size=1), min_size=1, max_size=3), st.integers(1, 20))
def test_words_are_ranked_as_adding_up_one_by_one_would(
    held: dict[tuple[int, int], dict[int, int]], questions: list[frozenset[int]], most: int
) -> None:
    places = [(word, entry, Places(tuple(of), tuple(of.values())).packed()) for (word, entry), of in held.items()]
    counts = Counter(word for (word, _), of in held.items() for _ in of)
    found = WordsFound(50, counts, places)

    def rarity(word: int) -> float:
        return math.log(1 + (50 - counts[word] + 0.5) / (counts[word] + 0.5))

    best: dict[Place, float] = {}
    for question in questions:
        whole, scores = sum(map(rarity, question)) * 2.2 * 10_000, Counter[Place]()
        for (word, entry), of in held.items():
            for chunk, weight in of.items():
                if word in question:
                    scores[entry, chunk] += rarity(word) / whole * weight  # type: ignore[assignment]
        best = {place: max(best.get(place, 0.0), scores.get(place, 0.0)) for place in {*best, *scores}}
    answer = ranked(found, questions, most)
    assert [score for score, _ in answer] == pytest.approx(sorted(best.values(), reverse=True)[:most])
    assert all(score == pytest.approx(best[place]) for score, place in answer)
    assert [place for _, place in answer] == [place for _, place in sorted(answer, key=lambda item: (-item[0], item[1]))]


def test_a_word_in_a_chunk_that_is_not_there_is_damage() -> None:
    found = WordsFound(3, {1: 1}, [(1, 7, Places((2**32 - 1,), (1,)).packed())])
    with pytest.raises(ContentDamaged):
        ranked(found, [frozenset({1})], 10)
