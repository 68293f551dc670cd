"""An identifier that differs in case, hyphen or space is another one, unless its scheme says otherwise."""

import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from stdnum import iban

from adapters.function import AccountIdentifier, Choice, Count, Text, scheme_of
from adapters.identity import Scheme, canonical, same

ANY = st.text(max_size=40)
IBANS = st.integers(10**9, 10**11).map(lambda number: f"GB{iban.calc_check_digits(f'GB00BUKB{number:014d}')}BUKB{number:014d}")
UK = st.integers(0, 10**14 - 1).map(lambda number: f"{number:014d}")
CARDS = st.integers(10**11, 10**19 - 1).map(str)
PHONES = st.integers(10**5, 10**14).map(lambda number: f"+{number}")
NUMBERS = {Scheme.ACCOUNT: IBANS | UK, Scheme.CARD: CARDS, Scheme.PHONE: PHONES}


@given(ANY, ANY)
def test_opaque_ones_are_equal_only_byte_for_byte(one: str, other: str) -> None:
    assert same(Scheme.OPAQUE, one, other) == (one == other)
    for changed in (one.upper(), one.lower(), one.replace("-", ""), f"{one} ", f" {one}", one[:1] + "-" + one[1:]):
        assert same(Scheme.OPAQUE, one, changed) == (one == changed)


@given(st.sampled_from(sorted(NUMBERS)), st.data(), st.sampled_from([" ", "-"]))
def test_where_a_scheme_says_so_separators_and_case_do_not_count(scheme: Scheme, data: st.DataObject, separator: str) -> None:
    plain = data.draw(NUMBERS[scheme])
    at = data.draw(st.integers(1, len(plain) - 1))
    written = plain[:at] + separator + plain[at:]
    assert same(scheme, written, plain)
    assert same(scheme, written.lower(), plain) == (scheme is Scheme.ACCOUNT or written.lower() == written)
    changed = plain[:at] + string.digits[(string.digits.find(plain[at]) + 1) % 10] + plain[at + 1 :]
    assert same(scheme, changed, plain) == (changed == plain)


@given(st.sampled_from(sorted(Scheme)), ANY)
def test_a_canonical_form_is_its_own_and_never_joins_what_is_not_of_the_scheme(scheme: Scheme, value: str) -> None:
    form = canonical(scheme, value)
    assert canonical(scheme, form) == form
    if form != value:
        assert scheme is not Scheme.OPAQUE
        assert value.isascii() or scheme is Scheme.EMAIL
        assert [letter for letter in form.casefold() if letter.isalnum()] == [
            letter for letter in value.casefold() if letter.isalnum()
        ]


@given(st.uuids().map(str), st.sampled_from([scheme for scheme in Scheme if scheme is not Scheme.EMAIL]))
def test_a_uuid_is_opaque_whatever_the_scheme(value: str, scheme: Scheme) -> None:
    assume(any(letter in "abcdef" for letter in value))
    assert canonical(scheme, value) == value
    assert not same(scheme, value, value.upper())


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("anna@Bank.Example", "anna@bank.example", True),
        ("Anna@bank.example", "anna@bank.example", False),
        ("anna@bank.example ", "anna@bank.example", False),
    ],
)
def test_of_an_address_of_mail_only_the_domain_is_without_case(one: str, other: str, is_same: bool) -> None:
    assert same(Scheme.EMAIL, one, other) == is_same


def test_the_type_of_an_argument_says_its_scheme() -> None:
    assert scheme_of(AccountIdentifier()) is Scheme.ACCOUNT
    assert [scheme_of(it) for it in (Text(9), Choice(("a",)), Count(0, 9))] == [Scheme.OPAQUE] * 3
    assert scheme_of(Text(9, scheme=Scheme.PHONE)) is Scheme.PHONE
