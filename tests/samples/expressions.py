"""Random Cedar rules over the bank's schema, mostly of fitting types, and requests for them, mostly well-formed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from policies.model import JSON, Request, Uid
from tests.samples import bank

Text = st.SearchStrategy[str]

EDGES = (0, 1, -1, 2, 3, 1000, 2**31, 2**63 - 1, -(2**63))
TIMES = (
    "2026-01-01T00:00:00.000Z",
    bank.NOW,
    "2026-06-01T12:00:00.001Z",
    "2027-01-01T00:00:00.000Z",
    "2026-06-01",
    "2026-06-01T12:00:00Z",
)
_CONTEXT_LONGS = (
    "money.minor totals.day_minor totals.day_limit_minor payee.first_settled_hours conversation.calls period.oldest_days"
)
_LONGS = [
    *(str(number) if number > -(2**63) else f"({number + 1} - 1)" for number in EDGES),
    *(f"context.{path}" for path in _CONTEXT_LONGS.split()),
    "context.assurance.level", "context.function.level", "principal.mandate.version", "context.args.amount.minor",
]  # fmt: skip
_STRINGS = [
    '"open"', '"closed"', '"GBP"', '"initiate_transfer"', "resource.status", "resource.currency", "context.channel",
    "context.function.name",
    "context.money.currency", "resource.account.status",
    "context.args.reference", "context.grounding.outcome", "context.args.account.status",
]  # fmt: skip
_ENTITIES = [
    "principal", "resource", "resource.account", 'Account::"current"', 'Account::"absent"', 'Customer::"anna"', "context.args.account",
    "context.args.from",
    "context.args.to.Beneficiary", 'Beneficiary::"dairy"', 'Action::"read"', 'DataClass::"basic"',
]  # fmt: skip
_BOOLS = [
    "true", "false", "principal.frozen", "context.conversation.tainted", "context.payee.own_account", "context.function.egress",
    "context.standing.covers", 'Customer::"anna".frozen', 'Customer::"absent".frozen',
]  # fmt: skip
_HAS = [
    "context has money", "context has money.minor", "context has payee.first_settled_hours", "principal has mandate",
    "principal has mandate.ends", "resource has account", "resource has account.owners", "context.args has to.Beneficiary.status",
    "context.conversation has calls", 'Account::"absent" has owners', "context.args has execute_on", "context has now.year",
    "context.channel has x", 'Customer::"absent" has frozen', 'Account::"current" has currency',
]  # fmt: skip
_SETS = ["principal.mandate.accounts", "principal.mandate.functions", "resource.owners", "resource.account.owners", "[]"]
_DATETIMES = ["context.now", "principal.mandate.starts", "principal.mandate.ends", *(f'datetime("{time}")' for time in TIMES)]


def _joined(parts: Sequence[str]) -> str:
    return f"({' '.join(parts)})"


def _binary(left: Text, operators: str, right: Text) -> Text:
    return st.tuples(left, st.sampled_from(operators.split()), right).map(_joined)


def _called(left: Text, methods: str, right: Text) -> Text:
    return st.tuples(left, st.sampled_from(methods.split()), right).map(lambda made: f"{made[0]}.{made[1]}({made[2]})")


def _grown(some: Text) -> Text:
    joined = _binary(some, "&& ||", some)
    branched = st.tuples(some, some, some).map(lambda made: f"(if {made[0]} then {made[1]} else {made[2]})")
    return st.one_of(joined, joined, branched, some.map(lambda made: f"!({made})"))


_long = st.sampled_from(_LONGS)
_long = st.one_of(_long, _long, _binary(_long, "+ - *", _long), _long.map(lambda made: f"(-({made}))"))
_string, _entity, _datetime = map(st.sampled_from, (_STRINGS, _ENTITIES, _DATETIMES))
_any = st.one_of(_long, _string, _entity, _datetime, st.sampled_from(_BOOLS))
_literal = st.one_of(*(st.lists(one, min_size=1, max_size=3) for one in (_long, _string, _entity, _datetime, _any))).map(
    lambda made: f"[{', '.join(made)}]"
)
_set = st.one_of(st.sampled_from(_SETS), _literal)
_mixed = st.sampled_from(["true", "false", "1", "0", '"1"', "context.payee.own_account"])
_KINDS = [f"{name} is {kind}" for name in ("principal", "resource", "resource.account") for kind in ("Customer", "Account", "Bank")]
_atom = st.one_of(
    st.sampled_from(_HAS),
    _binary(_mixed, "== !=", _mixed),
    _called(_mixed.map("[{}]".format), "contains", _mixed),
    st.sampled_from([*_BOOLS, *_KINDS, 'resource is Account in Account::"current"', 'action == Action::"read"']),
    _binary(_long, "< <= > >= == !=", _long),
    _binary(_datetime, "< <= > >= == !=", _datetime),
    _binary(_string, "== !=", _string),
    _binary(_entity, "== != in", _entity),
    _binary(_entity, "in", _set),
    _binary(_any, "== != <", _any),
    _binary(_set, "==", _set),
    _called(_set, "contains", st.one_of(_string, _entity, _any)),
    _called(_set, "containsAll containsAny", _set),
    _set.map(lambda made: f"{made}.isEmpty()"),
)
CONDITION: Text = _atom
_condition = st.recursive(_atom, _grown, max_leaves=5)
_clause = st.tuples(st.sampled_from(["when", "unless"]), _condition).map(lambda made: f"{made[0]} {{ {made[1]} }}")
_principals = st.sampled_from(
    ["principal", "principal", 'principal == Customer::"anna"', "principal is Customer", 'principal in Account::"current"']
)
_resources = st.sampled_from(
    ["resource", "resource", "resource is Account", 'resource == Account::"current"', 'resource in Account::"savings"',
     'resource is Account in Account::"current"']
)  # fmt: skip

RULE: Text = st.tuples(st.sampled_from(["permit", "forbid"]), _principals, _resources, st.lists(_clause, max_size=2)).map(
    lambda made: f"{made[0]} ({made[1]}, action, {made[2]}) {' '.join(made[3])};"
)

_JUNK: list[Any] = [
    None, True, False, 1.5, 2**63, 10**30, -(2**63) - 1, "", "x", "\ud800", "closed", "USD", [], ["x"], [1], [True, 1], {}, {"x": 1},
    {"__entity": {"type": "Account", "id": "current"}}, {"__entity": {"type": "Account", "id": "absent"}},
    {"__entity": {"type": "Customer", "id": "bob"}}, {"__entity": {"type": "Account", "id": 3}}, {"__entity": "Account"},
    {"__expr": "1"}, {"__extn": {"fn": "ip", "arg": "127.0.0.1"}}, {"__extn": {"fn": "datetime", "arg": "2026-13-01"}},
    {"type": "Account", "id": "current"}, {"fn": "datetime", "arg": bank.NOW}, "2026-06-01", *EDGES, *map(bank.at, TIMES),
]  # fmt: skip


def _spots(value: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Every place in a JSON value: what holds it, and under what."""
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found.append((value, name))
        _spots(inner, found)
    return found


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """One of a few, with some of its values replaced by others, taken out or put in."""
    request = draw(st.sampled_from(SOUND))
    parts: dict[str, Any] = json.loads(json.dumps({"context": request.context, "entities": list(request.entities)}))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 1, 2, 3]))):
        holder, name = draw(st.sampled_from([spot for spot in _spots(parts, []) if spot[0] is not parts] or [(parts, "context")]))
        how = draw(st.sampled_from(["replace", "alike", "alike", "alike", "remove", "add"]))
        old = holder[name] if isinstance(holder, list) else holder.get(name)
        if how == "remove":
            del holder[name]
        elif how == "add" and isinstance(old, dict | list):
            junk = json.loads(json.dumps(draw(st.sampled_from(_JUNK))))
            old.append(junk) if isinstance(old, list) else old.update({draw(st.sampled_from(["surprise", "tags", "calls"])): junk})
        else:
            alike = [junk for junk in _JUNK if type(junk) is type(old)] if how == "alike" else []
            holder[name] = json.loads(json.dumps(draw(st.sampled_from(alike or _JUNK))))
    if isinstance(parts["entities"], list) and draw(st.sampled_from([False, False, True])):
        parts["entities"].append(draw(st.sampled_from(_MORE)))
    principal = draw(st.sampled_from([request.principal] * 9 + [Uid("Customer", "bob"), Uid("Account", "current")]))
    resource = draw(
        st.sampled_from([request.resource] * 9 + [Uid("Account", "absent"), Uid("Customer", "anna"), Uid("Nothing", "x")])
    )
    return replace(request, principal=principal, resource=resource, **parts)


