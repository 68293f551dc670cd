"""Explanations say what decided, what it takes and what was near, in the rules' own words."""

from policies.model import PolicyEffect
from policies.review.explain import explain
from policies.review.plain import plain
from tests.samples import bank


def test_a_permit_is_explained() -> None:
    explanation = explain(bank.bundle(), bank.balance())
    assert explanation.summary == "Permitted. The customer's mandate names this function and is in force."
    assert [(said.policy, said.file) for said in explanation.decided] == [("mandate.granted", "mandate.cedar")]
    assert explanation.needed is None
    assert {near.effect for near in explanation.near} == {"forbid"}


def test_a_challenge_says_what_it_takes() -> None:
    explanation = explain(bank.bundle(), bank.transfer(2))
    assert explanation.decision.effect is PolicyEffect.CHALLENGE
    assert explanation.needed == "The customer confirms exactly this."
    assert explanation.summary.endswith("It takes: The customer confirms exactly this.")


def test_a_limit_that_is_nearly_reached_is_near() -> None:
    explanation = explain(bank.bundle(), bank.transfer(3, minor=48_000))
    (near,) = (near for near in explanation.near if near.policy == "payments.limit_payment")
    assert near.condition == "context.money.minor > context.totals.payment_limit_minor"
    assert near.values == {"context.money.minor": 48_000, "context.totals.payment_limit_minor": 50_000}
    far = explain(bank.bundle(), bank.transfer(3, minor=10_000))
    assert "payments.limit_payment" not in {near.policy for near in far.near}


def test_a_mandate_that_ended_yesterday_is_near() -> None:
    ended = bank.customer(mandate={"ends": bank.at("2026-05-31T12:00:00.000Z")})
    explanation = explain(bank.bundle(), bank.balance(entities=(ended, bank.account("current"))))
    assert explanation.summary == "Denied, whatever the assurance. The customer's mandate has ended, or has not begun."
    (near,) = (near for near in explanation.near if near.policy == "mandate.granted")
    assert near.condition == "context.now < principal.mandate.ends"
    assert near.values == {"context.now": bank.NOW, "principal.mandate.ends": "2026-05-31T12:00:00.000Z"}


def test_a_mandate_that_lacks_the_function_is_near() -> None:
    other = bank.customer(mandate={"functions": ["list_cards"]})
    explanation = explain(bank.bundle(), bank.balance(entities=(other, bank.account("current"))))
    (near,) = (near for near in explanation.near if near.policy == "mandate.granted")
    assert near.condition == "principal.mandate.functions.contains(context.function.name)"


def test_an_error_is_explained_as_one() -> None:
    explanation = explain(bank.bundle(), bank.balance(entities=(bank.customer(),)))
    assert explanation.summary.startswith("Denied, since the rules could not be applied: ")
    assert explanation.near == ()


def test_an_explanation_is_json() -> None:
    explained = plain(explain(bank.bundle(), bank.transfer(2)))
    assert isinstance(explained, dict)
    assert explained["decision"] == {
        "effect": "challenge",
        "reason": "confirmation",
        "policies": ["levels.confirmation"],
        "rung": 3,
        "errors": [],
    }
