"""Whatever is not an error-free answer denies, and says so."""

from dataclasses import replace

import pytest

from adapters.core import ReferenceKind
from adapters.function import Effect as FunctionEffect
from adapters.function import EffectFunction, Level, ReadFunction
from policies.engine import Engine
from policies.model import JSON, Assurance, Decision, PolicyEffect, Reason, Uid
from policies.reading import BundleRefused
from tests.samples import bank, functions

PERMIT = '@id("all") @reason("mandated") @says("Everything.") permit (principal, action, resource);\n'


def forbid(condition: str, name: str = "forbid") -> str:
    head = f'@id("{name}") @reason("limit") @says("Not this.")'
    return f"{head} forbid (principal, action, resource) when {{ {condition} }};\n"


def is_error(decision: Decision) -> bool:
    return (
        decision.effect is PolicyEffect.DENY and decision.reason is Reason.ERROR and bool(decision.errors) and not decision.policies
    )


def test_a_permit_names_what_permits() -> None:
    assert bank.engine().decide(bank.balance()) == Decision(PolicyEffect.PERMIT, Reason.MANDATED, ("mandate.granted",))


def test_a_challenge_names_the_rung_and_what_stands_in_the_way() -> None:
    decision = bank.engine().decide(bank.transfer(2))
    assert decision == Decision(PolicyEffect.CHALLENGE, Reason.CONFIRMATION, ("levels.confirmation",), Assurance.CONFIRMED)


def test_what_no_assurance_would_permit_is_denied_without_asking() -> None:
    decision = bank.engine().decide(bank.transfer(1, minor=50_001))
    assert decision == Decision(PolicyEffect.DENY, Reason.LIMIT, ("payments.limit_payment",))


def test_what_no_rule_permits_is_denied() -> None:
    engine = Engine(bank.bundle(forbid("context.channel == 'fax'".replace("'", '"'))))
    assert engine.decide(bank.balance()) == Decision(PolicyEffect.DENY, Reason.NO_RULE)


def test_a_forbid_wins_over_a_permit() -> None:
    engine = Engine(bank.bundle(PERMIT + forbid("true")))
    assert engine.decide(bank.balance()) == Decision(PolicyEffect.DENY, Reason.LIMIT, ("forbid",))


def test_a_forbid_whose_arithmetic_overflows_denies() -> None:
    """Plain Cedar skips it and allows."""
    engine = Engine(
        bank.bundle(PERMIT + forbid("context.conversation has calls && 9223372036854775807 + context.conversation.calls > 0"))
    )
    decision = engine.decide(bank.balance())
    assert is_error(decision)
    assert "overflow" in decision.errors[0]


def test_a_rule_that_errors_denies_even_if_another_permits() -> None:
    engine = Engine(bank.bundle(PERMIT + forbid('resource has account && resource.account.status == "closed"')))
    card = bank.thing("Card", "debit", of="missing")
    context = bank.context("freeze_card", args={"card": bank.entity("Card::debit")})
    request = replace(
        bank.balance(), action="freeze_card", resource=Uid("Card", "debit"), context=context, entities=(bank.customer(), card)
    )
    assert is_error(engine.decide(request))


@pytest.mark.parametrize(
    "money",
    [
        {"minor": 2**63, "currency": "GBP"},
        {"minor": 2**64, "currency": "GBP"},
        {"minor": -(2**63) - 1, "currency": "GBP"},
        {"minor": 12.5, "currency": "GBP"},
        {"minor": "1250", "currency": "GBP"},
        {"minor": True, "currency": "GBP"},
        {"minor": None, "currency": "GBP"},
        {"minor": 1},
        {"minor": 1, "currency": "GBP", "note": "x"},
        1250,
    ],
)
def test_money_that_is_none_denies(money: object) -> None:
    assert is_error(bank.engine().decide(bank.transfer(3, money=money)))  # type: ignore[arg-type]


