"""The language of questions: every word, one spelling, and errors that say where and what."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.leaf import EndState, RecordKind
from audit.query import Query
from audit.question_language import FIELDS, QuestionInvalid, parse_question, question_text
from audit.sealed_conditions import AmountRange
from audit.terms import CallOutcome
from tests.support import question_reference

MARCH = Query(since=datetime(2026, 3, 1, tzinfo=UTC), until=datetime(2026, 4, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Query()),
        ("  \n ", Query()),
        ("function:initiate_transfer", Query(function="initiate_transfer")),
        ("Function:initiate_transfer", Query(function="initiate_transfer")),
        ("during:2026-03", MARCH),
        ("during:2026", Query(since=datetime(2026, 1, 1, tzinfo=UTC), until=datetime(2027, 1, 1, tzinfo=UTC))),
        ("during:2026-12", Query(since=datetime(2026, 12, 1, tzinfo=UTC), until=datetime(2027, 1, 1, tzinfo=UTC))),
        ("during:2024-02-29", Query(since=datetime(2024, 2, 29, tzinfo=UTC), until=datetime(2024, 3, 1, tzinfo=UTC))),
        ("since:2026-03-01 until:2026-04-01", MARCH),
        ("since:2026-03-01T01:00:00+01:00", Query(since=datetime(2026, 3, 1, tzinfo=UTC))),
        ("outcome:refused,declined", Query(outcomes=(CallOutcome.REFUSED, CallOutcome.DECLINED))),
        ("kind:intent,outcome kind2:x", None),
        ("kind:audit.query", Query(kinds=(RecordKind.AUDIT_QUERY,))),
        ('customer:"C 7"', Query(customer="C 7")),
        (r'payee:"the \"old\" \\ shop"', Query(payee=r'the "old" \ shop')),
        ("amount:>500eur", Query(amount=">500EUR")),
        ('amount:"100 .. 200 EUR"', Query(amount="100..200EUR")),
        ("assistant:asst_1", Query(agent="asst_1")),
        ("new_payee:yes end:executed", Query(new_payee="yes", end_state="executed")),
        ("case:a:b", Query(case="a:b")),
    ],
)
def test_what_a_text_asks(text: str, expected: Query | None) -> None:
    if expected is None:
        with pytest.raises(QuestionInvalid):
            parse_question(text)
    else:
        assert parse_question(text) == expected


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("payments over 500", 0, "field:value"),
        ("function:x colour:red", 11, "is not a field; there are since, until"),
        ("function:", 0, "1 to 256"),
        ("function:x function:y", 11, "said twice"),
        ("during:2026-03 until:2026-09-01", 15, "said twice"),
        ("client:x agent:y", 9, "said twice"),
        ("outcome:paid", 0, "one or several, with commas, of answered"),
        ("outcome:refused,", 0, "one or several"),
        ("kind:payment", 0, "one or several"),
        ("decision:maybe", 0, "one of permit, challenge, deny"),
        ("since:yesterday", 0, "ISO 8601"),
        ("during:2026-13", 0, "no such"),
        ("during:9999", 0, "no such"),
        ("during:march", 0, "a year, a month or a day"),
        ("amount:lots", 0, "an amount is"),
        ("amount:>1.2.3", 0, "an amount is"),
        ("new_payee:perhaps", 0, "one of yes, no"),
        ('payee:"open', 0, "quote is not closed"),
        ('payee:"a"b', 0, "quote is not closed"),
        ("since:2026-04-01 until:2026-03-01", 0, "nothing can match"),
        ("x" * 2001, 2000, "at most 2000"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(text: str, at: int, says: str) -> None:
    with pytest.raises(QuestionInvalid) as refused:
        parse_question(text)
    assert says in refused.value.message
    assert refused.value.at == at


def _texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


NAMES = (
    *("customer", "call_id", "conversation", "trace_id", "function", "policy", "bundle_hash", "approver", "about"),
    *("agent", "by", "reason", "case", "word", "confirmation", "payee", "switch", "while_switch", "shown"),
)
QUERIES: st.SearchStrategy[Query] = st.builds(
    Query,
    since=st.none() | st.datetimes(max_value=datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # the strategy adds the zone
    kinds=st.lists(st.sampled_from(RecordKind), unique=True, max_size=3).map(tuple),
    outcomes=st.lists(st.sampled_from(CallOutcome), unique=True, max_size=3).map(tuple),
    decision=st.none() | st.sampled_from(["permit", "challenge", "deny"]),
    end_state=st.none() | st.sampled_from([state.value for state in EndState]),
    amount=st.none() | st.sampled_from([">500", ">=20.50EUR", "<3", "1..2GBP", "7"]),
    new_payee=st.none() | st.sampled_from(["yes", "no"]),
    **{name: st.none() | _texts() for name in NAMES},
)


@given(QUERIES)
def test_a_question_has_one_spelling_that_asks_the_same(query: Query) -> None:
    assert parse_question(question_text(query)) == query


@given(st.text(max_size=60))
def test_no_text_does_anything_but_ask_or_be_refused(text: str) -> None:
    try:
        query = parse_question(text)
    except QuestionInvalid as refused:
        assert 0 <= refused.at <= len(text)
    else:
        assert parse_question(question_text(query)) == query


def test_the_language_has_a_word_for_each_field_of_a_query_and_an_example_that_is_read() -> None:
    asked: set[str] = set()
    for field in FIELDS:
        query = parse_question(f"{field.name}:{field.example}")
        asked |= {item.name for item in fields(Query) if getattr(query, item.name) != getattr(Query(), item.name)}
        assert field.means
    assert asked == {item.name for item in fields(Query)}


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">500", ["500.01", "9999"], ["500", "499"]),
        (">=500", ["500", "500.01"], ["499.99"]),
        ("<20.50", ["20.49", "0"], ["20.50", "21"]),
        ("<=20.50", ["20.50"], ["20.51"]),
        ("100..200", ["100", "150", "200"], ["99.99", "200.01"]),
        ("7", ["7", "7.00"], ["7.01", "6.99"]),
    ],
)
def test_amounts(text: str, inside: list[str], outside: list[str]) -> None:
    found = AmountRange.parse(text)
    assert all(found.has(Decimal(value), "EUR") for value in inside)
    assert not any(found.has(Decimal(value), "EUR") for value in outside)
    in_pounds = AmountRange.parse(f"{text}GBP")
    assert all(in_pounds.has(Decimal(value), "GBP") and not in_pounds.has(Decimal(value), "EUR") for value in inside)


def test_a_moment_keeps_its_microseconds() -> None:
    at = datetime(2026, 3, 1, 9, 30, 1, 123456, tzinfo=UTC)
    assert parse_question(question_text(Query(since=at, until=at + timedelta(microseconds=1)))).since == at


def test_the_guide_tells_every_word() -> None:
    text = question_reference.GUIDE.read_text()
    assert question_reference.renewed(text) == text, "run: python -m tests.support.question_reference --write"
