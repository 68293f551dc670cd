"""What a bundle is refused for, and where the finding points."""

from dataclasses import replace

import pytest

from policies.bundle import RuleFile
from policies.engine import Engine
from policies.model import Assurance, Decision, PolicyEffect, Reason
from policies.reading import BundleFault, BundleRefused, read, without
from policies.review.check import check
from policies.review.plain import plain
from policies.source import SourceLine, passages
from tests.samples import bank

GOOD = '@id("all") @reason("mandated") @says("Everything.")\npermit (principal, action, resource);\n'


def faults(rules: str) -> list[tuple[BundleFault, int]]:
    return [(finding.fault, finding.place.line if finding.place else 0) for finding in read(bank.bundle(rules)).findings]


def test_the_default_rules_are_fit() -> None:
    report = check(bank.bundle())
    assert report.good
    assert report.findings == ()
    assert len(report.policies) >= 20
    assert len({listed.policy for listed in report.policies}) == len(report.policies)


HEAD = '@id("a") @reason("limit") @says("x")\n'

REFUSED = [
    ("", BundleFault.EMPTY, 0),
    ("// nothing but a comment\n", BundleFault.EMPTY, 0),
    ('@reason("limit") @says("x")\nforbid (principal, action, resource);', BundleFault.NO_ID, 1),
    ('@id("") @reason("limit") @says("x")\nforbid (principal, action, resource);', BundleFault.NO_ID, 1),
    (f"{GOOD}\n\n{GOOD}", BundleFault.DUPLICATE_ID, 5),
    ('@id("a") @says("x")\nforbid (principal, action, resource);', BundleFault.NO_REASON, 1),
    ('@id("a")\n@reason("whim")\n@says("x")\nforbid (principal, action, resource);', BundleFault.UNKNOWN_REASON, 2),
    ('@id("a")\n@reason("error")\n@says("x")\nforbid (principal, action, resource);', BundleFault.UNKNOWN_REASON, 2),
    ('@id("a") @reason("limit")\nforbid (principal, action, resource);', BundleFault.NO_WORDS, 1),
    (f"{GOOD}forbid (principal, action,, resource);", BundleFault.SYNTAX, 3),
    (f"{GOOD}forbid (principal, action, resource)", BundleFault.SYNTAX, 3),
    (f"{GOOD}and then some", BundleFault.SYNTAX, 3),
    ('@id("a") @reason("limit") @says("x")\nforbid (principal == ?principal, action, resource);', BundleFault.SYNTAX, 1),
    (
        '// one; two\n@id("a") @reason("limit") @says("a; b")\nforbid (principal, action, resource)\nwhen {\n  context.tainted\n};',
        BundleFault.INVALID,
        5,
    ),
    (
        '@id("a") @reason("limit") @says("x")\nforbid (principal, action, resource)\nwhen { context.money.minor > 3 };',
        BundleFault.INVALID,
        3,
    ),
    (
        '@id("a") @reason("limit") @says("x")\nforbid (principal, action, resource) when { context.channel > 3 };',
        BundleFault.INVALID,
        1,
    ),
    ('@id("a") @reason("limit") @says("x")\nforbid (principal, action == Action::"pay", resource);', BundleFault.INVALID, 2),
    ('@id("a") @reason("limit") @says("x")\nforbid (principal, action, resource == DataClass::"secrets");', BundleFault.INVALID, 2),
    (
        f'{HEAD}forbid (principal, action == Action::"write", resource)\nwhen {{ context.args.amount.minor == 3 }};',
        BundleFault.INVALID,
        3,
    ),
    (
        '@id("a") @reason("limit") @says("x")\npermit (principal, action, resource)\nwhen { context.assurance.level < 3 };',
        BundleFault.NOT_MONOTONE,
        3,
    ),
]


@pytest.mark.parametrize(("rules", "fault", "line"), REFUSED)
def test_a_bundle_is_refused_with_file_and_line(rules: str, fault: BundleFault, line: int) -> None:
    assert (fault, line) in faults(rules)
    with pytest.raises(BundleRefused):
        Engine(bank.bundle(rules))


def test_a_bundle_without_any_file_is_refused() -> None:
    assert [finding.fault for finding in read(replace(bank.bundle(), rules=())).findings] == [BundleFault.EMPTY]


def test_the_same_id_in_two_files_is_refused() -> None:
    twice = replace(bank.bundle(), rules=(RuleFile("a.cedar", GOOD), RuleFile("b.cedar", GOOD)))
    (finding,) = read(twice).findings
    assert (finding.fault, finding.policy, finding.place) == (BundleFault.DUPLICATE_ID, "all", SourceLine("b.cedar", 1))
    assert "a.cedar:1" in finding.message