@pytest.mark.parametrize("member", ["function", "now", "channel", "agent", "conversation", "grounding", "args", "assurance"])
def test_a_context_that_lacks_a_member_denies(member: str) -> None:
    request = bank.balance()
    context = {name: value for name, value in request.context.items() if name != member}
    assert is_error(bank.engine().decide(replace(request, context=context)))


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("assurance", {"level": 5}),
        ("assurance", {"level": -1}),
        ("assurance", {"level": True}),
        ("assurance", {"level": "3"}),
        ("assurance", {}),
        ("assurance", {"level": 3, "since": 1}),
        ("assurance", 3),
        ("now", "soon"),
        ("now", {"__extn": {"fn": "datetime", "arg": "2026-13-01"}}),
        ("now", {"__extn": {"fn": "decimal", "arg": "1.0"}}),
        ("channel", 7),
        ("channel", "\ud800"),
        ("agent", {"id": None}),
        ("agent", {"id": "a", "trusted": True}),
        ("agent", "assistant"),
        ("conversation", {"tainted": "no"}),
        ("conversation", {"tainted": False, "calls": 2**63}),
        ("grounding", {"payee": 1}),
        ("grounding", {"payees": "typed"}),
        ("args", {"account": {"__entity": {"type": "Account", "id": "current"}}}),
        ("args", {"account": {"__entity": {"type": "Card", "id": "current"}}, "type": "ITAV"}),
        ("args", {"account": "current", "type": "ITAV"}),
        ("args", {"account": {"__entity": {"type": "Account"}}, "type": "ITAV"}),
        ("args", {"account": {"__entity": {"type": "Account", "id": 7}}, "type": "ITAV"}),
        ("args", {"account": {"__entity": {"type": "Account", "id": "current"}}, "type": "ITAV", "also": 1}),
        ("args", []),
        ("surprise", 1),
        ("monay", {"minor": 1, "currency": "GBP"}),
    ],
)
def test_a_malformed_context_denies(member: str, value: object) -> None:
    request = bank.balance()
    assert is_error(bank.engine().decide(replace(request, context={**request.context, member: value})))  # type: ignore[dict-item]


OTHER_FACTS: list[dict[str, JSON]] = [
    {"level": 0},
    {"emergency": True},
    {"egress": True},
    {"effect": "R"},
    {"name": "get_limits"},
    {"also": 1},
    # Equal to what was declared, for Python alone
    {"level": True},
    {"level": 1.0},  # type: ignore[dict-item]
    {"emergency": 0},
]


@pytest.mark.parametrize("fact", OTHER_FACTS)
def test_a_context_that_speaks_of_another_function_denies(fact: dict[str, JSON]) -> None:
    request = bank.transfer(3)
    function = {**request.context["function"], **fact}  # type: ignore[dict-item]
    assert is_error(bank.engine().decide(replace(request, context={**request.context, "function": function})))


@pytest.mark.parametrize("action", ["get_money", "read", "call", "touch", "reveal", "", 'list_cards"; permit'])
def test_what_is_no_function_of_the_bundle_denies(action: str) -> None:
    assert is_error(bank.engine().decide(replace(bank.balance(), action=action)))


@pytest.mark.parametrize(
    "entities",
    [
        (),
        (bank.customer(),),
        (bank.account("current"),),
        (bank.customer(), bank.account("savings")),
        (bank.customer(), bank.account("current"), bank.account("current", "bob")),
        (bank.customer(), bank.customer(frozen=True), bank.account("current")),
        (bank.customer(), {"uid": {"type": "Account", "id": "current"}, "attrs": {"owners": []}, "parents": []}),
        (bank.customer(), {"uid": {"type": "Vault", "id": "v"}, "attrs": {}, "parents": []}, bank.account("current")),
        (bank.customer(), {"uid": "current"}, bank.account("current")),
        (bank.customer(), "current", bank.account("current")),
        ({**bank.customer(), "attrs": {"frozen": "no"}}, bank.account("current")),
        ({**bank.customer(), "attrs": {}}, bank.account("current")),
    ],
)
def test_a_malformed_slice_of_entities_denies(entities: tuple[dict[str, object], ...]) -> None:
    decision = bank.engine().decide(bank.balance(entities=entities))  # type: ignore[arg-type]
    assert is_error(decision)


