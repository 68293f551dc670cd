"""An engine that remembers answers as one that does not, in any order, at any time."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from policies.decision_cache import CachedDecision
from policies.engine import Engine
from policies.model import JSON, Request, Uid
from tests.samples import bank
from tests.samples.rules import policies_of
from tests.support.options import examples

INSTANTS = ("2026-01-01T00:00:00.000Z", "2026-02-01T00:00:00.000Z")
AROUND = (
    "2025-12-31T23:59:59.999Z",
    "2026-01-01T00:00:00.001Z",
    "2026-01-15T00:00:00.000Z",
    "2026-01-31T23:59:59.999Z",
    "2026-02-01T00:00:00.001Z",
)
# In forms that are not remembered, and equal to some of the others
ODD = ("2026-01-01", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00.000+0100")
MOMENTS = st.sampled_from([*INSTANTS, *INSTANTS, *AROUND, ODD[0]])
STARTS, ENDS = (st.sampled_from([instant] * 6 + [*AROUND[:2], *ODD]).map(bank.at) for instant in INSTANTS)
GRANTS: st.SearchStrategy[dict[str, JSON] | None] = st.fixed_dictionaries({"starts": STARTS, "ends": ENDS})
MANDATES = st.one_of(st.none(), st.just({}), *[GRANTS] * 4)
BROKEN: st.SearchStrategy[dict[str, JSON]] = st.sampled_from(
    [
        {},
        {},
        {"channel": 3},
        {"now": "soon"},
        {"args": {}},
        {"money": {"minor": 1, "currency": "GBP"}},
        {"period": {"oldest_days": 91}},
    ]
)


def forgetful(engine: Engine) -> Engine:
    engine._memory.place = lambda _key: CachedDecision()  # type: ignore[assignment]
    return engine


REMEMBERING, FORGETFUL = Engine(bank.bundle()), forgetful(Engine(bank.bundle()))


@st.composite
def requests(draw: st.DrawFn) -> Request:
    """Few of each kind, so that the same comes again."""
    name = draw(st.sampled_from(["anna", "anna", "bob"]))
    customer = bank.customer(name, frozen=draw(st.sampled_from([False, False, True])), mandate=draw(MANDATES))
    account = bank.account(
        "current", draw(st.sampled_from([name, name, "bob"])), status=draw(st.sampled_from(["open", "open", "closed"]))
    )
    level, tainted = draw(st.integers(1, 3)), draw(st.booleans())
    if draw(st.booleans()):
        request = bank.balance(level, conversation={"tainted": tainted}, entities=(customer, account))
    else:
        objects = customer, account, bank.account("savings"), bank.thing("Beneficiary", "dairy", name)
        request = bank.transfer(level, own=draw(st.booleans()), conversation={"tainted": tainted}, entities=objects)
    changed = {**request.context, **draw(BROKEN)}
    return replace(request, principal=Uid("Customer", name), context=changed)


ORDERS = st.lists(requests(), min_size=1, max_size=2).flatmap(
    lambda some: st.lists(st.tuples(st.sampled_from(some), MOMENTS), min_size=6, max_size=16)
)


@settings(max_examples=examples(300), deadline=None)
@given(order=ORDERS)
def test_what_is_remembered_is_what_would_be_decided(order: list[tuple[Request, str]]) -> None:
    for request, moment in order:
        now = request.context["now"] if request.context["now"] == "soon" else bank.at(moment)
        one = replace(request, context={**request.context, "now": now})
        assert REMEMBERING.decide(one) == FORGETFUL.decide(one)


TIMED = (
    "context.now < principal.mandate.ends",
    "principal.mandate.starts <= context.now",
    "context.now == principal.mandate.ends",
    "principal.mandate.starts != context.now",
    'context.now.offset(duration("1ms")) < principal.mandate.ends',
    'principal.mandate.ends.durationSince(context.now) <= duration("1ms")',
    "context.now.toDate() == principal.mandate.starts",
    "[principal.mandate.starts].contains(context.now)",
    "principal.mandate.starts < principal.mandate.ends",
)
POLICY = policies_of(
    *(f"(principal has mandate && {condition})" for condition in TIMED),
    'context.now > datetime("2026-01-01T00:00:00.000Z")',
    'context.now > datetime("2026-01-01")',
    "principal.frozen",
    "context.conversation.tainted",
)
SCOPED = st.tuples(POLICY, st.sampled_from(["action", 'action in Action::"call"', 'action == Action::"touch"'])).map(
    lambda made: made[0].replace(", action,", f", {made[1]},")
)
PERMIT = '@id("all") @reason("mandated") @says("x") permit (principal, action, resource);'


@settings(max_examples=examples(60), deadline=None)
@given(texts=st.lists(SCOPED, min_size=1, max_size=2), order=ORDERS)
def test_whatever_the_rules_do_with_the_time(texts: list[str], order: list[tuple[Request, str]]) -> None:
    rules = [f'@id("p{number}") @reason("limit") @says("x") {text}' for number, text in enumerate(texts)]
    bundle = bank.bundle("\n".join([PERMIT, *rules]))
    remembering, forgetting = Engine(bundle), forgetful(Engine(bundle))
    for request, moment in order:
        one = replace(request, context={**request.context, "now": bank.at(moment)})
        assert remembering.decide(one) == forgetting.decide(one)