SCHEMAS = [
    ("", BundleFault.SCHEMA),
    ("entity Customer", BundleFault.SCHEMA),
    ("entity Customer; entity Bank;", BundleFault.SCHEMA),
]


@pytest.mark.parametrize(("schema", "fault"), SCHEMAS)
def test_a_bundle_with_the_wrong_schema_is_refused(schema: str, fault: BundleFault) -> None:
    wrong = bank.bundle(schema=schema)
    assert fault in {finding.fault for finding in read(wrong).findings}
    with pytest.raises(BundleRefused):
        Engine(wrong)


def test_a_schema_without_the_assurance_is_refused() -> None:
    schema = bank.bundle().schema.replace("assurance: Assurance, ", "")
    assert any(
        finding.fault is BundleFault.INVALID and finding.policy == "levels.floor"
        for finding in read(bank.bundle(schema=schema)).findings
    )


def test_a_schema_that_misses_a_function_or_has_one_too_many_is_refused() -> None:
    fewer, whole = bank.bundle(functions=bank.FUNCTIONS[1:]), bank.bundle()
    for wrong in (replace(whole, schema=fewer.schema), replace(whole, functions=fewer.functions)):
        assert BundleFault.SCHEMA in {finding.fault for finding in read(wrong).findings}


def test_two_functions_of_one_name_are_refused() -> None:
    whole = bank.bundle()
    twice = replace(whole, functions=(*whole.functions, whole.functions[0]))
    assert {finding.fault for finding in read(twice).findings} == {BundleFault.MANIFEST}


def test_a_schema_with_a_function_in_the_wrong_group_is_refused() -> None:
    schema = bank.bundle().schema.replace('action "initiate_transfer" in [irreversible]', 'action "initiate_transfer" in [read]')
    assert BundleFault.SCHEMA in {finding.fault for finding in read(bank.bundle(schema=schema)).findings}


def test_every_finding_is_reported_at_once() -> None:
    rules = f'{GOOD}permit (principal, action, resource);\n@id("b") forbid (principal, action, resource) when {{ context.x }};'
    found = {fault for fault, _ in faults(rules)}
    assert {BundleFault.NO_ID, BundleFault.NO_REASON, BundleFault.NO_WORDS, BundleFault.INVALID} <= found


def test_passages_know_their_lines() -> None:
    text = (
        "// one; two\n\npermit (principal, action, resource);\n  // x\n"
        '@says("a;\\"b;")\nforbid (principal,\n action, resource); tail'
    )
    found = passages("f", text)
    assert [(passage.line, passage.text.splitlines()[0]) for passage in found] == [
        (3, "permit (principal, action, resource);"),
        (5, '@says("a;\\"b;")'),
        (7, "tail"),
    ]


def test_a_policy_can_be_taken_out() -> None:
    fewer = without(bank.bundle(), "protection.frozen")
    names = {listed.policy for listed in check(fewer).policies}
    assert "protection.frozen" not in names
    assert len(names) == len(check(bank.bundle()).policies) - 1
    with pytest.raises(KeyError):
        without(bank.bundle(), "protection.nothing")


def test_a_report_is_json() -> None:
    report = plain(check(bank.bundle('@id("a") @reason("whim") @says("x")\nforbid (principal, action, resource);')))
    assert isinstance(report, dict)
    assert report["good"] is False
    assert report["findings"] == [
        {
            "fault": "unknown_reason",
            "message": "no such reason: whim",
            "policy": "a",
            "place": {"file": "given.cedar", "line": 1},
        }
    ]


def test_every_reason_of_a_rule_is_used_by_the_default_rules() -> None:
    """Save those that the engine gives itself, and those that are for a bank's own rules."""
    used = {listed.reason for listed in check(bank.bundle()).policies}
    assert set(Reason) - used == {Reason.ERROR, Reason.NO_RULE, Reason.FORBIDDEN}


def test_the_rule_of_the_readme_is_fit_and_asks_for_a_second_person() -> None:
    text = (bank.POLICIES / "README.md").read_text()
    rule = text.partition('   @id("payments.large")')
    example = "\n".join(line.removeprefix("   ") for line in (rule[1] + rule[2]).partition("```")[0].splitlines())
    engine = Engine(replace(bank.bundle(), rules=(*bank.rule_files(), RuleFile("large.cedar", example))))
    totals = bank.totals(1, payment_limit_minor=10**7)
    large = bank.transfer(3, minor=1_000_001, totals=totals)
    assert engine.decide(large) == Decision(PolicyEffect.CHALLENGE, Reason.APPROVAL, ("payments.large",), Assurance.APPROVED)
    assert engine.decide(bank.transfer(3, minor=1_000_000, totals=totals)).effect is PolicyEffect.PERMIT
