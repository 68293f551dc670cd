"""Records by their indexes: one set has one spelling, and what is too much is refused before it is counted out."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.record_numbers import RECORDS_MOST, TEXT_MOST, RecordNumbers, RecordNumbersInvalid

INDEXES = st.sets(st.integers(0, 400) | st.integers(0, 10**15 - 1), min_size=1, max_size=60)


@given(INDEXES, st.randoms())
def test_every_set_has_one_spelling_whatever_its_order_and_however_it_was_written(indexes: set[int], dice: object) -> None:
    chosen = RecordNumbers.of(indexes)
    assert (list(chosen), len(chosen), chosen.last) == (sorted(indexes), len(indexes), max(indexes))
    shuffled = [*sorted(indexes), min(indexes)]
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    assert RecordNumbers.parse(" , ".join(map(str, shuffled))) == RecordNumbers.parse(chosen.text) == chosen


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 40)), min_size=1, max_size=12))
def test_ranges_that_overlap_or_touch_are_one(ranges: list[tuple[int, int]]) -> None:
    text = ",".join(f"{first}-{first + more}" for first, more in ranges)
    chosen = RecordNumbers.parse(text)
    assert set(chosen) == {index for first, more in ranges for index in range(first, first + more + 1)}
    assert all(after[0] > before[1] + 1 for before, after in zip(chosen.ranges, chosen.ranges[1:], strict=False))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the 1. of them"),
        ("3,", "the 2. of them"),
        ("3,x", "3,5,9-12"),
        ("-3", "no index"),
        ("03", "no index"),
        ("1-2-3", "no range"),
        ("٣", "no index"),
        ("9-3", "ends before it begins"),
        (f"0-{RECORDS_MOST}", "at most 10,000"),
        ("0-999999999999999", "at most 10,000"),
        ("1," * TEXT_MOST, "characters"),
    ],
)
def test_what_is_none_or_too_much_is_refused_at_once(text: str, says: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(RecordNumbersInvalid, match=says):
        RecordNumbers.parse(text)
    assert time.perf_counter() - begun < 0.5, "a range is not counted out"


def test_a_set_without_a_short_spelling_and_an_index_beyond_the_log_are_refused() -> None:
    with pytest.raises(RecordNumbersInvalid, match="characters"):
        RecordNumbers.of(range(0, 4000, 2))
    with pytest.raises(RecordNumbersInvalid, match="none"):
        RecordNumbers.of(())
    RecordNumbers.parse("3").require_within(4)
    with pytest.raises(RecordNumbersInvalid, match="no record 4; its last one is 3"):
        RecordNumbers.parse("0,4").require_within(4)
