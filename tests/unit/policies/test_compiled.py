"""What the compiled rules decide without Cedar, where they are not sure, and what is not compiled."""

from dataclasses import replace
from typing import Any

import pytest

from policies import cedar
from policies import schema_checks as shape
from policies.compiled import Compiled, Rules
from policies.compiled_expressions import Unsupported, Unsure
from policies.engine import Engine
from policies.ladder import Tally
from policies.model import JSON, PolicyEffect, Reason, Request, Uid
from policies.reading import accept
from tests.samples import bank

_CONTEXTS = shape.contexts(str(accept(bank.bundle())[0].handle))


def said(condition: str, request: Request | None = None, level: int = 3) -> Tally | None:
    """What a permit under this condition says. None: Cedar has to say it."""
    request = request or bank.transfer(3)
    rules = Rules(cedar.parse(f"permit (principal, action, resource) when {{ {condition} }};"))
    try:
        return Compiled(rules, Rules([]), _CONTEXTS[request.action], _CONTEXTS["touch"]).tallies(request, [])(level)
    except Unsure:
        return None


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("context.money.minor == 1000 && context.money.minor <= 1000", True),
        ("context.money.minor < 1000 || context.totals.day_minor > 1000", False),
        ("true == 1", False),
        ("[true].contains(1)", False),
        ("[1].contains(true)", False),
        ('"1" == 1', False),
        ("false && context.money.nothing", False),
        ("true || 9223372036854775807 + 1 > 0", True),
        ("9223372036854775807 + 1 > 0", None),
        ("-9223372036854775807 - 2 < 0", None),
        ("-(-9223372036854775807 - 1) > 0", None),
        ("context.money.minor * 9223372036854775807 > 0", None),
        ("context.period.oldest_days > 90", None),
        ("context has period.oldest_days", False),
        ("resource.owners.contains(principal)", True),
        ('Account::"absent" has owners', False),
        ('Account::"absent".owners.contains(principal)', None),
        ("resource in resource && !(resource in principal)", True),
        ('resource in [Account::"current"] && resource is Account in Account::"current"', True),
        ('principal.mandate.functions.containsAll(["initiate_transfer", "list_cards"])', True),
        ('principal.mandate.functions.containsAny(["nothing"])', False),
        ('[1, 2].containsAll([2]) && ![1].isEmpty()', True),
        ("principal.mandate.starts <= context.now && context.now != principal.mandate.ends", True),
        ('context.now < datetime("2026-06-01T12:00:00.001Z")', True),
        ("resource.owners == [principal]", None),
        ("context.money.minor < context.now", None),
        ("context.assurance.level >= 3 && context.assurance.level < 4", True),
        ("(if principal.frozen then context.money.nothing else 1) == 1", True),
        ("principal.frozen == false && !principal.frozen", True),
    ],
)  # fmt: skip
def test_it_says_what_cedar_says_or_nothing(condition: str, holds: bool | None) -> None:
    tally = said(condition)
    assert (None if tally is None else tally.permitted) is holds


@pytest.mark.parametrize(
    "condition",
    [
        'context.channel like "a*"',
        'context.now < datetime("2026-06-01")',
        'context.now.offset(duration("1h")) < principal.mandate.ends',
        'decimal("1.0").lessThan(decimal("2.0"))',
        "{a: 1}.a == 1",
        "context == context",
        "context has assurance",
        "context.assurance == context.assurance",
        '(if true then context else context).assurance.level == 1',
        'action == Action::"read"',
        'principal.getTag("x") == 1',
        "context.__entity.type == 1",
    ],
)  # fmt: skip
def test_what_is_not_known_is_not_compiled(condition: str) -> None:
    with pytest.raises(Unsupported):
        said(condition)


def test_a_function_with_a_rule_that_is_not_compiled_is_cedars_alone() -> None:
    like = 'forbid (principal, action == Action::"list_cards", resource) when { context.channel like "a*" };'
    rules = bank.rule_files()[0].text + f'@id("like") @reason("forbidden") @says("x") {like}'
    with bank.specialised_when_asked():
        lenses = Engine(bank.bundle(rules))._lenses
        assert [lenses[name].narrow.compiled is None for name in ("list_cards", "get_account_balance")] == [True, False]  # type: ignore[union-attr]


