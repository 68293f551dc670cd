"""Shapes read a printed schema, or say that they cannot."""

import pytest

from policies import schema_checks as shape
from policies.cedar import Schema
from policies.engine import Engine
from policies.reading import BundleRefused
from tests.samples import bank

PRINTED = """
type Pair = { left: Long, right?: Set<String> };
entity User;
entity Colour enum ["red"];
action "go" appliesTo {
  principal: [User], resource: [User],
  context: { pair: Pair, who: User, colour?: Colour, when?: datetime, "odd name": Bool }
};
action "stay";
"""


def test_a_context_is_read_and_narrowed() -> None:
    found = shape.contexts(PRINTED)
    assert list(found) == ["go"]
    assert {name: member.optional for name, member in found["go"].members.items()} == {
        "pair": False,
        "who": False,
        "colour": True,
        "when": True,
        "odd name": False,
    }
    narrow = shape.narrowed(PRINTED, {"go": frozenset({"who", "odd name"})})
    assert 'context: { who: User, "odd name": Bool }' in narrow
    Schema(narrow)
    Schema(shape.narrowed(PRINTED, {"go": frozenset()}))


WHO = {"__entity": {"type": "User", "id": "u"}}


@pytest.mark.parametrize(
    ("value", "taken"),
    [
        ({"pair": {"left": 1}, "who": WHO, "odd name": True}, True),
        ({"pair": {"left": 1, "right": ["a"]}, "who": WHO, "odd name": False}, True),
        ({"pair": {"left": 1}, "who": WHO, "odd name": 1}, False),
        ({"pair": {"left": True}, "who": WHO, "odd name": True}, False),
        ({"pair": {"left": 2**63}, "who": WHO, "odd name": True}, False),
        ({"pair": {"left": 1, "right": [1]}, "who": WHO, "odd name": True}, False),
        ({"pair": {}, "who": WHO, "odd name": True}, False),
        ({"pair": {"left": 1}, "who": "u", "odd name": True}, False),
        ({"pair": {"left": 1}, "who": WHO}, False),
        ({"pair": {"left": 1}, "who": WHO, "odd name": True, "more": 1}, False),
        # An enumeration is left to Cedar, even where the value is one of it
        ({"pair": {"left": 1}, "who": WHO, "odd name": True, "colour": {"__entity": {"type": "Colour", "id": "red"}}}, False),
    ],
)
def test_a_shape_takes_only_what_is_surely_right(value: object, taken: bool) -> None:
    assert shape.record(shape.contexts(PRINTED)["go"].members)(value) is taken


@pytest.mark.parametrize(
    "text", ["namespace A { entity B; }", '@doc("x") entity A;', "entity A = { b: Long }", "action a appliesTo {", "~"]
)
def test_another_form_is_unreadable(text: str) -> None:
    with pytest.raises(shape.Unreadable):
        shape.contexts(text)


def test_a_bundle_whose_schema_is_unreadable_is_refused() -> None:
    schema = '@doc("annotated")\n' + bank.bundle().schema.partition("\n\n")[2]
    with pytest.raises(BundleRefused, match="cannot read"):
        Engine(bank.bundle(schema=schema))


def test_where_touches_have_another_context_the_whole_request_is_asked_about() -> None:
    head, mark, tail = bank.bundle().schema.partition("\naction touch ")
    engine = Engine(bank.bundle(schema=head + mark + tail.replace("channel: String", "channel?: String", 1)))
    assert all(one.narrow is None for one in engine._lenses.values())
    for request in (bank.balance(), bank.transfer(3), bank.transfer(2), bank.transfer(1, minor=60_000)):
        assert engine.decide(request) == bank.engine().decide(request)
