"""What changes between two bundles, and whether anybody gains by it."""

from dataclasses import replace

from policies.bundle import RuleFile
from policies.model import PolicyEffect
from policies.reading import without
from policies.review.difference import difference
from policies.review.plain import plain
from tests.samples import bank

ASKED = {
    "balance": bank.balance(),
    "payment": bank.transfer(2),
    "confirmed": bank.transfer(3),
    "too much": bank.transfer(3, minor=60_000),
}


def test_between_equal_bundles_nothing_changes() -> None:
    report = difference(bank.bundle(), bank.bundle(), ASKED)
    assert report.good
    assert (report.added, report.removed, report.changed, report.changes) == ((), (), (), ())


def test_a_rule_that_goes_lets_somebody_gain() -> None:
    report = difference(bank.bundle(), without(bank.bundle(), "levels.confirmation"), ASKED)
    assert report.removed == ("levels.confirmation",)
    assert [(change.name, change.before.effect, change.after.effect, change.gains) for change in report.changes] == [
        ("payment", PolicyEffect.CHALLENGE, PolicyEffect.PERMIT, True)
    ]
    assert not report.good


def test_a_rule_that_comes_lets_nobody_gain() -> None:
    report = difference(without(bank.bundle(), "payments.limit_payment"), bank.bundle(), ASKED)
    assert report.added == ("payments.limit_payment",)
    assert [(change.name, change.gains) for change in report.changes] == [("too much", False)]
    assert report.good


def test_a_lower_rung_is_a_gain_and_a_deny_is_beyond_every_rung() -> None:
    lower = tuple(RuleFile(file.name, file.text.replace("level < 3", "level < 4")) for file in bank.rule_files())
    stricter = replace(bank.bundle(), rules=lower)
    report = difference(stricter, bank.bundle(), ASKED)
    assert report.changed == ("conversation.tainted", "grounding.ask", "levels.confirmation")
    assert {change.name: change.gains for change in report.changes} == {"payment": True, "confirmed": True}
    denying = without(bank.bundle(), "mandate.granted")
    assert not difference(denying, stricter, ASKED).good
    assert difference(stricter, denying, ASKED).good


def test_a_difference_is_json() -> None:
    report = plain(difference(bank.bundle(), without(bank.bundle(), "levels.confirmation"), ASKED))
    assert isinstance(report, dict)
    assert report["good"] is False