def _entity_of(kind: str, identifier: str, **attributes: JSON) -> dict[str, JSON]:
    return {"uid": {"type": kind, "id": identifier}, "attrs": attributes, "parents": []}


_MORE: list[Any] = [
    *[bank.account("current", "bob")] * 4, bank.account("current"), bank.account("current", "bob"), bank.account("absent"),
    bank.customer("bob"), bank.customer("absent", mandate={}),
    _entity_of("DataClass", "basic"), _entity_of("DataClass", "x"), _entity_of("Bank", "bank"), _entity_of("Bank", "bank", x=1),
    _entity_of("Nothing", "x"), _entity_of("Action", "read"), {**_entity_of("Bank", "bank"), "tags": {"x": 1}},
]  # fmt: skip


def _card(**members: JSON) -> Request:
    context = bank.context("freeze_card", 2, args={"card": bank.entity("Card::blue")}, **members)
    entities: Sequence[Mapping[str, JSON]] = (bank.customer(), bank.account("current"), bank.thing("Card", "blue"))
    return Request(Uid("Customer", "anna"), "freeze_card", Uid("Card", "blue"), context, entities)


SOUND = [
    bank.balance(), bank.balance(2, period={"oldest_days": 91}),
    bank.balance(entities=(bank.customer(mandate={}), bank.account("current"))),
    bank.transfer(3), bank.transfer(1, own=True), bank.transfer(1, minor=60_000, standing={"covers": True}), _card(),
]  # fmt: skip
