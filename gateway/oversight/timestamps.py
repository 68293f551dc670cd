"""Time stamps (RFC 3161) of the log: once an hour its latest published checkpoint goes to each authority, and what comes back is kept
beside it once all of it was checked.

Nothing waits for an authority. Must never follow a redirect, nor keep a token that does not verify; an authority sees a hash alone.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from urllib.parse import urlsplit

from cryptography.x509 import Certificate

from audit.log import Log
from audit.store.timestamps import (
    KeptTimestamp,
    PublishedCheckpoint,
    keep_timestamp,
    last_timestamp,
    last_timestamp_of_each,
    latest_published,
)
from audit.timestamps import TimestampInvalid, timestamp_request, verify_timestamp
from gateway.domain.alarms import Alarm
from gateway.oversight.said_once import SaidOnce
from gateway.oversight.witnesses import WitnessAnswer, WitnessSilent

EVERY_S = 60
"""How often it is looked whether a stamp is due; a failure is tried again then."""

HOUR_S = 3600
CLOCKS_S = 300
"""How far an authority's clock may be from ours."""

OLD_S = 600
"""A checkpoint that is older is not stamped: its token would look like one of a checkpoint that was dated back."""

AGAIN_S = 600
"""What stays as it is is an alarm again after this long."""

TIMEOUT_S = 10.0
QUERY_TYPE, REPLY_TYPE = "application/timestamp-query", "application/timestamp-reply"

_LOG = logging.getLogger("tellergate.timestamps")


class TimestampFailure(StrEnum):
    """What an authority did instead of a stamp."""

    SILENT = "silent"
    REFUSES = "refuses"
    NOT_VALID = "not_valid"


class _Failed(Exception):
    """The failure, and why in few words of ours."""


@dataclass(slots=True, kw_only=True)
class Timestamps:
    """One step after the other; any number of processes may take them: each reads what is kept before it asks."""

    log: Log
    authorities: Sequence[str]
    roots: Sequence[Certificate]
    asks: Callable[[str, bytes], Awaitable[WitnessAnswer]]
    """(URL, TimeStampReq): POST it. WitnessSilent."""
    stamped_s: dict[str, int] = field(default_factory=dict)
    """By authority, the moment of its last token, as this process last saw."""
    _said: SaidOnce = field(default_factory=lambda: SaidOnce(AGAIN_S))

    async def step(self) -> None:
        """Ask every authority that has stamped nothing in this hour of the clock, where the log has published something else since. What an
        authority does wrong is an alarm. LogUnavailable."""
        for kept in await self.log.read(lambda reads: last_timestamp_of_each(reads.connection)):
            self.stamped_s[kept.authority] = kept.time_s
        latest = await self.log.read(lambda reads: latest_published(reads.connection))
        if latest is not None and self.log.now().timestamp() - latest.time_s <= OLD_S:
            await asyncio.gather(*(self._one(authority, latest) for authority in self.authorities))

    async def _one(self, authority: str, latest: PublishedCheckpoint) -> None:
        last = await self.log.read(lambda reads: last_timestamp(reads.connection, authority))
        now_s = self.log.now().timestamp()
        if last is not None and (_same(last.checkpoint, latest) or now_s // HOUR_S <= last.time_s // HOUR_S):
            return
        try:
            kept = await self._stamp(authority, latest)
        except _Failed as failed:
            failure, why = failed.args
            if self._said.is_news(authority, f"{failure} {why}", now_s):
                _LOG.log(*Alarm.TIMESTAMPS_FAIL.line(authority=shown(authority), failure=failure, why=why))
            return
        await self.log.write(lambda connection: keep_timestamp(connection, kept))
        self.stamped_s[authority] = kept.time_s
        self._said.is_well(authority)

    async def _stamp(self, authority: str, latest: PublishedCheckpoint) -> KeptTimestamp:
        """Ask, and check whatever comes back. _Failed."""
        content = latest.note.encode()
        asked = await asyncio.to_thread(timestamp_request, content)
        try:
            answer = await self.asks(authority, asked.body)
        except WitnessSilent as silent:
            raise _Failed(TimestampFailure.SILENT.value, str(silent)) from None
        if answer.status != HTTPStatus.OK or answer.media != REPLY_TYPE:
            raise _Failed(TimestampFailure.REFUSES.value, f"status {answer.status}, or another media type")
        try:
            told = await asyncio.to_thread(verify_timestamp, answer.body, content, self.roots, asked.nonce)
        except TimestampInvalid as error:
            raise _Failed(TimestampFailure.NOT_VALID.value, str(error)) from None
        time_s = int(told.time.timestamp())
        if abs(time_s - self.log.now().timestamp()) > CLOCKS_S:
            raise _Failed(TimestampFailure.NOT_VALID.value, f"its clock is more than {CLOCKS_S} s from ours")
        return KeptTimestamp(latest, authority, time_s, answer.body)


def _same(one: PublishedCheckpoint, other: PublishedCheckpoint) -> bool:
    return (one.size, one.root) == (other.size, other.root)


def shown(authority: str) -> str:
    """An authority for people: its host, since a path may hold what the bank pays by."""
    return urlsplit(authority).netloc
