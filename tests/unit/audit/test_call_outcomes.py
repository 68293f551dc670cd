"""How calls stand: of every tree, by the index, as a model says that reads the records one by one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from audit.catching_up import catch_up
from audit.inspection import verify_store
from audit.leaf import EndState, Policy, Record, RecordKind
from audit.log import Log
from audit.query import Query, Why, last_page, page
from audit.store.find import Filter, IndexBehind, find
from audit.terms import CallOutcome
from gateway.app.databases import DatabaseName
from tests.support.databases import sql
from tests.trail import RULES_HASH, a_record, activate_rules, an_end, an_intent

WHY = Why(auditor="auditor-1", purpose="complaint", case_id="case-7")


def a_refusal(**changes: object) -> Record:
    return replace(a_record(kind=RecordKind.DENY, result={}, redaction=None), **changes)  # type: ignore[arg-type]


def held(call: str, confirmation: str) -> Record:
    policy = Policy(bundle_hash=RULES_HASH, bundle_version="7", decision="challenge", policies=("ask",), reason="confirmation")
    facts = {"code": "confirmation_required", "confirmation": confirmation}
    return a_refusal(call_id=call, policy=policy, facts=facts, function=an_intent().function)


def spoken(confirmation: str, word: str) -> Record:
    facts = {"confirmation": confirmation, "word": word}
    return Record(kind=RecordKind.CONFIRMATION, time=a_record().time, customer="C-1001", agent="bank-app", facts=facts)


EVENTS = ("answered", "refused", "held", "confirmed", "declined", "executed", "rejected", "unknown", "repeated")


async def happen(log: Log, call: str, event: str) -> Sequence[tuple[CallOutcome, int]]:
    """Write what happens to a call; what it says, with the record that a question finds: negative is that of before."""
    confirmation = f"cnf_{call}"
    if event in ("confirmed", "declined"):
        await log.append(spoken(confirmation, event))
        return [(CallOutcome(event), -1)]
    if event in ("executed", "rejected", "unknown"):
        intent = await log.append(an_intent(call_id=call))
        kind = RecordKind.UNKNOWN if event == "unknown" else RecordKind.OUTCOME
        state = EndState({"executed": "executed", "rejected": "rejected_by_core", "unknown": "outcome_unknown"}[event])
        end = await log.append(an_end(intent.index, intent.leaf_hash, kind, state, call_id=call, function=None))
        assert end.index > intent.index
        return [(CallOutcome.SENT, intent.index), (CallOutcome(event), -1)]
    record = {
        "answered": a_record(call_id=call),
        "repeated": a_record(call_id=call, parent="call_0"),
        "refused": a_refusal(call_id=call),
        "held": held(call, confirmation),
    }[event]
    return [(CallOutcome(event), (await log.append(record)).index)]


async def test_a_call_is_found_by_how_it_stands_and_earlier_pages_stay_as_they_were(log: Log) -> None:
    await activate_rules(log)
    story = [
        ("a", "held"),
        ("b", "refused"),
        ("c", "answered"),
        ("a", "confirmed"),
        ("a", "executed"),
        ("d", "held"),
        ("d", "declined"),
        ("e", "held"),
        ("f", "unknown"),
        ("e", "confirmed"),
        ("e", "refused"),
    ]
    stands: dict[str, tuple[CallOutcome, int]] = {}
    states: list[tuple[int, dict[str, tuple[CallOutcome, int]]]] = []
    for call, event in story:
        for outcome, index in await happen(log, call, event):
            if event in ("confirmed", "declined") and call not in stands:
                continue
            stands[call] = (outcome, stands[call][1] if index < 0 else index)
        states.append((log.size(), dict(stands)))
    with pytest.raises(IndexBehind):
        await log.read_long(lambda reads: find(reads.connection, Filter(outcomes=(CallOutcome.HELD,)), log.size(), -1, 100))
    await catch_up(log)
    for size, known in states:
        for outcome in CallOutcome:
            expected = sorted(index for state, index in known.values() if state is outcome)
            told = await log.read_long(
                lambda reads, size=size, outcome=outcome: find(reads.connection, Filter(outcomes=(outcome,)), size, -1, 100)  # type: ignore[misc]
            )
            assert [item.idx for item in told] == expected, (size, outcome)
    paid = await page(log, Query(outcomes=(CallOutcome.EXECUTED,), function="initiate_transfer"), WHY)
    assert [match.fields["call"] for match in paid.found] == ["a"]
    assert (await page(log, Query(outcomes=(CallOutcome.HELD,)), WHY)).found == []
    both = await last_page(log, Query(outcomes=(CallOutcome.REFUSED, CallOutcome.DECLINED), customer="C-1001"), WHY)
    assert [match.fields["call"] for match in both.found] == ["e", "d", "b"]
    assert await verify_store(log) == []


@pytest.mark.parametrize(
    "damage",
    [
        "update outcomes set outcome = 'executed' where outcome = 'refused'",
        "update outcomes set until = null where until is not null",
        "update outcomes set until = 2 where until is null",
        "delete from outcomes where outcome = 'refused'",
        "update outcomes set shown = 0",
        "insert into outcomes (call, idx, shown, outcome) values ('call_z', 0, 0, 'refused')",
    ],
)
async def test_what_is_changed_in_it_is_found_by_the_verification(log: Log, tmp_path: Path, damage: str) -> None:
    await activate_rules(log)
    for call, event in [("a", "held"), ("a", "confirmed"), ("a", "executed"), ("b", "refused")]:
        await happen(log, call, event)
    await catch_up(log)
    assert await verify_store(log) == []
    sql(tmp_path / "log", DatabaseName.LOG, damage)
    assert any("auditors' index" in finding.what for finding in await verify_store(log))
