"""Questions to the bank's OpenID provider over HTTP: one shared session, short, bounded, without redirects, cookies or proxies.

Owns the connection pool. Must never log a URL's query, a body or a header.
"""

import ssl
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote_plus, urlsplit

import aiohttp

from adapters.tls import nobody
from gateway.domain.strict_json import JsonError, Parsed, loads

MAX_ANSWER_BYTES = 128 * 1024
TIMEOUT_S = 5.0
_CONNECTIONS_MOST = 32
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class NoAnswer(Exception):
    """The provider did not answer as it must. The message says how, and holds nothing of the answer."""


def is_safe_url(url: str, *, loopback_http: bool) -> bool:
    """Whether keys may be fetched from here: https, or in development plain http on loopback. No user, no fragment."""
    try:
        parts = urlsplit(url)
        port_is_good = parts.port != 0
    except ValueError:
        return False
    if not url.isascii() or not url.isprintable() or parts.fragment or parts.username is not None or not parts.hostname:
        return False
    return port_is_good and (parts.scheme == "https" or (loopback_http and parts.scheme == "http" and parts.hostname in _LOOPBACK))


def basic_credentials(client: str, secret: str) -> str:
    """What a client authenticates with by HTTP Basic, each part encoded (RFC 6749 section 2.3.1)."""
    return "Basic " + b64encode(f"{quote_plus(client)}:{quote_plus(secret)}".encode()).decode()


class Fetcher:
    """JSON objects from the provider. NoAnswer for whatever is not a 200 with a strict JSON object in time.

    Retry: once, when the provider closed a connection that was kept open; asking twice does nothing there.
    """

    def __init__(self, *, loopback_http: bool, trust: ssl.SSLContext | None = None, timeout_s: float = TIMEOUT_S) -> None:
        self._loopback_http = loopback_http
        self._trust = trust
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None

    async def get(self, url: str) -> Mapping[str, Parsed]:
        return await self._asked("GET", url)

    async def post(self, url: str, form: Mapping[str, str], authorization: str) -> Mapping[str, Parsed]:
        return await self._asked("POST", url, form=form, headers={"authorization": authorization})

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _asked(
        self, method: str, url: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Mapping[str, Parsed]:
        if not is_safe_url(url, loopback_http=self._loopback_http):
            raise NoAnswer("an address that is not https")
        try:
            try:
                return await self._once(method, url, form, headers)
            except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                return await self._once(method, url, form, headers)
        except (aiohttp.ClientError, OSError, JsonError) as error:  # a TimeoutError is an OSError
            raise NoAnswer(type(error).__name__) from None

    async def _once(
        self, method: str, url: str, form: Mapping[str, str] | None, headers: Mapping[str, str] | None
    ) -> Mapping[str, Parsed]:
        async with self._opened().request(method, url, data=form, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                raise NoAnswer(f"status {response.status}")
            return _object(await _bounded(response))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:  # made where the loop runs
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS_MOST, ssl=self._trust or nobody()),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"accept": "application/json", "accept-encoding": "identity"},
                auto_decompress=False,
            )
        return self._session


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in response.content.iter_chunked(16 * 1024):
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            raise NoAnswer("an answer that is too long")
        parts.append(part)
    return b"".join(parts)


def _object(body: bytes) -> Mapping[str, Parsed]:
    value = loads(body, max_bytes=MAX_ANSWER_BYTES)
    if not isinstance(value, dict):
        raise NoAnswer("not an object")
    return value
