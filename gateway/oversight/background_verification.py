"""The background verification of the log beside a gateway: how fast, and what is an alarm. The work is `audit.verification`'s."""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from audit.log import Log
from audit.stored_rows import FINDINGS_MOST, StoreFinding
from audit.verification import PIECE, StoreVerifier
from gateway.calls.chores import alarmed
from gateway.domain.alarms import Alarm, Chore

RECORDS_LEAST, RECORDS_MOST = PIECE, 1024
"""Records that are verified in a second: so many that a round takes some six hours, within these bounds."""

SHARE = 0.25
"""Of one core, at most: a step is followed by a rest of three times what it took."""

WANTED_ROUND_S = 6 * 3600
LATE_S = 24 * 3600
"""A log that was not verified from end to end for so long, or for four times as long as its size takes, is an alarm."""

AGAIN_S = 300
"""What stays as it is is an alarm again after this long."""

_LOG = logging.getLogger("tellergate.verification")


@dataclass(slots=True)
class BackgroundVerification:
    """One step after the other; every process of an installation has one, and one of them works."""

    log: Log
    verifier: StoreVerifier
    _told: dict[tuple[str, int | None], float] = field(default_factory=dict)
    took_s: float = 0.0
    """The last step."""

    async def step(self) -> Sequence[StoreFinding]:
        """Verify the next piece; an alarm for what does not hold. LogUnavailable."""
        begun_s = time.perf_counter()
        found = await self.verifier.step()
        self.took_s = time.perf_counter() - begun_s
        now_s = self.log.now().timestamp()
        self._told = {said: at for said, at in self._told.items() if now_s - at < AGAIN_S}
        new = [item for item in found if (item.what, item.index) not in self._told]
        if new:
            room = FINDINGS_MOST - len(self._told)
            self._told |= {(item.what, item.index): now_s for item in new[: max(room, 1)]}
            first = new[0]
            at = -1 if first.index is None else first.index
            _LOG.log(*Alarm.LOG_NOT_AS_SIGNED.line(what=first.what, index=at, further=len(new) - 1))
        late = self.unverified_s()
        if late > self._late_s() and ("", None) not in self._told:
            self._told["", None] = now_s
            _LOG.log(*Alarm.LOG_NOT_VERIFIED.line(since_s=int(late)))
        return found

    def unverified_s(self) -> float:
        """Since the log was last verified from end to end, or since that was first begun; 0 before this process knows."""
        known = self.verifier.known
        if known is None:
            return 0.0
        since_s = known.first_s if known.last is None else known.last.ended_s
        return max(self.log.now().timestamp() - since_s, 0.0)

    def pause_s(self) -> float:
        """Until the next step."""
        if self.verifier.is_resting:
            return 1.0
        each_second = min(max(self.log.size() // WANTED_ROUND_S, RECORDS_LEAST), RECORDS_MOST)
        return max(PIECE / each_second, self.took_s * (1 / SHARE - 1))

    def _late_s(self) -> float:
        return max(LATE_S, 4 * self.log.size() / RECORDS_MOST)

    async def run(self) -> None:
        """For ever: a bounded part each second."""
        while True:
            await asyncio.sleep(self.pause_s())
            with alarmed(Chore.VERIFICATION):
                await self.step()
