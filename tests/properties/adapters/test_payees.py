"""Names of payees: what counts as the same, as nearly the same, and as another; and what may be told of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.cores.sandbox.payees import _is_within, account_key, answered, compared

NAMES = ("Margaret Hale", "Jon Smith", "Harbour Lettings Ltd", "José Núñez", "O'Brien & Sons Limited", "Aoife Ní Bhriain")
names = st.sampled_from(NAMES) | st.text(max_size=20)
words = st.text("abcd", max_size=8)


@given(names, names)
def test_comparing_does_not_depend_on_which_comes_first(one: str, other: str) -> None:
    assert compared(one, other) == compared(other, one)


@given(st.sampled_from(NAMES), st.sampled_from([str.upper, str.lower, str.swapcase, lambda it: f"  Mrs {it} "]))
def test_case_spaces_and_titles_make_no_difference(name: str, changed: object) -> None:
    assert compared(changed(name), name) == "match"  # type: ignore[operator]


@pytest.mark.parametrize(
    ("asked", "actual", "outcome"),
    [
        ("jose nunez", "José Núñez", "match"),
        ("OBrien and Sons Ltd", "O'Brien & Sons Limited", "match"),
        ("Margaret Anne Hale", "Margaret Hale", "close_match"),
        ("M Hale", "Margaret Hale", "close_match"),
        ("Hale Margaret", "Margaret Hale", "close_match"),
        ("Margraet Hale", "Margaret Hale", "close_match"),
        ("Harbour Lettings", "Harbour Lettings Ltd", "close_match"),
        ("Jon Smithe", "Jon Smith", "close_match"),
        ("Hale", "Margaret Hale", "no_match"),
        ("P Hale", "Margaret Hale", "no_match"),
        ("Bob", "Rob", "no_match"),
        ("Peter Hale", "Margaret Hale", "no_match"),
        ("Ltd", "Harbour Lettings Ltd", "no_match"),
        ("", "Margaret Hale", "no_match"),
        ("!!", "Margaret Hale", "no_match"),
        ("Mr", "Mr", "no_match"),
    ],
)
def test_what_is_close_is_what_the_rule_says(asked: str, actual: str, outcome: str) -> None:
    assert compared(asked, actual) == outcome


def distance(one: str, other: str) -> int:
    """Optimal string alignment, by its whole table: the slow and plain way."""
    table = [[row + column for column in range(len(other) + 1)] for row in range(len(one) + 1)]
    for row in range(1, len(one) + 1):
        for column in range(1, len(other) + 1):
            is_same = one[row - 1] == other[column - 1]
            table[row][column] = min(
                table[row - 1][column - 1] + (not is_same), table[row - 1][column] + 1, table[row][column - 1] + 1
            )
            if row > 1 and column > 1 and one[row - 1] == other[column - 2] and one[row - 2] == other[column - 1]:
                table[row][column] = min(table[row][column], table[row - 2][column - 2] + 1)
    return table[-1][-1]


@given(words, words, st.integers(0, 3))
def test_the_narrow_way_to_count_slips_is_the_wide_one(one: str, other: str, most: int) -> None:
    assert _is_within(one, other, most) == (distance(one, other) <= most)


@given(names, st.lists(st.tuples(st.sampled_from(NAMES), st.booleans()), max_size=3), st.booleans())
def test_a_name_is_told_of_a_close_match_alone_and_never_of_who_opted_out(
    name: str, holders: list[tuple[str, bool]], takes_part: bool
) -> None:
    outcome, actual = answered(name, holders, takes_part=takes_part)
    assert (actual is not None) == (outcome == "close_match")
    assert (outcome == "not_possible") == (not takes_part or any(opted_out for _, opted_out in holders))
    if actual is not None:
        assert compared(name, actual) == "close_match"
        assert all(compared(name, holder) != "match" for holder, _ in holders)


def test_either_holder_of_a_joint_account_matches() -> None:
    holders = [("Jennifer Park", False), ("Thomas Park", False)]
    assert answered("Thomas Park", holders, takes_part=True) == ("match", None)
    assert answered("J Park", holders, takes_part=True) == ("close_match", "Jennifer Park")
    assert answered("Thomas Park", [*holders, ("Ann Park", True)], takes_part=True) == ("not_possible", None)


def test_a_british_iban_and_its_sort_code_and_number_are_one_account() -> None:
    assert account_key("GB29NWBK60161331926819") == account_key("60161331926819") == ("60161331926819", "601613")
    assert account_key("IT60X0542811101000000123456") == ("IT60X0542811101000000123456", "IT")
