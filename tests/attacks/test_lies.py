"""Lies and damages, made at random from real exports: a bank that writes what its own rules forbid and signs it with every key, and
whoever changes a bundle without a key, or with the export key alone.

The auditor's verifier and the bank's own check share no code; they must refuse the same lies, by the same rules.
"""

import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from audit import verify
from audit.merkle import leaf_hash
from audit.rules import RULES, RecordRules
from tests.support.bundles import leaves_of, lines, pack, signed, unpack
from tests.support.guides import ROOT
from tests.support.lies import (
    LIES,
    Honest,
    cut_or_longer,
    flipped,
    honest_exports,
    leaf_lie,
    lines_changed,
    members_changed,
    zip_numbers,
)
from tests.support.options import long_or

SHARE_OF_LIES = 0.5


@pytest.fixture
async def honest(tmp_path: Path) -> AsyncIterator[Honest]:
    async with honest_exports(tmp_path) as made:
        yield made


def broken_rules(honest: Honest, leaves: list[bytes]) -> set[tuple[str, int]]:
    """What the bank's own check says."""
    rules = RecordRules(honest.log.lineage, honest.clock())
    for index, leaf in enumerate(leaves):
        rules.take(index, leaf, leaf_hash(leaf))
    rules.close()
    return {(breach.rule, breach.index) for breach in rules.breaches}


def found_rules(report: verify.Report) -> set[tuple[str, int]]:
    """What the auditor's verifier says."""
    told = [re.match(r"5\. record (\d+): (\w+): ", what) for _, what in report.findings]
    return {(match[2], int(match[1])) for match in told if match}


@pytest.mark.long
def test_both_checks_refuse_the_same_lies_by_the_same_rules(honest: Honest) -> None:
    dice, names = random.Random(140), [*LIES, "a spelling"]
    assert broken_rules(honest, leaves_of(unpack(honest.whole))) == set()
    counts: Counter[str] = Counter()
    for number in range(int(long_or(10_000, 400) * SHARE_OF_LIES)):
        name = names[number % len(names)]
        raw, leaves = leaf_lie(honest, dice, name)
        if leaves == leaves_of(unpack(honest.whole)):
            counts["no lie"] += 1
            continue
        report = verify.verify(raw, trust=honest.trust)
        assert found_rules(report) == broken_rules(honest, leaves), (number, name)
        expected = {"form", "fields"} if name == "a spelling" else LIES[name][1]
        assert {rule for rule, _ in found_rules(report)} & expected, (number, name)
        assert "malformed" not in str(report.findings), (number, name)
        counts["refused"] += 1
    print(dict(counts))


@pytest.mark.parametrize("name", [*LIES, "a spelling"])
def test_each_lie_is_found_by_its_rule(honest: Honest, name: str) -> None:
    found: set[str] = set()
    for seed in range(12):
        raw, leaves = leaf_lie(honest, random.Random(seed), name)
        found |= {rule for rule, _ in found_rules(verify.verify(raw))} & {rule for rule, _ in broken_rules(honest, leaves)}
    assert found & ({"form"} if name == "a spelling" else LIES[name][1])


def test_each_rule_has_a_lie_and_stands_in_the_table() -> None:
    assert set(RULES) == set().union(*(rules for _, rules in LIES.values())) | {"form"}
    assert dict(RULES) == {name: text for name, (_, text) in verify.RULES.items()}
    table = (ROOT / "audit" / "README.md").read_text().partition("### What every record must keep")[2].partition("\n#")[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines() if row.startswith("| `")]
    assert {row[0].strip("`"): (row[2], row[1]) for row in rows} == dict(verify.RULES)


def accepted_for_nothing(honest: Honest, source: bytes, raw: bytes) -> str:
    """How a changed bundle comes out: `refused`, or why it may be good. Fails where it is good for no reason."""
    after = honest.kept if source is honest.tail else None
    report = verify.verify(raw, trust=honest.trust, after=after)
    if not report.good:
        return "refused"
    if raw == source:
        return "unchanged"
    old, new = unpack(source), unpack(raw)
    differing = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)} - {verify.MANIFEST}
    unread = {name for name in differing if f"nobody reads the member {name}" in report.notes}
    policies = {
        name for name in differing if name.startswith("policy/") and any("is not in policy/" in note for note in report.notes)
    }
    vouched = differing & set(verify.FOR_PEOPLE)
    if differing & {"trust.json"} and any("own trust policy differs" in note for note in report.notes):
        vouched |= {"trust.json"}
    fewer_proofs = {name for name in differing if name.startswith("consistency/")}
    notes = {name for name in differing if name.startswith("checkpoints/")}  # absent, or with signature lines in another order
    fewer_checkpoints = {name for name in notes if name not in new or set(old[name].splitlines()) <= set(new[name].splitlines())}
    told, before = set(lines(new, "disclosures")), set(lines(old, "disclosures"))
    fewer_disclosures = {name for name in differing if name.startswith("disclosures/") and told <= before}
    assert differing == unread | policies | vouched | fewer_proofs | fewer_checkpoints | fewer_disclosures, differing
    return "said, or left to the export key"


@pytest.mark.long
def test_no_damage_is_accepted_silently_and_none_breaks_the_verifier(honest: Honest) -> None:
    """With the export key one may leave out and write for people; what that is stands in `audit/README.md`."""
    dice, counts = random.Random(141), Counter[str]()
    for number in range(int(long_or(10_000, 400) * (1 - SHARE_OF_LIES))):
        source = (honest.whole, honest.selection, honest.tail)[number % 3]
        kind = number % 5
        if kind < 3:
            raw = (flipped, cut_or_longer, zip_numbers)[kind](dice, source)
            outcome = accepted_for_nothing(honest, source, raw)
            assert outcome in ("refused", "unchanged"), (number, outcome)
        else:
            members = (members_changed, lines_changed)[kind - 3](dice, source)
            assert members == unpack(source) or not verify.verify(pack(members), trust=honest.trust, after=honest.kept).good, number
            counted = {"records": len(lines(members)), "disclosures": len(lines(members, "disclosures"))}
            outcome = accepted_for_nothing(honest, source, signed(honest.log, members, **counted))
        counts[outcome] += 1
    print(dict(counts))
    assert counts["refused"] > 0
