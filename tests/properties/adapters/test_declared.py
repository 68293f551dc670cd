"""Declared functions, whatever is written: the reader of manifests never falls over, values stay in their place, digits stay exact."""

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import unquote, urlsplit

import jiter
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from adapters.core import MAX_MINOR, Declined, Done, Identified, Money, ReferenceKind, exponent
from adapters.declared.conversion import NotAnAnswer, output_of, parsed
from adapters.declared.declarations import Declared
from adapters.declared.journal import from_text, to_text
from adapters.declared.manifest import read
from adapters.declared.openapi import NotOpenApi, drafted
from adapters.declared.paths import NotASegment, filled, is_path, names_in
from adapters.declared.requests import canonical_text, request_of
from gateway.calls.arguments import canonical, parse
from gateway.calls.cedar_schema import cedar_arguments
from gateway.domain.errors import Code, Refusal
from tests.support.declared import manifest_of, takes_pattern
from tests.support.upstream import manifest_text

GOOD = {name: manifest_text(name) for name in ("foreign", "money", "opaque")}
FUNCTIONS: dict[str, Declared] = {function.name: function for text in GOOD.values() for function in manifest_of(text).functions}


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good manifest with some lines gone, doubled, moved or written over."""
    lines = GOOD[draw(st.sampled_from(sorted(GOOD)))].splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        match draw(st.sampled_from(["gone", "doubled", "indented", "swapped", "cut", "written"])):
            case "gone":
                lines[at] = ""
            case "doubled":
                lines.insert(at, lines[other])
            case "indented":
                lines[at] = " " * draw(st.integers(0, 9)) + lines[at].strip()
            case "swapped":
                lines[at], lines[other] = lines[other], lines[at]
            case "cut":
                lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
            case _:
                lines[at] = lines[at].partition(":")[0] + ": " + draw(st.text(max_size=12))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


@given(damaged() | st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_a_manifest_is_good_or_its_flaws_are_told(content: bytes) -> None:
    manifest, findings = read(content, taken=(), takes_pattern=takes_pattern)
    assert (manifest is None) == any(not finding.note for finding in findings)
    assert findings == sorted(findings)
    assert all(1 <= finding.line <= content.count(b"\n") + content.count(b"\r") + 500 for finding in findings)


@given(damaged() | st.binary(max_size=100))
def test_the_draft_is_made_or_refused(content: bytes) -> None:
    with pytest.raises(NotOpenApi):
        drafted(content)


@given(st.text(max_size=30), st.sampled_from(["/orders/{id}", "/a/{id}/b", "/{id}"]))
@example("..", "/orders/{id}")
@example("../admin", "/orders/{id}")
@example("%2e%2e", "/orders/{id}")
@example("a?b=c#d", "/orders/{id}")
@example("//evil.example", "/{id}")
def test_a_value_is_one_segment_of_the_path_or_refused(value: str, path: str) -> None:
    try:
        target = filled(path, {"id": value})
    except (NotASegment, UnicodeEncodeError):
        return
    url = URL("http://bank.example/base" + target, encoded=True)
    assert url.host == "bank.example"
    assert str(url) == "http://bank.example/base" + target
    assert not urlsplit(str(url)).query
    assert len(url.raw_path.split("/")) == len(path.split("/")) + 1
    segment = url.raw_path.removeprefix("/base").split("/")[path.split("/").index("{id}")]
    assert unquote(segment) == value
    assert "%2" + "F" not in segment.upper()
    assert segment.strip(".")


@given(st.text(alphabet="/{}abc.~%?#\\ ", max_size=12))
def test_a_path_is_plain(path: str) -> None:
    if is_path(path, placeholders=names_in(path)):
        assert path.startswith("/")
        assert not set(path) & set("%?#\\ ")
        assert not path.startswith("//")
        assert ".." not in path.split("/")


CURRENCIES = ("EUR", "JPY", "BHD", "USD")
NUMBERS = st.one_of(
    st.integers(-10, 10**17).map(str),
    st.from_regex(r"-?(0|[1-9][0-9]{0,16})(\.[0-9]{1,8})?([eE][+-]?[0-9]{1,3})?", fullmatch=True),
)


@given(NUMBERS, st.sampled_from(CURRENCIES))
def test_an_amount_is_exactly_what_was_written_or_refused(text: str, currency: str) -> None:
    number = jiter.from_json(text.encode(), float_mode="decimal")
    exact = Decimal(text)
    fits = exact * 10 ** exponent(currency) == (exact * 10 ** exponent(currency)).to_integral_value()
    try:
        money = Money.of(Decimal(number), currency)
    except ValueError:
        assert not fits or not 0 < exact * 10 ** exponent(currency) <= MAX_MINOR or abs(exact.adjusted()) > 20
        return
    assert fits
    assert Decimal(money.value) == exact


@given(NUMBERS)
def test_what_a_model_writes_as_a_number_arrives_at_the_upstream_to_the_last_digit(text: str) -> None:
    function, (to, value) = FUNCTIONS["pay"], ("GB29NWBK60161331926819", text)
    declared = _function("pay")
    try:
        arguments = parse(declared, f'{{"to": "{to}", "value": {value}}}', lambda *_: None)
    except Refusal as refused:
        assert refused.code is Code.INVALID_ARGUMENT
        return
    body = request_of(function, canonical_text(arguments), "emma").body
    assert body is not None
    sent = json.loads(body, parse_float=Decimal, parse_int=Decimal)
    assert sent["value"] == Decimal(text)
    assert json.loads(canonical_text(arguments)) == canonical(arguments)


@given(NUMBERS)
@example("0.1250")
@example("-0.0")
@example("1E+2")
@example("100.0001")
@example("1e-400")
def test_a_number_that_is_no_amount_is_exactly_what_was_written_or_refused(text: str) -> None:
    """From 0 to 100 with three decimals at most, in one form for one number."""
    exact = Decimal(text)
    fits = 0 <= exact <= 100 and exact * 1000 == (exact * 1000).to_integral_value()
    try:
        arguments = parse(_function("block_card"), f'{{"card": "c", "share": {text}}}', lambda *_: None)
    except Refusal as refused:
        assert refused.code is Code.INVALID_ARGUMENT
        _, digits, exponent = exact.as_tuple()
        assert not fits or len(digits) > 24 or abs(int(exponent)) > 24, "longer than any number that is meant"
        return
    assert fits
    body = request_of(FUNCTIONS["block_card"], canonical_text(arguments), "emma").body
    assert body is not None
    sent = json.loads(body, parse_float=str, parse_int=str)["share"]
    assert Decimal(sent) == exact
    assert re.fullmatch(r"0|[1-9]\d*|(?:0|[1-9]\d*)\.\d*[1-9]", sent)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=12) | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.sampled_from(sorted(FUNCTIONS)), st.data())
def test_arguments_are_refused_or_make_one_request_within_their_place(name: str, data: st.DataObject) -> None:
    function = _function(name)
    values = {
        argument.name: ANYTHING | st.sampled_from([1, 7, 12, True, "abc", "2026-03-17", "4242"]) for argument in function.arguments
    }
    given_: dict[str, Any] = data.draw(st.fixed_dictionaries({}, optional=values))
    try:
        arguments = parse(function, given_, lambda *_: None)
    except Refusal as refused:
        assert refused.code is Code.INVALID_ARGUMENT
        return
    cedar_arguments(function, arguments)
    try:
        request = request_of(FUNCTIONS[name], canonical_text(arguments), "emma")
    except NotASegment:
        return
    url = URL("http://127.0.0.1:9" + request.target, encoded=True)
    assert (url.host, url.port, url.fragment) == ("127.0.0.1", 9, "")
    assert request.target.isascii()
    assert request.target.isprintable()
    wire_names = {sent.name for sent in FUNCTIONS[name].sent}
    assert set(url.query) <= wire_names
    assert request.body is None or set(json.loads(request.body)) <= wire_names


@given(st.sampled_from(sorted(FUNCTIONS)), ANYTHING)
def test_an_answer_holds_what_is_declared_or_is_none(name: str, value: object) -> None:
    declared = FUNCTIONS[name].answer
    names = {item.field.name for item in declared.fields}
    assert set(output_of(declared, value, is_lenient=True)) <= names
    try:
        assert set(output_of(declared, value, is_lenient=False)) == names
    except NotAnAnswer as wrong:
        assert str(wrong) in names | {member.field.name for field in declared.fields for member in field.members} | {
            "not an object"
        }


@given(st.binary(max_size=60))
def test_any_bytes_are_json_or_no_answer(body: bytes) -> None:
    try:
        parsed(body)
    except NotAnAnswer as wrong:
        assert str(wrong) == "not strict JSON"


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=8), st.dates(),
    st.datetimes(timezones=st.just(UTC)), st.builds(Money, st.integers(-(10**15), 10**15), st.sampled_from(CURRENCIES)),
    st.builds(Identified, st.sampled_from(ReferenceKind), st.text(max_size=5)),
)  # fmt: skip
OUTPUTS = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_size=4,
)


@given(OUTPUTS.map(Done) | st.text(max_size=6).map(Declined))
def test_the_journal_reads_what_it_wrote(answer: Done | Declined) -> None:
    read_again = from_text(to_text(answer))
    assert read_again == answer
    if isinstance(answer, Done) and isinstance(read_again, Done):
        assert [type(item) for item in read_again.output.values()] == [type(item) for item in answer.output.values()]


def test_the_types_of_the_journal_are_kept_apart() -> None:
    kept = Done({"a": date(2026, 3, 17), "b": datetime(2026, 3, 17, tzinfo=UTC), "c": "2026-03-17", "d": True, "e": 1})
    assert [type(item) for item in from_text(to_text(kept)).output.values()] == [date, datetime, str, bool, int]  # type: ignore[union-attr]


def _function(name: str) -> Any:
    return next(item for text in GOOD.values() for item in _all(text) if item.name == name)


_MADE: dict[str, Any] = {}


def _all(text: str) -> Any:
    from adapters.declared.served import functions_of
    from adapters.declared.upstream import Upstream

    if text not in _MADE:
        manifest = manifest_of(text)
        _MADE[text] = functions_of(
            manifest, Upstream(manifest.upstream, credential="x" if manifest.upstream.needs_credential else None)
        )
    return _MADE[text]
