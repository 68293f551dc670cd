"""Readiness: bounded in time and in how often it asks, and silent about what is wrong."""

import asyncio

import pytest

from gateway.oversight import health
from gateway.oversight.health import Readiness


async def fine() -> None: ...


async def broken() -> None:
    raise ConnectionError("postgresql://user:s3cr3t@db.bank.example")


async def silent() -> None:
    await asyncio.Event().wait()


async def test_each_dependency_has_its_state_and_nothing_more_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CHECK_S", 0.05)
    report = await Readiness({"store": fine, "log": broken, "core": silent}).report()
    assert report.ready is False
    assert {name: state.value for name, state in report.states.items()} == {
        "store": "ok",
        "log": "unavailable",
        "core": "unavailable",
    }
    assert "s3cr3t" not in repr(report)


async def test_a_model_that_is_down_is_told_and_calls_are_taken_all_the_same() -> None:
    report = await Readiness({"store": fine}, {"model": broken}).report()
    assert (report.ready, report.states["model"].value) == (True, "unavailable")


async def test_however_many_ask_each_dependency_is_asked_once_a_second() -> None:
    asked = [0]
    now = [0.0]
    gate = asyncio.Event()

    async def counting() -> None:
        asked[0] += 1
        await gate.wait()

    readiness = Readiness({"store": counting}, monotonic=lambda: now[0])
    waiting = [asyncio.create_task(readiness.report()) for _ in range(100)]
    await asyncio.sleep(0)
    waiting[0].cancel()  # who asked first, and left
    gate.set()
    reports = await asyncio.gather(*waiting[1:])
    assert asked == [1]
    assert all(report.ready for report in reports)
    now[0] = 0.9
    await readiness.report()
    assert asked == [1]
    now[0] = 1.1
    await readiness.report()
    assert asked == [2]
