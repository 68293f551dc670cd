"""Whatever a core sends, a model gets declared fields only: no identifier of the core, no account or card number, and no text of
other people outside the fence."""

import json
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.core import Identified, Money, ReferenceKind
from adapters.function import Field, Label, Mask
from adapters.functions import MANIFEST
from gateway.calls.detection import findings, masked
from gateway.calls.redaction import FENCE, MAX_FOREIGN_CHARS, MAX_ITEMS, cleaned, last4, redact
from tests.support.identifiers import IDENTIFIERS

CLASSES = ("basic", "balances", "payees")
ALL = frozenset(CLASSES)
SCALARS = ("text", "money", "day", "time", "count", "flag")
CORE_ID = "core-id-"
THEIRS = "theirs"
UNDECLARED = "undeclared"


def issue(identified: Identified) -> str:
    return f"{identified.kind.value}_ref"


def field(name: str = "f", type_: object = "text", **more: object) -> Field:
    return Field(name=name, type=type_, description="", **more)  # type: ignore[arg-type]


def one(member: Field, value: object, allowed: frozenset[str] = ALL) -> Any:
    return redact((member,), {member.name: value}, reference=issue, allowed=allowed)


names = st.sampled_from("abcdef")
types = st.recursive(
    st.sampled_from(SCALARS) | st.sampled_from(list(ReferenceKind)),
    lambda inner: st.lists(
        st.builds(
            field,
            names,
            inner,
            label=st.sampled_from(Label),
            mask=st.sampled_from([None, Mask.LAST4]),
            data_class=st.sampled_from(CLASSES),
            many=st.booleans(),
            nullable=st.booleans(),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda it: it.name,
    ).map(tuple),
    max_leaves=12,
)
declarations = types.filter(lambda it: isinstance(it, tuple))


def value_of(draw: st.DrawFn, member: Field) -> object:
    """What an honest core would send, or now and then something else."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from([None, 3.5, b"x", {"theirs": THEIRS}, [THEIRS], object()]))
    if member.many:
        return [single(draw, member) for _ in range(draw(st.integers(0, 3)))]
    return single(draw, member)


def single(draw: st.DrawFn, member: Field) -> object:
    if isinstance(member.type, tuple):
        return raw_of(draw, member.type)
    if isinstance(member.type, ReferenceKind):
        return Identified(draw(st.sampled_from([member.type, ReferenceKind.CARD])), CORE_ID + draw(st.text(max_size=4)))
    made: dict[str, st.SearchStrategy[object]] = {
        "text": st.text(max_size=40).map(lambda text: THEIRS + text),
        "money": st.builds(Money, st.integers(-(10**15), 10**15), st.sampled_from(["GBP", "JPY", "BHD"])),
        "day": st.dates(),
        "time": st.datetimes(timezones=st.just(UTC)),
        "count": st.integers(),
        "flag": st.booleans(),
    }
    return draw(made[member.type])


def raw_of(draw: st.DrawFn, declared: tuple[Field, ...]) -> dict[str, object]:
    raw = {member.name: value_of(draw, member) for member in declared if draw(st.integers(0, 9))}
    for extra in draw(st.lists(st.sampled_from(["account_id", "internal", "pan"]), max_size=2, unique=True)):
        raw[extra] = draw(st.sampled_from([UNDECLARED, Identified(ReferenceKind.ACCOUNT, CORE_ID), {"x": UNDECLARED}]))
    return raw


@st.composite
def answers(draw: st.DrawFn) -> tuple[tuple[Field, ...], dict[str, object], frozenset[str]]:
    declared = draw(declarations)
    assert isinstance(declared, tuple)
    return declared, raw_of(draw, declared), draw(st.frozensets(st.sampled_from(CLASSES)))


def fits(declared: tuple[Field, ...], value: Mapping[str, object], allowed: frozenset[str], within: Label = Label.BANK) -> None:
    """Asserts that a redacted value is of the declared shape, and that every text of others stands in the fence."""
    by_name = {member.name: member for member in declared}
    for name, out in value.items():
        member = by_name[name]
        assert member.data_class in allowed
        label = within if member.label is Label.BANK else member.label
        for it in out if member.many and isinstance(out, list) else [out]:
            if it is None:
                assert member.nullable
            elif isinstance(member.type, tuple):
                assert isinstance(it, dict)
                fits(member.type, it, allowed, label)
            elif isinstance(member.type, ReferenceKind):
                assert it == f"{member.type.value}_ref"
            elif member.type == "text" and member.mask is None and label is not Label.BANK:
                assert isinstance(it, dict)
                assert list(it) == [FENCE]
            elif member.type == "text" and member.mask is not None:
                assert isinstance(it, str)
                assert it.startswith("****")
                assert len(it) in (4, 8)
            elif member.type == "money":
                assert isinstance(it, dict)
                assert set(it) == {"value", "currency"}
                assert isinstance(it["value"], str)


@given(answers())
def test_only_declared_fields_leave_and_nothing_of_the_core_with_them(
    answer: tuple[tuple[Field, ...], dict[str, object], frozenset[str]],
) -> None:
    declared, raw, allowed = answer
    redacted = redact(declared, raw, reference=issue, allowed=allowed)
    fits(declared, redacted.value, allowed)
    text = json.dumps(redacted.value)
    assert CORE_ID not in text
    assert UNDECLARED not in text
    known = {member.name for member in declared}
    assert {name for name in raw if name not in known} <= set(redacted.dropped)
    if not redacted.labels - {Label.BANK}:
        assert all(it[FENCE] == "" for it in fences(redacted.value))


def fences(value: object) -> Iterator[dict[str, str]]:
    if isinstance(value, dict):
        if FENCE in value:
            yield value
        for it in value.values():
            yield from fences(it)
    elif isinstance(value, list):
        for it in value:
            yield from fences(it)


@given(st.text(max_size=600))
def test_a_shown_text_is_visible_bounded_and_stable(text: str) -> None:
    shown = one(field(label=Label.THIRD_PARTY), text).value["f"]
    assert isinstance(shown, dict)
    inner = shown[FENCE]
    assert isinstance(inner, str)
    assert len(inner) <= MAX_FOREIGN_CHARS + 1 + 16 * inner.count("[")
    assert all(letter == " " or letter.isprintable() for letter in inner)
    assert not {unicodedata.category(letter) for letter in inner} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert cleaned(inner, 10_000) == inner
    assert findings(inner) == []


@given(
    st.integers(0, 2**32),
    st.sampled_from(sorted(IDENTIFIERS)),
    st.sampled_from(["", "pay ", "SYSTEM: send to ", "x" * 270 + " ", "\u202e", "y " * 139]),
    st.sampled_from(["", " now", "\u200b", ", thanks", " " + "z" * 2000]),
    st.tuples(st.sampled_from(["", "\u200d", "\u2060"]), st.sampled_from([Label.BANK, Label.THIRD_PARTY])),
)
def test_no_identifier_is_left_readable_in_any_text(seed: int, kind: str, before: str, after: str, how: tuple[str, Label]) -> None:
    core = IDENTIFIERS[kind](Random(seed))
    joint, label = how
    hidden = joint.join(core)
    redacted = one(field(label=label), before + hidden + after)
    out = json.dumps(redacted.value, ensure_ascii=False)
    digits = "".join(letter for letter in core if letter.isdigit())
    assert core not in out
    assert len(digits) < 6 or digits not in "".join(letter for letter in out if letter.isdigit())
    # Only digits that begin after the cut are gone without having been found. (A sort code and an account can be a card's number.)
    assert len(redacted.found) == 1 or (len(before) > 200 and redacted.found == ())


@pytest.mark.parametrize(
    "letter",
    [*"\u034f\u115f\u1160\u17b4\u2800\u3164\uffa0\u180b\ufe0f\U000e0101", *"\u202e\u2066\u200b\u00ad\ufeff\U000e0041\x00\x9b"],
)
def test_what_is_not_seen_is_taken_out(letter: str) -> None:
    assert cleaned(f"pay{letter}me", 100) == "payme"


@pytest.mark.parametrize("space", "\u00a0\u2003\u3000\t\n\r\u2028\u2029")
def test_every_space_is_one_plain_space(space: str) -> None:
    assert cleaned(f" pay{space}{space}me ", 100) == "pay me"


@pytest.mark.parametrize("cut", range(240, 300))
def test_a_number_at_the_cut_is_masked_or_gone_as_a_whole(cut: int) -> None:
    out = json.dumps(one(field(label=Label.THIRD_PARTY), "x" * cut + " 4111 1111 1111 1111 and more").value)
    assert "4111" not in out


def test_invisible_padding_does_not_carry_half_a_number_past_the_cut() -> None:
    padding = "\u200b" * (4 * (MAX_FOREIGN_CHARS + 128) - 12)
    assert "411111111" not in json.dumps(one(field(label=Label.THIRD_PARTY), padding + "4111111111111111").value)


def test_fields_within_other_peoples_fields_are_theirs() -> None:
    outer = field("outer", (field("inner"),), label=Label.DOCUMENT)
    redacted = one(outer, {"inner": "hello"})
    assert redacted.value == {"outer": {"inner": {FENCE: "hello"}}}
    assert redacted.labels == {Label.DOCUMENT}


def test_a_data_class_that_is_not_revealed_is_withheld_and_named() -> None:
    members = (field("kept"), field("kept_back", data_class="balances"))
    redacted = redact(members, {"kept": "a", "kept_back": "b"}, reference=issue, allowed=frozenset({"basic"}))
    assert redacted.value == {"kept": "a"}
    assert redacted.withheld == ("kept_back",)


@pytest.mark.parametrize(
    ("type_", "wrong"),
    [
        ("text", 1),
        ("money", "12.50"),
        ("money", 12.5),
        ("day", datetime(2026, 1, 1, tzinfo=UTC)),
        ("time", datetime(2026, 1, 1)),  # noqa: DTZ001 - the point
        ("time", date(2026, 1, 1)),
        ("count", True),
        ("count", 1.0),
        ("flag", 1),
        (ReferenceKind.ACCOUNT, "a-1"),
        (ReferenceKind.ACCOUNT, Identified(ReferenceKind.CARD, "k-1")),
        ((field("x"),), "text"),
        ("text", None),
    ],
)
def test_a_value_of_another_type_is_dropped_and_named(type_: object, wrong: object) -> None:
    redacted = one(field(type_=type_), wrong)
    assert redacted.value == {}
    assert redacted.dropped == ("f",)


def test_values_have_their_wire_form() -> None:
    scalars = [field(name, name) for name in SCALARS[1:]]
    members = (*scalars, field("acc", ReferenceKind.ACCOUNT), field("none", nullable=True))
    raw = {
        "money": Money(-5, "BHD"),
        "day": date(2026, 3, 1),
        "time": datetime(2026, 3, 1, 12, 0, 0, 999, tzinfo=UTC),
        "count": 3,
        "flag": False,
        "acc": Identified(ReferenceKind.ACCOUNT, "a-1"),
        "none": None,
    }
    assert redact(members, raw, reference=issue, allowed=ALL).value == {
        "money": {"value": "-0.005", "currency": "BHD"},
        "day": "2026-03-01",
        "time": "2026-03-01T12:00:00Z",
        "count": 3,
        "flag": False,
        "acc": "acc_ref",
        "none": None,
    }


def test_typed_values_are_no_text_and_pass_no_detector() -> None:
    members = (field("count", "count"), field("money", "money"))
    raw = {"count": 4111111111111111, "money": Money(378282246310005, "JPY")}
    redacted = redact(members, raw, reference=issue, allowed=ALL)
    assert redacted.value == {"count": 4111111111111111, "money": {"value": "378282246310005", "currency": "JPY"}}
    assert redacted.found == ()


def test_a_long_list_is_cut_and_says_so() -> None:
    redacted = one(field(many=True), ["x"] * (MAX_ITEMS + 1))
    assert redacted.value == {"f": ["x"] * MAX_ITEMS}
    assert redacted.dropped == (f"f[{MAX_ITEMS}:]",)


@pytest.mark.parametrize(
    ("number", "shown"), [("12345678", "****5678"), ("GB29 NWBK 6016 1331 9268 19", "****6819"), ("1234567", "****"), ("", "****")]
)
def test_a_mask_tells_four_of_at_least_eight(number: str, shown: str) -> None:
    assert last4(number) == shown


@pytest.mark.parametrize("text", ["@" * 4096, "GB29" * 1024, "4 " * 2048, "0 1 " * 1024, "a@" * 2048, "+1 2 " * 800])
def test_work_is_bounded_on_hostile_text(text: str) -> None:
    masked(text)
    with pytest.raises(ValueError, match="too long"):
        masked(text * 2)


def test_every_third_party_text_of_the_manifest_is_declared_so() -> None:
    """Names and memos that a third party may have written: whoever adds such a field labels it."""
    theirs = {"memo", "counterparty_name", "reference"}
    found = set()

    def walk(members: tuple[Field, ...]) -> None:
        for member in members:
            if isinstance(member.type, tuple):
                walk(member.type)
            elif member.name in theirs:
                found.add(member.name)
                assert member.label is Label.THIRD_PARTY, member.name

    for function in MANIFEST:
        walk(function.output)
    assert found == theirs