def test_the_wrong_kind_of_resource_denies() -> None:
    assert is_error(bank.engine().decide(replace(bank.balance(), resource=Uid("Card", "debit"))))
    assert is_error(bank.engine().decide(replace(bank.balance(), principal=Uid("Account", "current"))))


def test_an_identifier_cannot_break_out_of_its_quotation() -> None:
    name = 'anna" || true || "'
    request = replace(bank.balance(entities=(bank.customer(name), bank.account("current"))), principal=Uid("Customer", name))
    assert bank.engine().decide(request).reason is Reason.NOT_OWNER


def test_every_object_that_a_call_names_is_asked_for() -> None:
    theirs = bank.thing("Beneficiary", "dairy", "bob", of="current")
    entities = (bank.customer(), bank.account("current"), theirs)
    decision = bank.engine().decide(bank.transfer(3, entities=entities))
    assert decision == Decision(PolicyEffect.DENY, Reason.NOT_OWNER, ("ownership.not_owner",))


THEIRS: list[JSON] = [
    {"__entity": {"type": "Beneficiary", "id": "theirs"}},
    {"__entity": {"type": "Beneficiary", "id": "theirs", "more": "x"}},
    {"__entity": {"type": "Beneficiary", "id": "theirs"}, "type": "Beneficiary"},
    {"__entity": {"type": "Beneficiary", "id": "theirs"}, "type": "Beneficiary", "id": "dairy"},
    {"type": "Beneficiary", "id": "theirs"},
    {"type": "Beneficiary", "id": "theirs", "more": "x"},
    {"type": "Beneficiary", "id": "theirs", "__entity": {"type": "Beneficiary", "id": "dairy"}},
    {"__expr": 'Beneficiary::"theirs"'},
    'Beneficiary::"theirs"',
    ["Beneficiary", "theirs"],
]


@pytest.mark.parametrize("form", THEIRS)
def test_no_way_of_naming_an_object_hides_it(form: JSON) -> None:
    """Some of these forms Cedar takes, some it does not; none becomes a payment to what somebody else owns."""
    theirs = bank.thing("Beneficiary", "theirs", "bob", of="current")
    entities = (bank.customer(), bank.account("current"), theirs, bank.thing("Beneficiary", "dairy"))
    request = bank.transfer(3, entities=entities)
    args: JSON = {**request.context["args"], "to": {"Beneficiary": form}}  # type: ignore[dict-item]
    decision = bank.engine().decide(replace(request, context={**request.context, "args": args}))
    assert decision.effect is PolicyEffect.DENY


def test_a_context_without_a_bottom_denies() -> None:
    nested: JSON = []
    for _ in range(100_000):
        nested = [nested]
    request = bank.balance()
    assert is_error(bank.engine().decide(replace(request, context={**request.context, "args": {"account": nested}})))
    assert is_error(bank.engine().decide(replace(request, context={**request.context, "agent": nested})))


def test_an_object_that_is_named_but_unknown_denies() -> None:
    assert is_error(bank.engine().decide(bank.transfer(3, entities=(bank.customer(), bank.account("current")))))


def test_the_objects_of_the_resource_argument_are_left_to_their_own_requests() -> None:
    """The gateway asks once for each of them."""
    many = [bank.entity("Account::current"), bank.entity("Account::savings")]
    context = bank.context("get_spending_summary")
    context["args"] = {"accounts": many, "period": "last_month", "group_by": "category"}
    request = replace(bank.balance(), action="get_spending_summary", context=context)
    assert bank.engine().decide(request).effect is PolicyEffect.PERMIT


def test_a_second_person_is_the_highest_challenge() -> None:
    rule = forbid("context.assurance.level < 4").replace('"limit"', '"approval"')
    engine = Engine(bank.bundle(PERMIT + rule))
    assert engine.decide(bank.balance()) == Decision(PolicyEffect.CHALLENGE, Reason.APPROVAL, ("forbid",), Assurance.APPROVED)
    assert engine.decide(bank.balance(4)).effect is PolicyEffect.PERMIT


