"""What may be remembered of decisions, for how long, and what is another question."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from policies import cedar
from policies.decision_cache import Cacheable, CachedDecision, instant, instants_in, memorable
from policies.engine import Engine
from policies.model import JSON, Decision, PolicyEffect, Reason, Request, Uid
from tests.samples import bank

PERMIT = '@id("all") @reason("mandated") @says("Everything.") permit (principal, action, resource);\n'
STARTS, ENDS = "2026-01-01T00:00:00.000Z", "2027-01-01T00:00:00.000Z"
DECIDED = Decision(PolicyEffect.PERMIT, Reason.MANDATED, ("mandate.granted",))


@pytest.fixture(autouse=True)
def _specialised_when_asked() -> Iterator[None]:
    with bank.specialised_when_asked():
        yield


def of(condition: str) -> Cacheable | None:
    return memorable(cedar.parse(f"permit (principal, action, resource) when {{ {condition} }};"), ["now", "money"])


def by_cedar(rules: str | None = None) -> Engine:
    """An engine that asks Cedar for all that it does not remember."""
    return Engine(bank.bundle(rules), compiled=False)


def under(condition: str, action: str = "action") -> Engine:
    head = '@id("forbid") @reason("limit") @says("Not this.")'
    return by_cedar(PERMIT + f"{head} forbid (principal, {action}, resource) when {{ {condition} }};\n")


def asked(engine: Engine, monkeypatch: pytest.MonkeyPatch, *requests: Request) -> int:
    """How often Cedar is asked for these, one after the other."""
    count = 0
    ask = cedar.ask

    def counted(*arguments: object) -> list[cedar.CedarAnswer]:
        nonlocal count
        count += 1
        return ask(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(cedar, "ask", counted)
        for request in requests:
            engine.decide(request)
    return count


def at(moment: str, request: Request | None = None) -> Request:
    request = request or bank.balance()
    return replace(request, context={**request.context, "now": bank.at(moment)})


@pytest.mark.parametrize(
    "condition",
    [
        "context.now < principal.mandate.ends",
        "principal.mandate.starts <= context.now",
        "context.now > principal.mandate.ends || !(resource.account.opened >= context.now)",
        # A text of another type is refused by validation, and between instants two datetimes stay unequal
        "context.now == principal.mandate.ends",
        "principal.mandate.ends != context.now",
        "context.money.minor > 3",
        "context has money && context has period.oldest_days",
        "principal.mandate.starts.offset(context.pause) < principal.mandate.ends",
    ],
)
def test_a_comparison_with_an_entity_may_be_remembered(condition: str) -> None:
    assert of(condition) == Cacheable(("money",), timed=True, instants=frozenset())


def test_a_datetime_of_a_rule_is_an_instant() -> None:
    found = of(f'context.now < datetime("{ENDS}") && datetime("{STARTS}") != context.now')
    assert found is not None
    assert found.instants == {STARTS, ENDS}


@pytest.mark.parametrize(
    "condition",
    [
        'context.now.offset(duration("1h")) < principal.mandate.ends',
        'context.now < principal.mandate.ends.offset(duration("-1h"))',
        'context.now.durationSince(principal.mandate.starts) < duration("1h")',
        'principal.mandate.ends.durationSince(context.now) < duration("1h")',
        "context.now.toDate() == principal.mandate.starts",
        'context.now.toTime() < duration("8h")',
        "context.now < context.deadline",
        "context.args.execute_on > context.now",
        "context.now == context.now",
        "context.now < context.now",
        "[principal.mandate.ends].contains(context.now)",
        "principal.holidays.contains(context.now)",
        "{at: context.now}.at < principal.mandate.ends",
        "context.now < {at: context.deadline}.at",
        "context.now < (if principal.frozen then principal.mandate.starts else principal.mandate.ends)",
        "(if principal.frozen then context.now else principal.mandate.ends) < principal.mandate.ends",
        'context.now < principal.getTag("until")',
        'context.now < Customer::"anna".mandate.ends',
        'context.now < datetime("2026-06-01")',
        'context.now < datetime("2026-06-01T12:00:00Z")',
        'context.now < datetime("2026-06-01T12:00:00.000+0100")',
        'context.now < datetime("2026-02-30T12:00:00.000Z")',
        "context == context",
        "{all: context}.all == principal",
        "[context].contains(context)",
        "context has now",
        "context has now.year",
    ],
)
def test_every_other_use_is_asked_each_time(condition: str) -> None:
    assert of(condition) is None
    assert of(f"principal.frozen || {condition}") is None


def test_the_default_rules_are_remembered() -> None:
    assert all(lenses.narrow is not None and lenses.narrow.memorable is not None for lenses in bank.engine()._lenses.values())
    assert all(lenses.whole.memorable is None for lenses in bank.engine()._lenses.values())


def test_the_same_again_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = by_cedar()
    assert asked(engine, monkeypatch, bank.balance()) == 1
    same = at("2026-12-31T23:59:59.999Z"), at("2026-01-01T00:00:00.001Z"), bank.balance()
    assert asked(engine, monkeypatch, *same) == 0


def test_what_reads_no_time_holds_at_any(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = under("principal.frozen")
    assert asked(engine, monkeypatch, at(STARTS), at(ENDS), at("2026-06-01")) == 1


@pytest.mark.parametrize("action", ["action", 'action in Action::"call"', 'action == Action::"touch"'])
def test_a_rule_that_does_more_with_the_time_is_asked_each_time(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = under('context.now.toTime() < duration("8h")', action)
    assert asked(engine, monkeypatch, bank.balance(), bank.balance()) == 2


def test_the_instants_of_the_mandate_are_kept_to_the_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = by_cedar()
    for before, at_it, after, effects in (
        ("2025-12-31T23:59:59.999Z", STARTS, "2026-01-01T00:00:00.001Z", "deny permit permit"),
        ("2026-12-31T23:59:59.999Z", ENDS, "2027-01-01T00:00:00.001Z", "permit deny deny"),
    ):
        moments = before, at_it, after
        for _ in range(2):
            assert " ".join(engine.decide(at(moment)).effect for moment in moments) == effects
            assert " ".join(engine.decide(at(moment)).effect for moment in reversed(moments)) == " ".join(reversed(effects.split()))
        assert asked(engine, monkeypatch, at(at_it), at(at_it)) >= 2


def test_the_instants_of_the_rules_are_kept() -> None:
    engine = under(f'context.now >= datetime("{bank.NOW}")')
    for moment, effect in (
        ("2026-06-01T11:59:59.999Z", PolicyEffect.PERMIT),
        (bank.NOW, PolicyEffect.DENY),
        ("2026-06-01T12:00:00.001Z", PolicyEffect.DENY),
        ("2026-06-01T11:59:59.999Z", PolicyEffect.PERMIT),
    ):
        assert engine.decide(at(moment)).effect is effect


def test_a_datetime_that_stands_as_bare_text_is_an_instant_too() -> None:
    """With a schema Cedar takes one for the other."""
    engine = by_cedar()
    customer = bank.customer(mandate={"ends": "2026-07-01T00:00:00.000Z"})
    request = bank.balance(entities=(customer, bank.account("current")))
    assert engine.decide(request).effect is PolicyEffect.PERMIT
    assert engine.decide(at("2026-07-01T00:00:00.000Z", request)).effect is PolicyEffect.DENY


@pytest.mark.parametrize("ends", ["2026-07-01", "2026-07-01T00:00:00Z", "2026-07-01T00:00:00.000+0100"])
def test_another_form_of_a_datetime_is_asked_each_time(ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    customer = bank.customer(mandate={"ends": bank.at(ends)})
    request = bank.balance(entities=(customer, bank.account("current")))
    assert asked(by_cedar(), monkeypatch, request, request) == 2


def test_now_in_another_form_is_asked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    request = at("2026-06-01T12:00:00Z")
    assert asked(by_cedar(), monkeypatch, request, request) == 2


NO_TIMES: list[object] = [
    "2026-06-01T12:00:00.000Z",
    {"__extn": {"fn": "datetime", "arg": "2026-06-31T12:00:00.000Z"}},
    {"__extn": {"fn": "datetime", "arg": "2026-06-01T24:00:00.000Z"}},
    {"__extn": {"fn": "datetime", "arg": "2026-06-01T12:60:00.000Z"}},
    {"__extn": {"fn": "datetime", "arg": "2026-06-01T12:00:00.000Z\n"}},
    {"__extn": {"fn": "decimal", "arg": "2026-06-01T12:00:00.000Z"}},
    {"__extn": {"fn": "datetime", "arg": "2026-06-01T12:00:00.000Z", "more": 1}},
    {"__extn": {"fn": "datetime", "arg": "2026-06-01T12:00:00.000Z"}, "more": 1},
    {"__extn": {"fn": "datetime", "arg": None}},
    {"__extn": {"fn": "datetime"}},
    {"fn": "datetime", "arg": "2026-06-01T12:00:00.000Z"},
    None,
    {},
]


@pytest.mark.parametrize("now", NO_TIMES)
def test_what_is_no_time_is_none_however_well_the_rest_is_known(now: JSON) -> None:
    assert instant(now) is None
    engine = by_cedar()
    request = bank.balance()
    assert engine.decide(request).effect is PolicyEffect.PERMIT
    odd = replace(request, context={**request.context, "now": now})
    assert engine.decide(odd) == by_cedar().decide(odd)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f'[{{"starts":{{"__extn":{{"fn":"datetime","arg":"{STARTS}"}}}},"ends":"{ENDS}"}}]', {STARTS, ENDS}),
        ('["2026","12:00","a 2026-01-01","x2026-01-01"]', set()),
        ('["2026-01-01"]', None),
        ('["2026-01-01T00:00:00Z"]', None),
        ('["2026-01-01T00:00:00.000+0000"]', None),
        ('["2026-01-01-is-an-account"]', None),
        ('[{"fn":"offset","args":[]}]', None),
        ('[{"fn":"datetime","arg":"x"},{"fn":"toDate","arg":"x"}]', None),
        ('["__expr"]', None),
    ],
)
def test_instants_are_found_in_every_form_or_the_text_is_not_trusted(text: str, found: set[str] | None) -> None:
    assert instants_in(text) == found


BASE = bank.balance()
CHANGES: Mapping[str, Request] = {
    "level": bank.balance(2),
    "mandate": bank.balance(entities=(bank.customer(mandate={"version": 4}), bank.account("current"))),
    "no mandate": bank.balance(entities=(bank.customer(mandate={}), bank.account("current"))),
    "frozen": bank.balance(entities=(bank.customer(frozen=True), bank.account("current"))),
    "owners": bank.balance(entities=(bank.customer(), bank.account("current", "bob"))),
    "status": bank.balance(entities=(bank.customer(), bank.account("current", status="closed"))),
    "more entities": bank.balance(entities=(bank.customer(), bank.account("current"), bank.account("savings"))),
    "money": bank.balance(money={"minor": 1, "currency": "GBP"}),
    "period": bank.balance(period={"oldest_days": 91}),
    "resource": replace(BASE, resource=Uid("Account", "savings")),
    "kind of resource": replace(BASE, resource=Uid("Card", "current")),
    "principal": replace(
        bank.balance(entities=(bank.customer("bob"), bank.account("current"))),
        principal=Uid("Customer", "bob"),
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_differs_is_another_question(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = by_cedar()
    engine.decide(BASE)
    assert asked(engine, monkeypatch, CHANGES[change]) >= 1
    assert engine.decide(CHANGES[change]) == by_cedar().decide(CHANGES[change])
    assert asked(engine, monkeypatch, BASE) == 0


PAYMENTS: Mapping[str, Request] = {
    "money": bank.transfer(3, minor=1001),
    "totals": bank.transfer(3, totals=bank.totals(day_count=11)),
    "payee": bank.transfer(3, payee={"own_account": True, "same_currency": True, "known": True}),
    "taint": bank.transfer(3, conversation={"tainted": True}),
    "level": bank.transfer(2),
    "touched": bank.transfer(
        3,
        args={
            **bank.transfer().context["args"],  # type: ignore[dict-item]
            "to": {"Account": bank.entity("Account::savings")},
        },
    ),
}


@pytest.mark.parametrize("change", PAYMENTS)
def test_what_moves_money_is_asked_each_time(change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = by_cedar()
    assert asked(engine, monkeypatch, bank.transfer(3), bank.transfer(3)) == 2
    assert asked(engine, monkeypatch, PAYMENTS[change]) >= 1
    assert engine.decide(PAYMENTS[change]) == by_cedar().decide(PAYMENTS[change])


def test_a_touched_object_of_somebody_else_is_another_question() -> None:
    """The entities and the context are the same: only the argument names another object."""
    engine = by_cedar()
    theirs = bank.thing("Beneficiary", "theirs", "bob")
    entities = (bank.customer(), bank.account("current"), bank.thing("Beneficiary", "dairy"), theirs)
    own = bank.transfer(3, entities=entities)
    args: JSON = {**own.context["args"], "to": {"Beneficiary": bank.entity("Beneficiary::theirs")}}  # type: ignore[dict-item]
    assert engine.decide(own).effect is PolicyEffect.PERMIT
    assert engine.decide(replace(own, context={**own.context, "args": args})).reason is Reason.NOT_OWNER


def test_errors_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    request = bank.balance(entities=(bank.customer(),))
    assert asked(by_cedar(), monkeypatch, request, request) == 2
    place = CachedDecision()
    place.keep(bank.NOW, (), Decision(PolicyEffect.DENY, Reason.ERROR, errors=("overflow",)))
    assert place.recall(bank.NOW) is None


def test_a_refusal_stands_before_what_is_remembered() -> None:
    engine = by_cedar()
    request = bank.balance()
    assert engine.decide(request).effect is PolicyEffect.PERMIT
    changes: list[dict[str, JSON]] = [
        {"channel": 3},
        {"agent": None},
        {"function": {}},
        {"assurance": {"level": True}},
        {"args": {"account": bank.entity("Card::current"), "type": "ITAV"}},
        {"surprise": 1},
    ]
    for change in changes:
        assert engine.decide(replace(request, context={**request.context, **change})).reason is Reason.ERROR
    for member in request.context.keys() - {"object"}:
        lacking = {name: value for name, value in request.context.items() if name != member}
        assert engine.decide(replace(request, context=lacking)).reason is Reason.ERROR


def test_a_place_holds_between_two_instants_and_at_none() -> None:
    place = CachedDecision()
    place.keep("5", ("3", "7"), DECIDED)
    assert [place.recall(moment) for moment in "34567"] == [None, DECIDED, DECIDED, DECIDED, None]
    at_a_flip, unsure = CachedDecision(), CachedDecision()
    at_a_flip.keep("3", ("3", "7"), DECIDED)
    unsure.keep("5", None, DECIDED)
    assert at_a_flip.recall("3") is None
    assert unsure.recall("5") is None


def test_remembering_is_bounded_and_least_recently_used_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("policies.decision_cache.MOST_PLACES", 2)
    engine = by_cedar()
    first, second, third = bank.balance(), bank.balance(2), bank.balance(3)
    assert asked(engine, monkeypatch, first, second, first, third, first) == 3
    assert asked(engine, monkeypatch, second) == 1
    assert engine._memory.place.cache_info().currsize == 2
