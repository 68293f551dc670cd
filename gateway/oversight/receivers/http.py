"""Batches of lines by HTTP POST (NDJSON), signed as webhooks are (Standard Webhooks, Ed25519). A 2xx acknowledges.

An answer of JSON may say less: `{"accepted": N}` acknowledges the first N records, `{"errors": true}` none. Must never follow a redirect.
"""

import ssl
from collections.abc import Callable, Sequence
from datetime import datetime

import aiohttp
import orjson

from adapters.tls import nobody
from audit.keyring import Signer, SignerUnavailable
from gateway.oversight.streams import StreamBatch, StreamNotTaken
from gateway.oversight.webhooks import signed

TIMEOUT_S = 15.0
ANSWER_MOST = 65_536
RETRY_AFTER_MOST_S = 3_600.0

OF_THE_RECORDS = frozenset({400, 413, 422})
"""Statuses that speak of what was sent, not of who may send, where, or when."""


class HttpReceiver:
    """POSTs to one URL over one session. `authorization`: the header's value, or empty. `tls` None: over plain HTTP alone."""

    def __init__(
        self,
        url: str,
        *,
        tls: ssl.SSLContext | None,
        keys: Callable[[], Sequence[Signer]],
        clock: Callable[[], datetime],
        authorization: str = "",
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._url, self._tls, self._keys, self._clock = url, tls, keys, clock
        self._authorization, self._timeout_s = authorization, timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def send(self, batch: StreamBatch) -> int:
        body = b"".join(line + b"\n" for _, line in batch.lines)
        try:
            headers = await signed(self._keys(), batch.id, self._clock(), body)
        except SignerUnavailable:
            raise StreamNotTaken("keys_unavailable") from None
        headers |= {"content-type": "application/x-ndjson", "idempotency-key": f'"{batch.id}"'}
        headers["tellergate-records"] = f"{batch.lines[0].record.index}-{batch.lines[-1].record.index}"
        if self._authorization:
            headers["authorization"] = self._authorization
        try:
            async with self._opened().post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                if not 200 <= response.status < 300:
                    refused = response.status in OF_THE_RECORDS
                    after_s = _retry_after_s(response.headers.get("retry-after", ""))
                    raise StreamNotTaken(f"status {response.status}", refused=refused, retry_after_s=after_s)
                return _acknowledged(await _content(response), len(batch.lines))
        except (aiohttp.ClientError, OSError) as error:  # a TimeoutError is an OSError
            raise StreamNotTaken(type(error).__name__) from None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:  # made where the loop runs
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=1, ssl=self._tls or nobody()),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"accept-encoding": "identity"},
                auto_decompress=False,
            )
        return self._session


async def _content(response: aiohttp.ClientResponse) -> bytes:
    """The body, at most so much of it; what is longer says nothing that is read."""
    content = b""
    while len(content) <= ANSWER_MOST and (more := await response.content.read(ANSWER_MOST + 1)):
        content += more
    return content if len(content) <= ANSWER_MOST else b""


def _acknowledged(content: bytes, sent: int) -> int:
    try:
        said = orjson.loads(content)
    except ValueError:
        return sent
    if not isinstance(said, dict):
        return sent
    if said.get("errors") is True:
        raise StreamNotTaken("a 2xx that tells of errors")
    count = said.get("accepted", sent)
    if type(count) is not int or not 0 <= count <= sent:
        raise StreamNotTaken("acknowledges what was not sent")
    return count


def _retry_after_s(said: str) -> float:
    """Seconds as a whole number; a date is left to the back-off."""
    return min(float(said), RETRY_AFTER_MOST_S) if said.isascii() and said.isdigit() and len(said) < 10 else 0.0
