"""`call.settled`: late outcomes of calls, told to the back end of the app by a signed webhook (Standard Webhooks, Ed25519).

Of a call that was held, or in doubt, once it has ended: what became of it, and nothing of what it was. At least once; the receiver
tells repeats by `webhook-id`. Must never follow a redirect, nor send an amount or a name.
"""

import asyncio
import base64
import logging
import random
import ssl
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import aiohttp
import orjson

from adapters.tls import nobody
from audit.keyring import KeyRing, Signer, SignerUnavailable
from audit.leaf import EndState
from audit.log import Log
from gateway.calls.history import history_of
from gateway.calls.outcome import CallOutcomes
from gateway.confirmations.proposals import Proposals
from gateway.domain.alarms import Alarm
from gateway.domain.errors import Code
from gateway.domain.ports import Book, DueWebhook, WebhookOutbox
from gateway.domain.reasons import reason_of
from gateway.domain.stages import Recorded
from gateway.domain.states import CallStatus

TIMEOUT_S = 5.0
LEASE = timedelta(seconds=60)
"""So long who took a row may try it alone: much longer than one try takes."""

AT_ONCE = 16
AGAIN_MOST_S = 86_400.0
LOOK_AGAIN_MOST_S = 60.0
"""Back-off: of deliveries, and of looking whether a call has ended."""

KEPT = timedelta(days=7)
"""So long what was delivered is kept."""

_ALARM_AFTER = 3

_LOG = logging.getLogger("tellergate.webhooks")


def public_key(key: bytes) -> str:
    """As Standard Webhooks spells it. `key`: 32 bytes, Ed25519."""
    return "whpk_" + base64.b64encode(key).decode()


async def signed(keys: Sequence[Signer], message_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks: a signature over `id.timestamp.body` by each key, so that a receiver may know any of them.

    SignerUnavailable."""
    timestamp = str(int(at.timestamp()))
    over = f"{message_id}.{timestamp}.".encode() + body
    signatures = ["v1a," + base64.b64encode(await key.sign_beside(over)).decode() for key in keys]
    return {
        "content-type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def backoff_s(tries: int, most_s: float, jitter: float) -> float:
    """Seconds until the next try after `tries` failed ones. `jitter` from 0 to 1: half of it at least."""
    return float(min(most_s, 2.0 ** min(tries, 32))) * (0.5 + jitter / 2)


class WebhookRefused(Exception):
    """The receiver did not take it. The message says how, and holds nothing of its answer."""


@dataclass(slots=True, kw_only=True)
class Webhooks:
    """The outbox's deliveries. Any number of workers may do them: who takes a row has it alone for `LEASE`."""

    url: str
    keys: KeyRing
    book: Book
    outbox: WebhookOutbox
    outcomes: CallOutcomes
    proposals: Proposals
    log: Log
    clock: Callable[[], datetime]
    tls: ssl.SSLContext | None = None
    """Whom the receiver's certificate must be of; None: asked over plain HTTP alone."""
    timeout_s: float = TIMEOUT_S
    jitter: Callable[[], float] = random.random
    tries: Counter[str] = field(default_factory=Counter)
    """What came of tries to tell: `delivered` or `refused`; for metrics."""
    _session: aiohttp.ClientSession | None = None

    async def deliver_due(self) -> int:
        """Try everything that is due once, at most `AT_ONCE`; how many. Unavailable when the store does not answer."""
        now = self.clock()
        due = await self.outbox.lease(now, now + LEASE, AT_ONCE)
        done = await asyncio.gather(*(self._one(item) for item in due), return_exceptions=True)
        for effect in done:
            if isinstance(effect, BaseException):
                raise effect  # the others had their try; what this one did not come to is due again after its lease
        return len(due)

    async def forget(self) -> None:
        """Delete what was delivered long ago."""
        await self.outbox.forget(self.clock() - KEPT)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _one(self, due: DueWebhook) -> None:
        body, tries = due.body, due.tries
        if not body:
            composed = await self._composed(due)
            if composed is None:
                await self._again(due, LOOK_AGAIN_MOST_S, tries)
                return
            body, tries = composed, 0
        try:
            await self._post(due.id, body)
        except WebhookRefused as refused:
            self.tries["refused"] += 1
            if tries + 1 >= _ALARM_AFTER:
                _LOG.log(*Alarm.WEBHOOK_NOT_DELIVERED.line(id=due.id, tries=tries + 1, cause=str(refused)))
            await self._again(due, AGAIN_MOST_S, tries)
        else:
            self.tries["delivered"] += 1
            await self.outbox.delivered(due.id, self.clock())

    async def _again(self, due: DueWebhook, most_s: float, tries: int) -> None:
        await self.outbox.again(due.id, self.clock() + timedelta(seconds=backoff_s(tries, most_s, self.jitter())))

    async def _composed(self, due: DueWebhook) -> bytes | None:
        """What is said of the call, the same however often it is sent. None: it has not ended."""
        ended = await self._ended(due.call_id)
        if ended is None:
            return None
        content = {
            "type": "call.settled",
            "id": due.id,
            "call_id": due.call_id,
            "status": ended.status,
            "code": None if ended.code is None else ended.code.value,
            "confirmation_id": await self.proposals.confirmation_of(due.call_id),
            "at": self.clock().isoformat(),
        }
        return await self.outbox.compose(due.id, orjson.dumps(content))

    async def _ended(self, call_id: str) -> Recorded | None:
        """As `GET /v1/calls/{id}` tells it; None while it is held or in doubt."""
        claimed = await self.book.find(call_id)
        if claimed is not None:
            outcome: Recorded | None = await self.outcomes.answer(claimed, "")
        else:
            outcome = await self.proposals.status_of(call_id) or await self._without_a_row(call_id)
        return None if outcome is None or outcome.status.is_open else outcome

    async def _without_a_row(self, call_id: str) -> Recorded | None:
        """Given back: nothing happened, once the log agrees."""
        story = await history_of(self.log, call_id)
        if story is not None and story.intent is not None and story.end_state != EndState.NOT_ATTEMPTED.value:
            return None
        code = Code.TEMPORARILY_UNAVAILABLE
        return Recorded(call_id, "", CallStatus.UNAVAILABLE, code, None, None, None, reason=reason_of(code))

    async def _post(self, message_id: str, body: bytes) -> None:
        headers = await self._headers(message_id, body)
        try:
            async with self._opened().post(self.url, data=body, headers=headers, allow_redirects=False) as response:
                if not 200 <= response.status < 300:
                    raise WebhookRefused(f"status {response.status}")
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            raise WebhookRefused(type(error).__name__) from None

    async def _headers(self, message_id: str, body: bytes) -> dict[str, str]:
        try:
            return await signed(self.keys.signers(), message_id, self.clock(), body)
        except SignerUnavailable:
            raise WebhookRefused("keys_unavailable") from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:  # made where the loop runs
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=AT_ONCE, force_close=True, ssl=self.tls or nobody()),
                timeout=aiohttp.ClientTimeout(total=self.timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session