def test_a_permit_that_waits_for_assurance_is_challenged_without_a_forbid() -> None:
    engine = Engine(bank.bundle(PERMIT.replace(";", " when { context.assurance.level >= 3 };")))
    assert engine.decide(bank.balance()) == Decision(PolicyEffect.CHALLENGE, Reason.CONFIRMATION, (), Assurance.CONFIRMED)


def test_an_unfit_bundle_makes_no_engine() -> None:
    with pytest.raises(BundleRefused):
        Engine(bank.bundle("permit (principal, action, resource);"))


def test_rules_hold_for_functions_that_nobody_declared_yet() -> None:
    """A declared function of an unknown bank, with a card as its resource and money in another argument."""
    topping = functions.effect(
        "top_up_card",
        functions._argument("card", functions.Reference((ReferenceKind.CARD,))),
        functions._argument("by", functions.Amount()),
        does=FunctionEffect.WRITE,
        level=Level.L1,
        resource="card",
    )
    engine = Engine(bank.bundle(functions=(*functions.FUNCTIONS, topping)))
    context = bank.context("list_cards", 2)
    function: JSON = {"name": "top_up_card", "effect": "W", "level": 1, "emergency": False, "egress": False}
    money: JSON = {"minor": 60_000, "currency": "GBP"}
    context |= {"function": function, "money": money, "totals": bank.totals(60_000)}
    context["args"] = {"card": bank.entity("Card::debit"), "by": money}
    granted = bank.customer(mandate={"functions": ["top_up_card"]})
    request = replace(
        bank.balance(),
        action="top_up_card",
        resource=Uid("Card", "debit"),
        context=context,
        entities=(granted, bank.thing("Card", "debit")),
    )
    assert engine.decide(request).policies == ("payments.limit_payment",)
    small = replace(request, context={**context, "money": {"minor": 1, "currency": "GBP"}, "totals": bank.totals(1)})
    assert engine.decide(small).rung is Assurance.CONFIRMED


def test_every_default_function_is_decided_through_a_narrow_lens() -> None:
    """Else decisions would stay right and grow slow."""
    lenses = bank.engine()._lenses
    assert all(one.narrow is not None and one.narrow.compiled is not None for one in lenses.values())
    assert lenses["get_limits"].through(bank.context("get_limits")) is lenses["get_limits"].narrow


def asked_of(function: EffectFunction | ReadFunction, level: int = 1, **members: JSON) -> Decision:
    """The decision on a function that only this test declares, without arguments, under a mandate that names it."""
    facts = {
        "name": function.name,
        "effect": function.effect.value,
        "level": function.level.value,
        "emergency": function.emergency,
        "egress": function.egress,
    }
    engine = Engine(bank.bundle(functions=(*functions.FUNCTIONS, function)))
    context = {**bank.context("list_cards", level), "function": facts, **members}
    granted = bank.customer(mandate={"functions": [function.name]})
    request = replace(bank.balance(), action=function.name, resource=Uid("Bank", "bank"), context=context, entities=(granted,))
    return engine.decide(request)


TAINTED: dict[str, JSON] = {"conversation": {"tainted": True}}
OWN: dict[str, JSON] = {
    "money": {"minor": 1, "currency": "GBP"},
    "totals": bank.totals(1),
    "payee": {"own_account": True, "same_currency": True, "known": True},
}


def test_words_do_not_leave_a_tainted_conversation_unconfirmed() -> None:
    ask_rates = functions.read("ask_rates", egress=True)
    assert asked_of(ask_rates).effect is PolicyEffect.PERMIT
    held = asked_of(ask_rates, 1, **TAINTED)
    assert held == Decision(PolicyEffect.CHALLENGE, Reason.TAINTED, ("conversation.tainted",), Assurance.CONFIRMED)
    assert asked_of(ask_rates, 3, **TAINTED).effect is PolicyEffect.PERMIT


