"""Engaging, lifting and listing kill switches: for the door and for the command.

Duties are apart: one officer engages, two different ones lift. What protects never waits for the trail, so engaging counts first and is
recorded after; what opens again is recorded before it counts.
"""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from gateway.domain.errors import Unavailable
from gateway.domain.kill_switch import KillSwitch, Scope
from gateway.domain.stages import RecordPosition
from gateway.store import kill_switches
from gateway.store.items import ItemStore
from gateway.store.kill_switches import EngageSwitch, LiftSwitch

REASON_MOST = 500
SUBJECT_MOST = 256
OFFICER_MOST = 256
"""Characters."""

_LOG = logging.getLogger("tellergate.kill_switches")


class NotLifted(Exception):
    """`state` says why: `unknown`, `lifted` already, or `same_officer`: who gave the first lift gives no second."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class SwitchTrail(Protocol):
    async def kill_switch(self, switch: KillSwitch, word: str, by: str, via: str, at: datetime) -> RecordPosition:
        """A durable record; Unavailable otherwise."""


@dataclass(frozen=True, slots=True)
class EngageResult:
    """`recorded`: False while the trail does not answer; it counts all the same. To engage it again records it."""

    switch: KillSwitch
    recorded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitches:
    store: ItemStore
    trail: SwitchTrail
    clock: Callable[[], datetime]
    via: str
    """How the officers speak: `api` or `command`. On record, since the command believes the name that it is given."""

    async def engage(self, scope: Scope, subject: str, reason: str, officer: str) -> EngageResult:
        """From now on, everywhere. What is engaged already stays as it is, and who asked again is on record."""
        at = self.clock()
        wanted = KillSwitch(
            id=f"kill_{secrets.token_hex(16)}", scope=scope, subject=subject, reason=reason, engaged_by=officer, engaged=at
        )
        stands = await self.store.write(EngageSwitch(wanted))
        try:
            await self.trail.kill_switch(replace(stands, reason=reason), "kill_engaged", officer, self.via, at)
        except Unavailable:
            _LOG.error('{"alarm": "kill_switch_not_recorded", "id": "%s"}', stands.id)
            return EngageResult(stands, recorded=False)
        return EngageResult(stands, recorded=True)

    async def lift(self, switch: str, reason: str, officer: str) -> KillSwitch:
        """One officer's part: after the first it is half lifted and stops the same, after another one's it is lifted. NotLifted."""
        at = self.clock()
        found = await self.store.read(lambda connection: kill_switches.find(connection, switch))
        stands = kill_switches.obstacle(found, officer)
        if found is None or stands is not None:
            raise NotLifted(stands or "unknown")
        await self.trail.kill_switch(replace(found, reason=reason), "kill_lift", officer, self.via, at)
        lifted = await self.store.write(LiftSwitch(switch, officer, at))
        if not isinstance(lifted, KillSwitch):
            raise NotLifted(lifted)
        return lifted

    async def listed(self) -> list[KillSwitch]:
        """Those that are engaged or half lifted, the oldest first."""
        return await self.store.read(kill_switches.listed)
