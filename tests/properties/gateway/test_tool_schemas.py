"""What a tool of the Model Context Protocol declares of its answers holds of every answer: clients refuse what does not fit."""

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.function import BankingFunction, Field, Label
from adapters.functions import MANIFEST
from gateway.calls.redaction import FENCE, redact
from gateway.doors.mcp_api.tools import output_schema
from tests.properties.gateway.test_redaction import answers, field, issue, raw_of
from tests.support.options import examples


def checked(declared: tuple[Field, ...]) -> Any:
    return jsonschema_rs.Draft202012Validator(output_schema(declared), validate_formats=True)


@given(answers())
def test_whatever_is_answered_fits_what_is_declared(answer: tuple[tuple[Field, ...], dict[str, object], frozenset[str]]) -> None:
    declared, raw, allowed = answer
    told = json.loads(json.dumps(redact(declared, raw, reference=issue, allowed=allowed).value))
    checked(declared).validate(told)


@st.composite
def answers_of(draw: st.DrawFn) -> tuple[BankingFunction, dict[str, object]]:
    function = draw(st.sampled_from(MANIFEST))
    return function, raw_of(draw, function.output)


@settings(max_examples=examples(1000))
@given(answers_of())
def test_each_function_s_answers_fit_its_tool(answer: tuple[BankingFunction, dict[str, object]]) -> None:
    function, raw = answer
    told = redact(function.output, raw, reference=issue, allowed=frozenset(classes_of(function.output)))
    checked(function.output).validate(json.loads(json.dumps(told.value)))


def classes_of(declared: tuple[Field, ...]) -> set[str]:
    """Every data class of an output."""
    within = [classes_of(member.type) for member in declared if isinstance(member.type, tuple)]
    return {member.data_class for member in declared}.union(*within)


@pytest.mark.parametrize(
    ("declared", "wrong"),
    [
        (field(label=Label.DOCUMENT), "an invoice's text out of its fence"),
        (field(label=Label.DOCUMENT), {}),
        (field(type_="count"), "3"),
        (field(type_="money"), {"value": 3, "currency": "GBP"}),
        (field(type_="day"), "yesterday"),
        (field(type_="time"), "2026-01-01"),
        (field(), None),
        (field(many=True), "one"),
        (field(type_=(field("g", "flag"),)), {"g": "no"}),
        (field(type_=(field("g"),), label=Label.DOCUMENT), {"g": "a text within others' text"}),
    ],
)
def test_what_was_not_declared_does_not_fit(declared: Field, wrong: object) -> None:
    assert not checked((declared,)).is_valid({"f": wrong})


def test_a_text_of_others_is_told_fenced_or_not_by_its_record() -> None:
    theirs = checked((field(label=Label.THIRD_PARTY),))
    assert theirs.is_valid({"f": {FENCE: "theirs"}})
    assert theirs.is_valid({"f": "the customer's own"})
    assert theirs.is_valid({})
