"""Engaging, lifting and listing kill switches: for the door and for the command.

Duties are apart: one officer engages, two different ones lift. What protects never waits for the trail, so engaging counts first and is
recorded after; what opens again is recorded before it counts.
"""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.domain.alarms import Alarm
from gateway.domain.errors import Unavailable
from gateway.domain.kill_switch import KillSwitch, NotLifted, Scope
from gateway.domain.obstacle import Obstacle
from gateway.domain.ports import KillSwitchStore, KillSwitchTrail

REASON_MOST = 500
SUBJECT_MOST = 256
OFFICER_MOST = 256
"""Characters."""

_LOG = logging.getLogger("tellergate.kill_switches")


@dataclass(frozen=True, slots=True)
class EngageResult:
    """`recorded`: False while the trail does not answer; it counts all the same. To engage it again records it."""

    switch: KillSwitch
    recorded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitches:
    store: KillSwitchStore
    trail: KillSwitchTrail
    clock: Callable[[], datetime]
    via: str
    """How the officers speak: `api` or `command`. On record, since the command believes the name that it is given."""

    async def engage(self, scope: Scope, subject: str, reason: str, officer: str) -> EngageResult:
        """From now on, everywhere. What is engaged already stays as it is, and who asked again is on record."""
        at = self.clock()
        wanted = KillSwitch(
            id=f"kill_{secrets.token_hex(16)}", scope=scope, subject=subject, reason=reason, engaged_by=officer, engaged=at
        )
        engaged = await self.store.engage(wanted)
        # It counts already. A trail that does not answer must not make it undone: that is told, and engaging again records it.
        try:
            await self.trail.kill_switch(replace(engaged, reason=reason), "kill_engaged", officer, self.via, at)
        except Unavailable:
            _LOG.log(*Alarm.KILL_SWITCH_NOT_RECORDED.line(id=engaged.id))
            return EngageResult(engaged, recorded=False)
        return EngageResult(engaged, recorded=True)

    async def lift(self, switch: str, reason: str, officer: str) -> KillSwitch:
        """One officer's part: after the first it is half lifted and stops the same, after another one's it is lifted. NotLifted."""
        at = self.clock()
        engaged = await self.store.find(switch)
        obstacle = Obstacle("unknown") if engaged is None else engaged.lift_obstacle(officer)
        if engaged is None or obstacle is not None:
            raise NotLifted("unknown" if obstacle is None else obstacle.code)
        # What opens again is recorded first: without a record nothing is lifted, and the store compares the state once more.
        await self.trail.kill_switch(replace(engaged, reason=reason), "kill_lift", officer, self.via, at)
        return await self.store.lift(switch, officer, at)

    async def listed(self) -> list[KillSwitch]:
        """Those that are engaged or half lifted, the oldest first."""
        return list(await self.store.engaged())
