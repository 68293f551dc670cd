"""Whether this process can serve: each dependency asked at once, within a second, and at most once a second whoever asks."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

CHECK_S = 1.0
"""How long one dependency may take to answer."""

KEPT_S = 1.0
"""So long an answer is given again: asking often asks no dependency more often."""

_LOG = logging.getLogger("tellergate.health")


class DependencyState(StrEnum):
    """What is said of a dependency, and no more: neither where it is nor what was wrong."""

    OK = "ok"
    UNAVAILABLE = "unavailable"


Check = Callable[[], Awaitable[object]]
"""Asks a dependency; raises whatever it likes when it does not answer."""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The state of each dependency. Ready is who has all that routing depends on; the others are told, and watched elsewhere."""

    states: Mapping[str, DependencyState]
    ready: bool


@dataclass(slots=True)
class Readiness:
    """`needed`: without one of them the gateway is not ready. `further`: told as well. Concurrent use is safe."""

    needed: Mapping[str, Check]
    further: Mapping[str, Check] = field(default_factory=dict)
    monotonic: Callable[[], float] = time.monotonic
    _last: HealthReport | None = None
    _asked_at: float = 0.0
    _running: "asyncio.Task[HealthReport] | None" = None

    async def report(self) -> HealthReport:
        """What is known now, or was within the last second. Never raises; ends after `CHECK_S`."""
        if self._last is not None and self.monotonic() - self._asked_at < KEPT_S:
            return self._last
        if self._running is None:
            self._running = asyncio.create_task(self._asked())
            self._running.add_done_callback(self._ended)
        return await asyncio.shield(self._running)  # one who asks and leaves does not end it for the others

    def _ended(self, _task: object) -> None:
        self._running = None

    async def _asked(self) -> HealthReport:
        checks = {**self.needed, **self.further}
        answers = await asyncio.gather(*(_bounded(check) for check in checks.values()), return_exceptions=True)
        states = {
            name: DependencyState.UNAVAILABLE if isinstance(answer, BaseException) else DependencyState.OK
            for name, answer in zip(checks, answers, strict=True)
        }
        report = HealthReport(states, all(states[name] is DependencyState.OK for name in self.needed))
        if self._last is not None and self._last.ready != report.ready:
            _LOG.warning('{"ready": %s}', "true" if report.ready else "false")
        self._last, self._asked_at = report, self.monotonic()
        return report


async def _bounded(check: Check) -> None:
    async with asyncio.timeout(CHECK_S):
        await check()
