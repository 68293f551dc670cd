"""What a person wrote is read as whole tokens: nothing inside a date, an account or a code, nothing that could be something else."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import iban

from adapters.core import KnownPayee, Money
from adapters.functions import MANIFEST
from gateway.grounding.intents import in_scope, is_correction
from gateway.grounding.lexing import lex
from gateway.grounding.names import alike, named_in
from tests.attacks.meant.world import ANNA, BEN, MALLORY

BY_NAME = {function.name: function for function in MANIFEST}
PAYEES = (
    KnownPayee("ben:1", "Anna Schmidt", ANNA, None),
    KnownPayee("ben:2", "Anna Schmitt", BEN, None),
    KnownPayee("ben:3", "Northside Gym", "20201512345678", None),
    KnownPayee("ben:4", "Harbour Lettings Ltd", "04000412345678", None),
)


@given(st.integers(1, 10**7), st.sampled_from(["£{}", "{} pounds", "GBP {}", "{} GBP", "{}"]), st.booleans())
def test_every_way_of_writing_an_amount_is_that_amount_alone(minor: int, form: str, grouped: bool) -> None:
    money = Money(minor, "GBP")
    whole, _, pence = money.value.partition(".")
    written = f"{int(whole):,}.{pence}" if grouped else money.value
    (figure,) = lex(f"please send {form.format(written)} to Anna").figures
    assert figure.may_be(money)
    assert not figure.may_be(Money(minor + 1, "GBP"))
    assert not figure.currencies or not figure.may_be(Money(minor, "EUR"))


DAYS = st.builds(
    lambda day, form: day.strftime(form),
    st.dates(min_value=date(1970, 1, 1)),
    st.sampled_from(["%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y"]),
)
IBANS = st.integers(10**9, 10**11).map(lambda number: f"GB{iban.calc_check_digits(f'GB00BUKB{number:014d}')}BUKB{number:014d}")
CODES = ["20-20-15 12345678", "20 20 15 12345678", "20201512345678", "INV-2027-0815", "+447700900123", "10:30", "x4711y"]


@given(DAYS, IBANS, st.sampled_from(CODES))
def test_no_digit_of_an_account_or_a_date_is_an_amount(day: str, account: str, code: str) -> None:
    for number in (account, " ".join(account[at : at + 4] for at in range(0, len(account), 4))):
        lexed = lex(f"On {day} I paid {number}, ref {code} - thanks")
        assert lexed.figures == ()
        assert account in lexed.accounts


@given(st.uuids().map(str), st.sampled_from(["pay {} 20", "please send 5 euros to {}.", "{}", "to {}, thanks"]))
def test_an_opaque_identifier_is_named_by_itself_alone(identifier: str, sentence: str) -> None:
    payees = (KnownPayee(identifier, "", identifier, None), *PAYEES)
    assert named_in(lex(sentence.format(identifier)), payees) == {identifier}
    for other in (identifier.upper(), identifier.replace("-", ""), identifier.replace("-", " "), identifier + "0"):
        assert identifier not in named_in(lex(sentence.format(other)), payees) or other == identifier


@given(IBANS)
def test_an_account_of_several_payees_names_them_all(account: str) -> None:
    payees = (KnownPayee("ben:7", "", account, None), KnownPayee("ben:8", "", account, None))
    assert named_in(lex(f"pay {account[:4]} {account[4:]} 20"), payees) == {"ben:7", "ben:8"}


@given(st.text(max_size=300))
def test_any_text_can_be_read_and_reads_the_same_again(text: str) -> None:
    lexed = lex(text)
    assert lex(text) == lexed
    assert all(figure.value >= 0 for figure in lexed.figures)
    named_in(lexed, PAYEES)
    for function in MANIFEST:
        in_scope(function, [text])


@pytest.mark.parametrize("written", ["1.234", "1,23", "1,2345", "12.345.678", "1.000"])
def test_what_could_be_another_number_is_none(written: str) -> None:
    assert lex(f"pay {written} to Anna").figures == ()


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("twenty pounds", 20),
        ("thirty-five quid", 35),
        ("one hundred and five euros", 105),
        ("a thousand two hundred pounds", 1200),
        ("two thousand dollars", 2000),
    ],
)
def test_an_amount_in_words_is_one_where_a_currency_follows(written: str, value: int) -> None:
    (figure,) = lex(f"please pay Anna {written} today").figures
    assert figure.value == value
    assert lex("pay the one that I named, two of them").figures == ()


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("Pay Anna Schmidt", {"ben:1"}),
        ("pay anna schmitt please", {"ben:2"}),
        ("Pay Anna", {"ben:1", "ben:2"}),
        ("Pay the gym", {"ben:3"}),
        ("Pay Northside Gym", {"ben:3"}),
        ("settle Harbour's invoice", {"ben:4"}),
        (f"pay {ANNA[:4]} {ANNA[4:8]} {ANNA[8:12]} {ANNA[12:16]} {ANNA[16:20]} {ANNA[20:]}", {"ben:1"}),
        ("pay 20-20-15 12345678", {"ben:3"}),
        (f"pay {MALLORY}", {MALLORY}),
        ("Pay Hannah", set()),
        ("Pay Ann", set()),
        ("Pay \u0410nna Schmidt", {"ben:1"}),
        ("the services of my bank ltd", set()),
    ],
)
def test_who_is_named(text: str, keys: set[str]) -> None:
    assert named_in(lex(text), PAYEES) == keys


def test_names_that_look_alike_name_nobody_for_sure() -> None:
    twin = KnownPayee("ben:9", "\u0410nn\u0430 Schmidt", MALLORY, None)
    assert alike("ben:1", (*PAYEES, twin))
    assert alike("ben:9", (*PAYEES, twin))
    assert not alike("ben:3", (*PAYEES, twin))
    assert alike("a", (KnownPayee("a", "Bill's", "", None), KnownPayee("b", "Bi11's", "", None)))


@pytest.mark.parametrize(
    ("words", "function", "is_in"),
    [
        ("Please pay Anna 20", "initiate_transfer", True),
        ("Could you send Anna 20?", "initiate_transfer", True),
        ("Did my payment to Anna go through?", "initiate_transfer", False),
        ("Which standing orders do I have?", "cancel_standing_order", False),
        ("Please cancel the gym order", "cancel_standing_order", True),
        ("I lost my card", "report_card_lost_or_stolen", True),
        ("What is on my card?", "report_card_lost_or_stolen", False),
        ("Open my card again please, unfreeze it", "unfreeze_card", True),
        ("How is the weather?", "initiate_transfer", False),
        ("", "initiate_transfer", False),
    ],
)
def test_what_is_asked_for(words: str, function: str, is_in: bool) -> None:
    assert in_scope(BY_NAME[function], [words]) is is_in


def test_a_correction_is_heard() -> None:
    assert is_correction("No wait, make it 15")
    assert not is_correction("and 15 to Ben")