def test_a_move_between_own_accounts_that_carries_words_outside_is_held_when_tainted() -> None:
    inside = functions.effect("sweep", does=FunctionEffect.WRITE, level=Level.L1)
    outside = functions.effect("sweep_and_tell", does=FunctionEffect.WRITE, level=Level.L1, egress=True)
    assert asked_of(inside, 2, **TAINTED, **OWN).effect is PolicyEffect.PERMIT
    assert asked_of(outside, 2, **TAINTED, **OWN).rung is Assurance.CONFIRMED
    assert asked_of(outside, 2, **OWN).effect is PolicyEffect.PERMIT


@pytest.mark.parametrize(
    ("does", "on", "more", "rung"),
    [
        (FunctionEffect.IRREVERSIBLE, "Card", {}, None),
        (FunctionEffect.WRITE, "Card", {}, Assurance.CONFIRMED),
        (FunctionEffect.IRREVERSIBLE, "Beneficiary", {}, Assurance.CONFIRMED),
        (FunctionEffect.IRREVERSIBLE, "Card", {"egress": True}, Assurance.CONFIRMED),
    ],
)
def test_closing_a_card_alone_takes_no_more_than_a_strong_session(
    does: FunctionEffect, on: str, more: dict[str, bool], rung: Assurance | None
) -> None:
    kind = ReferenceKind.CARD if on == "Card" else ReferenceKind.BENEFICIARY
    given = functions._argument("it", functions.Reference((kind,)))
    function = functions.effect("end_it", given, does=does, level=Level.L1, resource="it", egress=bool(more))
    facts = {"name": "end_it", "effect": does.value, "level": 1, "emergency": False, "egress": bool(more)}
    context = {**bank.context("list_cards", 2), "function": facts, "args": {"it": bank.entity(f"{on}::x")}}
    request = replace(
        bank.balance(),
        action="end_it",
        resource=Uid(on, "x"),
        context=context,
        entities=(bank.customer(mandate={"functions": ["end_it"]}), bank.thing(on, "x")),
    )
    engine = Engine(bank.bundle(functions=(*functions.FUNCTIONS, function)))
    assert engine.decide(request).rung is rung
    weak = replace(request, context={**context, "assurance": {"level": 1}})
    assert engine.decide(weak).rung is (rung or Assurance.STRONG)


def test_what_asks_no_session_is_public_for_reads_about_the_bank_alone() -> None:
    nobody: dict[str, JSON] = {}
    for function, is_public in (
        (functions.read("opening_hours", level=Level.L0), True),
        (functions.read("opening_hours_of_a_customer", level=Level.L1), False),
        (functions.effect("order_a_brochure", does=FunctionEffect.PROTECT, level=Level.L0), False),
    ):
        facts = {"name": function.name, "effect": function.effect.value, "level": function.level.value}
        context = {**bank.context("list_cards", 4), "function": {**facts, "emergency": False, "egress": False}}
        request = replace(
            bank.balance(),
            action=function.name,
            resource=Uid("Bank", "bank"),
            context=context,
            entities=(bank.customer(mandate=nobody),),
        )
        decision = Engine(bank.bundle(functions=(*functions.FUNCTIONS, function))).decide(request)
        assert (decision.effect is PolicyEffect.PERMIT) is is_public, function.name


def test_the_emergency_door_is_for_what_protects_and_says_so() -> None:
    plain = functions.effect("lower_limit", does=FunctionEffect.PROTECT, level=Level.L1)
    urgent = functions.effect("lock_everything", does=FunctionEffect.PROTECT, level=Level.L1, emergency=True)
    posing = functions.read("read_everything", emergency=True)
    paying = functions.effect("pay_now", does=FunctionEffect.IRREVERSIBLE, level=Level.L1, emergency=True)
    assert asked_of(plain).policies == ("mandate.granted",)
    assert asked_of(urgent).policies == ("emergency.door", "mandate.granted")
    assert asked_of(posing).policies == ("mandate.granted",)
    assert asked_of(paying).rung is Assurance.CONFIRMED
