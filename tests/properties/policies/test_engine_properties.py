"""The engine's short cuts change nothing: per-action rules, remembered principals and remembered disclosures."""

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from policies import cedar
from policies.cedar import Entities, PolicySet
from policies.model import JSON, PolicyEffect, Request, Uid
from policies.reading import accept
from tests.samples import bank
from tests.support.options import examples

_SCHEMA, _RULES = accept(bank.bundle())
_ALL = PolicySet([rule.policy for rule in _RULES])

MANDATES: st.SearchStrategy[dict[str, JSON] | None] = st.one_of(
    st.just({}),
    st.none(),
    st.fixed_dictionaries(
        {
            "functions": st.lists(st.sampled_from(["get_account_balance", "initiate_transfer", "list_cards"]), unique=True),
            "accounts": st.lists(st.sampled_from(["current", "savings"]), unique=True).map(
                lambda names: [bank.entity(f"Account::{name}") for name in names]
            ),
            "ends": st.sampled_from([bank.at("2026-06-01T12:00:00.000Z"), bank.at("2026-07-01T00:00:00.000Z")]),
        }
    ),
)
OWNERS = st.lists(st.sampled_from(["anna", "bob"]), min_size=1, unique=True)
BREAKAGES: st.SearchStrategy[dict[str, JSON]] = st.sampled_from(
    [
        {},
        {"channel": 3},
        {"agent": {"id": "a", "b": 1}},
        {"grounding": {"payee": "typed"}},
        {"grounding": {"payee": None}},
        {"args": {"account": bank.entity("Account::current"), "type": 4}},
        {"args": {"account": bank.entity("Card::current"), "type": "ITAV"}},
        {"args": {}},
        {"object": {"kind": "Account"}},
        {"object": {"kind": "Account", "status": "open"}},
        {"period": {"oldest_days": 91}},
        {"money": {"minor": -1, "currency": "GBP"}},
        {"unknown": 1},
    ]
)


@st.composite
def reads(draw: st.DrawFn) -> Request:
    entities = (
        bank.customer(frozen=draw(st.booleans()), mandate=draw(MANDATES)),
        bank.account("current", *draw(OWNERS), status=draw(st.sampled_from(["open", "closed"]))),
    )
    request = bank.balance(draw(st.integers(0, 4)), entities=entities)
    return replace(request, context={**request.context, **draw(BREAKAGES)})


def plainly(request: Request) -> tuple[bool, tuple[str, ...], bool]:
    """By Cedar alone, all policies and the whole request: permitted, by whom, in error."""
    entities = Entities(json.dumps(list(request.entities)), _SCHEMA)
    question = cedar.question(request.principal, request.action, request.resource, json.dumps(request.context))
    (answer,) = cedar.ask([question], _ALL, entities, _SCHEMA)
    wrong = bool(answer.errors) or answer.allowed is None
    return answer.allowed is True and not wrong, tuple(sorted(answer.policies)), wrong


@settings(max_examples=examples(400), deadline=None)
@given(request=reads())
def test_the_engine_decides_as_plain_cedar_does(request: Request) -> None:
    permitted, policies, wrong = plainly(request)
    decision = bank.engine().decide(request)
    assert (decision.effect is PolicyEffect.PERMIT) == permitted
    assert bool(decision.errors) == wrong
    if permitted or decision.effect is PolicyEffect.CHALLENGE:
        assert decision.policies == policies
    assert bank.engine().decide(request) == decision


@settings(max_examples=examples(200), deadline=None)
@given(request=reads(), tainted=st.booleans())
def test_a_remembered_disclosure_is_what_is_asked(request: Request, tainted: bool) -> None:
    changes: dict[str, JSON] = {"assurance": request.context["assurance"], "conversation": {"tainted": tainted}}
    sound = replace(request, context={**bank.balance().context, **changes})
    engine = bank.engine()
    shown = engine.reveal(sound, ("basic", "balances"))
    for name in ("basic", "balances"):
        assert (name in shown) == (engine.disclose(sound, name).effect is PolicyEffect.PERMIT)


@settings(max_examples=examples(200), deadline=None)
@given(first=st.tuples(st.booleans(), MANDATES), second=st.tuples(st.booleans(), MANDATES), other=st.sampled_from(["anna", "bob"]))
def test_a_remembered_principal_is_never_another(
    first: tuple[bool, dict[str, JSON] | None], second: tuple[bool, dict[str, JSON] | None], other: str
) -> None:
    for name, (frozen, mandate) in (("anna", first), (other, second), ("anna", first)):
        entities = (bank.customer(name, frozen=frozen, mandate=mandate), bank.account("current", "anna"))
        request = replace(bank.balance(entities=entities), principal=Uid("Customer", name))
        assert (bank.engine().decide(request).effect is PolicyEffect.PERMIT) == plainly(request)[0]
