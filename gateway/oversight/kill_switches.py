"""Engaging, lifting and listing kill switches: for the door and for the command.

Duties are apart: one officer engages, two different ones lift. What protects never waits for the trail, so engaging counts first and is
recorded after; what opens again is recorded before it counts.
"""

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from gateway.domain.errors import Unavailable
from gateway.domain.kill_switch import Scope, Switch
from gateway.domain.stages import Place
from gateway.store import kill_switches as kills
from gateway.store.kill_switches import Engaging, Lifting

REASON_MOST = 500
SUBJECT_MOST = 256
OFFICER_MOST = 256
"""Characters."""

_LOG = logging.getLogger("tellergate.killing")

T = TypeVar("T")


class NotLifted(Exception):
    """`state` says why: `unknown`, `lifted` already, or `same_officer`: who gave the first lift gives no second."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class Store(Protocol):
    """The switches' place: the book of a gateway, or the database itself for a command. Durable when it returns; Unavailable."""

    async def read(self, question: Callable[[Connection], T]) -> T: ...

    async def write(self, item: Engaging | Lifting) -> object: ...


class Trail(Protocol):
    async def kill_switch(self, switch: Switch, word: str, by: str, via: str, at: datetime) -> Place:
        """A durable record; Unavailable otherwise."""


@dataclass(frozen=True, slots=True)
class Engaged:
    """`recorded`: False while the trail does not answer; it counts all the same. To engage it again records it."""

    switch: Switch
    recorded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Killing:
    store: Store
    trail: Trail
    clock: Callable[[], datetime]
    via: str
    """How the officers speak: `api` or `command`. On record, since the command believes the name that it is given."""

    async def engage(self, scope: Scope, subject: str, reason: str, officer: str) -> Engaged:
        """From now on, everywhere. What is engaged already stays as it is, and who asked again is on record."""
        at = self.clock()
        wanted = Switch(
            id=f"kill_{secrets.token_hex(16)}", scope=scope, subject=subject, reason=reason, engaged_by=officer, engaged=at
        )
        stands = await self.store.write(Engaging(wanted))
        if not isinstance(stands, Switch):
            raise TypeError("engaging is answered with the switch")
        try:
            await self.trail.kill_switch(replace(stands, reason=reason), "kill_engaged", officer, self.via, at)
        except Unavailable:
            _LOG.error('{"alarm": "kill_switch_not_recorded", "id": "%s"}', stands.id)
            return Engaged(stands, recorded=False)
        return Engaged(stands, recorded=True)

    async def lift(self, switch: str, reason: str, officer: str) -> Switch:
        """One officer's part: after the first it is half lifted and stops the same, after another one's it is lifted. NotLifted."""
        at = self.clock()
        found = await self.store.read(lambda connection: kills.find(connection, switch))
        stands = kills.obstacle(found, officer)
        if found is None or stands is not None:
            raise NotLifted(stands or "unknown")
        await self.trail.kill_switch(replace(found, reason=reason), "kill_lift", officer, self.via, at)
        told = await self.store.write(Lifting(switch, officer, at))
        if not isinstance(told, Switch):
            raise NotLifted(str(told))
        return told

    async def listed(self) -> list[Switch]:
        """Those that are engaged or half lifted, the oldest first."""
        return await self.store.read(kills.listed)
