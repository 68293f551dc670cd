"""Every dependency fails at every step of a transfer, both ways: failed and not done, failed and done. The caller is told what may be
believed about the money, and after recovery everything holds.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from adapters.core import CoreUnavailable, PermitRefused
from audit.leaf import Record, RecordKind
from audit.log import LogUnavailable
from gateway.app.clock import utc_now
from gateway.calls.chores import alarmed
from gateway.calls.outcome import CallOutcomes
from gateway.calls.record import Records
from gateway.calls.recovery import Recovery
from gateway.domain.alarms import Chore
from gateway.domain.errors import Code, Unavailable
from tests.support.teller import Teller, executed_keys, teller, what_does_not_hold


class Failing:
    """Passes everything on, but `method` raises `error` once, for the calls that `when` picks: before it was done, or after."""

    def __init__(
        self, inner: Any, method: str, error: Exception, *, done: bool, when: Callable[..., bool] = lambda *_: True
    ) -> None:
        self._inner, self._method, self._error, self._done, self._when = inner, method, error, done, when
        self.failed = False

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._inner, name)
        if name != self._method:
            return real

        async def failing(*args: Any, **kwargs: Any) -> Any:
            if self.failed or not self._when(*args):
                return await real(*args, **kwargs)
            self.failed = True
            if self._done:
                await real(*args, **kwargs)
            raise self._error

        return failing


class Replacing:
    """Passes everything on but what is given."""

    def __init__(self, inner: Any, **replaced: Any) -> None:
        self._inner, self._replaced = inner, replaced

    def __getattr__(self, name: str) -> Any:
        return self._replaced[name] if name in self._replaced else getattr(self._inner, name)


def of_kind(kind: RecordKind) -> Callable[[object, Record], bool]:
    return lambda _change, record: record.kind is kind


LOG = LogUnavailable("down")

Part = TypeVar("Part")
"""What stands in the place of a part of the pipeline."""

# what fails; method; error; which calls; what the caller hears if it was not done, and if it was
FAULTS: dict[str, tuple[str, str, Exception, Callable[..., bool], str, str]] = {
    "claim and intent are not taken": ("log", "append_with", LOG, of_kind(RecordKind.INTENT), "unavailable", "unavailable"),
    "the core breaks": ("core", "submit", ConnectionResetError("cut"), lambda *_: True, "in_doubt", "in_doubt"),
    "the core takes too long": ("core", "submit", TimeoutError(), lambda *_: True, "in_doubt", "in_doubt"),
    "outcome and settlement are not taken": ("log", "append_with", LOG, of_kind(RecordKind.OUTCOME), "in_doubt", "in_doubt"),
}


def break_one(asked: Teller, what: str, failing: Callable[[Any], Part]) -> Part:
    """Put a failing part in the place of one, everywhere on the way; recovery keeps the whole one."""
    pipeline = asked.gateway.pipeline
    parts = pipeline._parts
    broken = failing(parts.records.log if what == "log" else getattr(parts, what))
    replaced: dict[str, Any] = {what: broken}
    if what == "log":
        records = parts.records
        replaced = {"records": Records(replaced["log"], records.declared, records.wait_ms)}
    pipeline._parts = replace(parts, **replaced)
    return broken


@pytest.mark.parametrize("done", [False, True], ids=["failed and not done", "failed and done"])
@pytest.mark.parametrize("name", FAULTS)
async def test_what_fails_is_told_and_mended(tmp_path: Path, name: str, done: bool) -> None:
    what, method, error, when, if_not_done, if_done = FAULTS[name]
    async with teller(tmp_path / "data") as asked:
        before = len(executed_keys(asked.gateway))
        whole = asked.gateway.pipeline._parts
        broken = break_one(asked, what, lambda inner: Failing(inner, method, error, done=done, when=when))
        answered = await asked.transfer("3.21", native_id="x")
        assert broken.failed
        assert answered.status == (if_done if done else if_not_done)
        assert (answered.output is not None) == (answered.status == "done")
        asked.gateway.pipeline._parts = whole
        swept = await asked.gateway.recovery.sweep(grace=timedelta(0))
        asked.gateway.pipeline.unrecorded.clear()
        assert await what_does_not_hold(asked.gateway) == [], swept
        assert len(executed_keys(asked.gateway)) - before in (0, 1)
        again = await asked.transfer("3.21", native_id="x")
        effects = len(executed_keys(asked.gateway)) - before
        assert (again.status, effects) == ("done", 1), "asked again with the same ids it is done, and once"
        assert await what_does_not_hold(asked.gateway) == []


async def test_effects_are_refused_until_the_log_took_what_was_missing(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        whole = asked.gateway.pipeline._parts
        break_one(asked, "log", lambda inner: Failing(inner, "append_with", LOG, done=False, when=of_kind(RecordKind.OUTCOME)))
        assert (await asked.transfer("3.21")).status == "in_doubt"
        asked.gateway.pipeline._parts = whole
        refused = await asked.transfer("4.21")
        assert (refused.status, refused.code) == ("unavailable", Code.TEMPORARILY_UNAVAILABLE)
        assert (await asked.ask("list_accounts")).status == "done", "reads go on"
        await asked.gateway.recovery._end_unrecorded(asked.gateway.pipeline)
        assert asked.gateway.pipeline.unrecorded == set()
        assert (await asked.transfer("4.21")).status == "done"
        assert await what_does_not_hold(asked.gateway) == []


async def test_a_core_that_refuses_the_permit_did_nothing(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        before = len(executed_keys(asked.gateway))
        break_one(asked, "core", lambda inner: Failing(inner, "submit", PermitRefused("expired"), done=False))
        answered = await asked.transfer("3.21")
        assert (answered.status, answered.code) == ("unavailable", Code.TEMPORARILY_UNAVAILABLE)
        assert len(executed_keys(asked.gateway)) == before
        assert await what_does_not_hold(asked.gateway) == []


async def test_a_core_to_which_nothing_was_sent_did_nothing_and_the_same_ids_may_be_asked_again(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        before = len(executed_keys(asked.gateway))
        whole = asked.gateway.pipeline._parts
        break_one(asked, "core", lambda inner: Failing(inner, "submit", CoreUnavailable("refused"), done=False))
        answered = await asked.transfer("3.21", native_id="x")
        assert (answered.status, answered.code) == ("unavailable", Code.TEMPORARILY_UNAVAILABLE)
        assert len(executed_keys(asked.gateway)) == before
        assert await what_does_not_hold(asked.gateway) == [], "it has its end, and holds nothing of the limits"
        asked.gateway.pipeline._parts = whole
        assert (await asked.transfer("3.21", native_id="x")).status == "done"
        assert len(executed_keys(asked.gateway)) == before + 1
        assert await what_does_not_hold(asked.gateway) == []


async def test_an_intent_that_is_committed_late_is_ended_at_once_and_the_same_ids_may_be_asked_again(tmp_path: Path) -> None:
    """Its caller was told that nothing happened: nothing does, and nothing is held."""
    async with teller(tmp_path / "data") as asked:
        gateway, before = asked.gateway, len(executed_keys(asked.gateway))
        may_go_on, real = asyncio.Event(), gateway.log.append_with

        async def slow(change: object, record: Record, **rest: Any) -> object:
            if record.kind is not RecordKind.INTENT:
                return await real(change, record, **rest)

            async def late() -> None:
                await may_go_on.wait()
                await real(change, record, **rest)

            written.append(asyncio.create_task(late()))
            raise LOG

        written: list[asyncio.Task[None]] = []
        whole = gateway.pipeline._parts
        break_one(asked, "log", lambda inner: Replacing(inner, append_with=slow))
        assert (await asked.transfer("3.21", native_id="x")).status == "unavailable"
        gateway.pipeline._parts = whole
        await gateway.recovery._end_late(gateway.pipeline)
        assert len(gateway.pipeline.late) == 1, "it may come yet"
        may_go_on.set()
        await asyncio.gather(*written)
        assert (await gateway.book.totals("alice", "GBP", utc_now())).day_minor == 321
        await gateway.recovery._end_late(gateway.pipeline)
        assert gateway.pipeline.late == {}
        assert (await gateway.book.totals("alice", "GBP", utc_now())).day_minor == 0
        assert len(executed_keys(gateway)) == before
        assert await what_does_not_hold(gateway) == []
        assert (await asked.transfer("3.21", native_id="x")).status == "done"
        assert await what_does_not_hold(gateway) == []


async def test_a_claim_without_its_intent_is_an_alarm_and_keeps_its_hold(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """No crash leaves one behind, since both are one transaction: the log is of another backup than the book."""
    async with teller(tmp_path / "data") as asked:
        gateway = asked.gateway

        async def without_record(change: Any, record: Record, **rest: Any) -> object:
            if record.kind is not RecordKind.INTENT:
                return await gateway.log.append_with(change, record, **rest)
            await gateway.book.write(change)
            raise LOG

        break_one(asked, "log", lambda inner: Replacing(inner, append_with=without_record))
        assert (await asked.transfer("3.21")).status == "unavailable"
        swept = await gateway.recovery.sweep(grace=timedelta(0))
        assert (swept.ended, swept.not_in_log) == (0, 1)
        (line,) = [json.loads(record.getMessage()) for record in caplog.records if "call_not_in_log" in record.getMessage()]
        assert line["runbook"] == "RUNBOOK.md#call_not_in_log"
        assert (await gateway.book.totals("alice", "GBP", utc_now())).day_minor == 321


async def test_a_read_that_is_not_recorded_is_not_answered(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        break_one(asked, "log", lambda inner: Failing(inner, "append_with", LOG, done=True, when=of_kind(RecordKind.READ)))
        answered = await asked.ask("list_accounts")
        assert (answered.status, answered.output) == ("unavailable", None)


async def test_a_core_that_cannot_be_asked_ends_nothing(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        break_one(asked, "core", lambda inner: Failing(inner, "submit", TimeoutError(), done=True))
        assert (await asked.transfer("3.21")).status == "in_doubt"
        gateway = asked.gateway
        deaf = Failing(gateway.bank, "status", CoreUnavailable(), done=False)
        recovery = Recovery(
            book=gateway.book, core=deaf, log=gateway.log, records=gateway.recovery.records, clock=gateway.recovery.clock
        )
        with pytest.raises(Unavailable):
            await recovery.sweep(grace=timedelta(0))
        assert [intent.end_state for intent in (await gateway.log.open_intents())] == ["outcome_unknown"]
        swept = await recovery.sweep(grace=timedelta(0))
        assert swept.ended == 1
        assert await what_does_not_hold(gateway) == []


async def test_an_unsettled_key_is_never_asked_for(tmp_path: Path) -> None:
    """To ask the core for the status of a key burns it: a duplicate that comes while the first is under way must not."""
    async with teller(tmp_path / "data") as asked:
        parts = asked.gateway.pipeline._parts
        asking = Failing(parts.core, "status", AssertionError("the core was asked"), done=False)
        later = CallOutcomes(
            **{name: getattr(parts.outcomes, name) for name in ("functions", "references", "book", "log", "clock")}, core=asking
        )
        break_one(asked, "core", lambda inner: Failing(inner, "submit", TimeoutError(), done=False))
        assert (await asked.transfer("3.21", native_id="x")).status == "in_doubt"
        (row,) = await asked.gateway.book.unsettled(asked.gateway.door.clock() + timedelta(days=1))
        told = await later.answer(row, "x")
        assert (told.status, told.code) == ("in_doubt", Code.OUTCOME_UNKNOWN)
        assert not asking.failed


async def test_a_repeat_that_cannot_be_answered_never_says_that_nothing_happened(tmp_path: Path) -> None:
    async with teller(tmp_path / "data") as asked:
        first = await asked.transfer("3.21", native_id="x")
        assert first.status == "done"
        whole = asked.gateway.pipeline._parts
        break_one(
            asked,
            "log",
            lambda inner: Failing(inner, "append_with", LOG, done=False, when=lambda _change, record: record.parent is not None),
        )
        again = await asked.transfer("3.21", native_id="x")
        assert (again.status, again.output, again.call_id) == ("in_doubt", None, first.call_id)
        deaf = Failing(whole.core, "status", CoreUnavailable(), done=False)
        asked.gateway.pipeline._parts = replace(whole, outcomes=replace(whole.outcomes, core=deaf))
        again = await asked.transfer("3.21", native_id="x")
        assert (again.status, again.output, again.call_id) == ("in_doubt", None, first.call_id)
        asked.gateway.pipeline._parts = whole
        assert await asked.transfer("3.21", native_id="x") == first


async def test_a_chore_that_breaks_is_an_alarm_and_the_others_go_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with teller(tmp_path / "data"):
        with alarmed(Chore.PUBLISH):
            raise KeyError("a defect that holds input")
        (line,) = [record.getMessage() for record in caplog.records]
        assert line == '{"alarm": "chore_failed", "chore": "publish", "cause": "KeyError", "runbook": "RUNBOOK.md#chore_failed"}'
