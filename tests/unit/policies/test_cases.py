"""The default rules keep their cases, and the cases know every rule."""

import operator
from dataclasses import replace

import pytest

from policies import compiled_expressions
from policies.bundle import RuleFile
from policies.engine import Engine
from policies.reading import without
from policies.review.cases import CasesRefused, parse
from policies.review.plain import plain
from policies.review.trial import trial
from policies.source import SourceLine
from tests.samples import bank
from tests.samples.cases import FILES, all_hold, cases


def test_the_default_rules_keep_every_case() -> None:
    report = trial(bank.bundle(), cases())
    assert [(result.name, result.complaints) for result in report.results if not result.good] == []
    assert len(report.results) >= 60
    assert report.undecided == ()
    assert report.untried == ()
    assert report.good


@pytest.mark.parametrize("policy", Engine(bank.bundle()).policies)
def test_no_policy_can_be_taken_out_unnoticed(policy: str) -> None:
    with bank.specialised_when_asked():
        engine = Engine(without(bank.bundle(), policy))
        assert not all_hold(engine, policy)


def test_a_policy_that_decides_no_case_is_a_finding() -> None:
    idle = '@id("idle") @reason("forbidden") @says("x") forbid (principal, action, resource) when { context.channel == "fax" };'
    report = trial(replace(bank.bundle(), rules=(*bank.rule_files(), RuleFile("idle.cedar", idle))), cases())
    assert report.undecided == ("idle",)
    assert not report.good


def test_a_function_that_no_case_calls_is_a_finding() -> None:
    few = [case for case in cases() if case.request.action != "get_limits"]
    report = trial(bank.bundle(), few)
    assert report.untried == ("get_limits",)
    assert not report.good


def test_a_case_that_does_not_hold_says_how() -> None:
    text = """
cases:
  - name: wrong
    call: list_accounts
    level: 0
    expect: permit
    reason: mandated
    policies: [mandate.granted]
"""
    (case,) = parse({"world.yaml": FILES["world.yaml"], "x.yaml": text}, bank.bundle())
    (result,) = trial(bank.bundle(), [case]).results
    assert result.place == SourceLine("x.yaml", 3)
    assert result.complaints == (
        "effect is challenge, not permit",
        "rung is 1, not None",
        "reason is level, not mandated",
        "decided by levels.floor, not by mandate.granted",
    )


@pytest.mark.parametrize(("operator_", "wrong"), [("less", operator.le), ("less_eq", operator.lt), ("greater", operator.ge)])
def test_rules_that_are_compiled_otherwise_turn_cases_red(operator_: str, wrong: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(compiled_expressions._COMPARISONS, operator_, wrong)
    report = trial(bank.bundle(), cases())
    assert not report.good
    assert any("otherwise than Cedar" in complaint for result in report.results for complaint in result.complaints)


def test_a_trial_is_json() -> None:
    report = plain(trial(bank.bundle(), cases()))
    assert isinstance(report, dict)
    assert report["good"] is True


CASE = "cases:\n  - name: a\n    call: list_accounts\n    expect: permit\n    reason: mandated\n"

MALFORMED = [
    ("cases: 3", 1, "a list under"),
    ("- a\n- b", 1, "mapping"),
    ("cases: [", 1, "not YAML"),
    (CASE.replace("list_accounts", "list_moneys"), 2, "list_moneys"),
    (CASE.replace("    reason: mandated\n", ""), 2, "reason"),
    (CASE.replace("mandated", "whim"), 2, "whim"),
    (CASE.replace("permit", "allow"), 2, "allow"),
    (CASE + "    rung: 9\n", 2, "9"),
    (CASE + "    levle: 2\n", 2, "levle"),
    (CASE + "    objects: {Account::nobody: {status: open}}\n", 2, "Account::nobody"),
    (CASE + "    absent: [Account::nobody]\n", 2, "Account::nobody"),
    (CASE + "    resource: current\n", 2, "no entity"),
    (CASE + "    with: {money: {minor: 1.5, currency: GBP}}\n", 2, "1.5"),
    (CASE + CASE.removeprefix("cases:\n"), 6, "two cases"),
]


@pytest.mark.parametrize(("text", "line", "words"), MALFORMED)
def test_a_malformed_file_of_cases_is_refused_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(CasesRefused, match=words) as caught:
        parse({"world.yaml": FILES["world.yaml"], "x.yaml": text}, bank.bundle())
    assert caught.value.place == SourceLine("x.yaml", line)


def test_without_a_world_there_are_no_cases() -> None:
    with pytest.raises(CasesRefused, match="world"):
        parse({"x.yaml": CASE}, bank.bundle())
    with pytest.raises(CasesRefused, match="world"):
        parse({"world.yaml": "world: {customers: 3}", "x.yaml": CASE}, bank.bundle())