def cedar_forbidden(*_: object) -> None:
    raise AssertionError("Cedar is asked")


WARM = [bank.balance(), bank.balance(2, period={"oldest_days": 91}), *(bank.transfer(level) for level in range(5)),
        bank.transfer(3, minor=60_000), bank.transfer(2, own=True), bank.transfer(3, conversation={"tainted": True})]  # fmt: skip


@pytest.mark.parametrize("request_", WARM)
def test_what_the_gateway_asks_is_decided_without_cedar(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Engine(bank.bundle(), compiled=False).decide(request_)
    monkeypatch.setattr(cedar, "ask", cedar_forbidden)
    assert bank.engine().decide(request_) == wanted


def entities(**changes: Any) -> tuple[dict[str, Any], ...]:
    """Those of a read, the account changed in this way."""
    return bank.customer(), {**bank.account("current"), **changes}


ACCOUNT = bank.account("current")
ODD: dict[str, Any] = {
    "a parent": entities(parents=[{"type": "Account", "id": "savings"}]),
    "no parents": ({"uid": ACCOUNT["uid"], "attrs": ACCOUNT["attrs"]}, bank.customer()),
    "tags": entities(tags={}),
    "another attribute": entities(attrs={**ACCOUNT["attrs"], "more": 1}),  # type: ignore[dict-item]
    "an attribute too few": entities(attrs={"owners": [], "status": "open"}),
    "an owner as a bare uid": entities(attrs={**ACCOUNT["attrs"], "owners": [{"type": "Customer", "id": "anna"}]}),  # type: ignore[dict-item]
    "an unknown type": entities(uid={"type": "Nothing", "id": "current"}),
    "a type that is no text": entities(uid={"type": ["Account"], "id": "current"}),
    "an explicit uid": entities(uid=bank.entity("Account::current")),
    "a surrogate": entities(uid={"type": "Account", "id": "\ud800"}),
    "twice": (*entities(), ACCOUNT),
    "no principal": (ACCOUNT,),
    "of an enumeration": (*entities(), {"uid": {"type": "DataClass", "id": "basic"}, "attrs": {}, "parents": []}),
    "no entity": (*entities(), 3),
    "a mandate in another form": (bank.customer(mandate={"starts": "2026-01-01"}), ACCOUNT),
    "a number beyond 64 bits": (bank.customer(mandate={"version": 2**63}), ACCOUNT),
}


@pytest.mark.parametrize("odd", ODD)
def test_entities_that_are_not_surely_well_formed_are_cedars(odd: str) -> None:
    request = bank.balance(entities=ODD[odd])
    assert said("true", request) is None
    assert bank.engine().decide(request) == Engine(bank.bundle(), compiled=False).decide(request)


@pytest.mark.parametrize(
    ("principal", "resource"),
    [
        (Uid("Customer", "anna"), Uid("Card", "current")),
        (Uid("Account", "current"), Uid("Account", "current")),
        (Uid("Customer", "anna"), Uid("Account", "\ud800")),
    ],
)
def test_what_the_action_is_not_about_is_cedars(principal: Uid, resource: Uid) -> None:
    assert said("true", replace(bank.balance(), principal=principal, resource=resource)) is None


def test_a_touched_object_of_somebody_else_is_denied_and_one_that_is_missing_an_error() -> None:
    """The entities and the context are the same: only the argument names another object."""
    things = (
        bank.customer(),
        bank.account("current"),
        bank.thing("Beneficiary", "dairy"),
        bank.thing("Beneficiary", "theirs", "bob"),
    )
    own = bank.transfer(3, entities=things)
    assert bank.engine().decide(own).effect is PolicyEffect.PERMIT
    for name, reason in (("theirs", Reason.NOT_OWNER), ("absent", Reason.ERROR)):
        args: JSON = {**own.context["args"], "to": {"Beneficiary": bank.entity(f"Beneficiary::{name}")}}  # type: ignore[dict-item]
        assert bank.engine().decide(replace(own, context={**own.context, "args": args})).reason is reason
