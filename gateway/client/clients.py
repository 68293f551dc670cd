"""The two clients: the same methods, each sent by its own hands."""

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Generic, ParamSpec, Self, TypeVar, cast, overload

import httpx2

from gateway.client import requests
from gateway.client.dpop import DpopKey
from gateway.client.exchange import ANSWER_MOST, PATIENCE, LostAnswer, Patience, ServerAnswer, checked_url, exchange, sent_headers
from gateway.client.requests import ClientRequest

P = ParamSpec("P")
T = TypeVar("T")

_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


class _Method(Generic[P, T]):
    """A method of both clients, made of the function that makes its request: the one answers, the other is awaited."""

    def __init__(self, asks: Callable[P, ClientRequest[T]]) -> None:
        self.asks = asks

    @overload
    def __get__(self, client: None, kind: object) -> Self: ...
    @overload
    def __get__(self, client: "TellergateClient", kind: object) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: "AsyncTellergateClient", kind: object) -> Callable[P, Coroutine[Any, Any, T]]: ...
    def __get__(self, client: "TellergateClient | AsyncTellergateClient | None", kind: object) -> object:
        if client is None:
            return self

        @wraps(self.asks)
        def method(*args: P.args, **kwargs: P.kwargs) -> object:
            return client.send(self.asks(*args, **kwargs))

        return method


class _Methods:
    """What may be asked; `requests` says what each is for."""

    create_conversation = _Method(requests.create_conversation)
    add_customer_messages = _Method(requests.add_customer_messages)
    list_functions = _Method(requests.list_functions)
    execute_function_calls = _Method(requests.execute_function_calls)
    get_call = _Method(requests.get_call)
    list_confirmations = _Method(requests.list_confirmations)
    get_confirmation = _Method(requests.get_confirmation)
    confirm = _Method(requests.confirm)
    confirm_by_token = _Method(requests.confirm_by_token)
    decline = _Method(requests.decline)
    enrol_passkey = _Method(requests.enrol_passkey)
    revoke_passkey = _Method(requests.revoke_passkey)
    list_mandates = _Method(requests.list_mandates)
    propose_mandate = _Method(requests.propose_mandate)
    revoke_mandate = _Method(requests.revoke_mandate)
    list_activity = _Method(requests.list_activity)
    list_trail_accesses = _Method(requests.list_trail_accesses)
    get_customer_mandate = _Method(requests.get_customer_mandate)
    put_customer_mandate = _Method(requests.put_customer_mandate)
    end_customer_mandate = _Method(requests.end_customer_mandate)
    list_kill_switches = _Method(requests.list_kill_switches)
    engage_kill_switch = _Method(requests.engage_kill_switch)

    def __init__(self, base_url: str, patience: Patience, dpop: DpopKey | None) -> None:
        self._url, self._patience, self._dpop = checked_url(base_url), patience, dpop
        self._nonce: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    def _sent(self, request: ClientRequest[T], token: str) -> dict[str, Any]:
        """What httpx is asked to send."""
        content = None if request.body is None else json.dumps(request.body, allow_nan=False).encode()
        timeout = httpx2.Timeout(self._patience.timeout_s, read=self._patience.timeout_s + request.wait_s)
        url = self._url + request.path
        proof = None if self._dpop is None else self._dpop.proof(request.method, url, token=token, nonce=self._nonce)
        headers = sent_headers(token, request.body, proof)
        return {"method": request.method, "url": url, "content": content, "headers": headers, "timeout": timeout}

    def _received(self, request: ClientRequest[T], response: httpx2.Response) -> "_Received":
        self._nonce = response.headers.get("dpop-nonce", self._nonce)
        return _Received(response, time.monotonic() + self._patience.timeout_s + request.wait_s)


class TellergateClient(_Methods):
    """One customer, back end or program, by their token.

    `base_url`: https://HOST, or http on loopback. `token`: an access token, or what gives one each time it is called, for tokens that are
    renewed. `tls`: whom to believe, and the certificate of this client (RFC 8705); None: the system's authorities. `dpop`: the key to
    which the token is bound (RFC 9449); proofs are made for `base_url`, so that it must be the gateway's `public_url`. `proxy`: its URL;
    what the environment says of proxies is not taken. Safe in several threads. ValueError for a URL that would show the token.

    >>> with TellergateClient("http://127.0.0.1:8080", token=token) as client:
    ...     conversation = client.create_conversation().id

    Every method raises TellergateError or TellergateUnreachable, and ValueError for what cannot be asked.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token: str | Callable[[], str],
        tls: ssl.SSLContext | None = None,
        dpop: DpopKey | None = None,
        proxy: str | None = None,
        patience: Patience = PATIENCE,
    ) -> None:
        super().__init__(base_url, patience, dpop)
        self._token = token
        self._http = httpx2.Client(verify=tls or _system_tls(), trust_env=False, proxy=proxy, follow_redirects=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def send(self, request: ClientRequest[T]) -> T:
        """One of `requests`, by hand: what the methods do."""
        steps = exchange(request, self._patience)
        try:
            step = next(steps)
            while True:
                if step is None:
                    step = steps.send(self._once(request))
                else:
                    time.sleep(step)
                    step = next(steps)
        except StopIteration as ended:
            return cast(T, ended.value)

    def _once(self, request: ClientRequest[T]) -> ServerAnswer | LostAnswer:
        sent = self._sent(request, self._token() if callable(self._token) else self._token)
        try:
            with self._http.stream(**sent) as response:
                received = self._received(request, response)
                for part in response.iter_raw():
                    if not received.takes(part):
                        break
                return received.whole()
        except httpx2.RequestError as error:
            return _lost(error)


class AsyncTellergateClient(_Methods):
    """The same, awaited. `token`: a text, or what gives one when it is awaited. One event loop has it."""

    def __init__(
        self,
        base_url: str,
        *,
        token: str | Callable[[], Awaitable[str]],
        tls: ssl.SSLContext | None = None,
        dpop: DpopKey | None = None,
        proxy: str | None = None,
        patience: Patience = PATIENCE,
    ) -> None:
        super().__init__(base_url, patience, dpop)
        self._token = token
        self._http = httpx2.AsyncClient(verify=tls or _system_tls(), trust_env=False, proxy=proxy, follow_redirects=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def send(self, request: ClientRequest[T]) -> T:
        """One of `requests`, by hand: what the methods do."""
        steps = exchange(request, self._patience)
        try:
            step = next(steps)
            while True:
                if step is None:
                    step = steps.send(await self._once(request))
                else:
                    await asyncio.sleep(step)
                    step = next(steps)
        except StopIteration as ended:
            return cast(T, ended.value)

    async def _once(self, request: ClientRequest[T]) -> ServerAnswer | LostAnswer:
        sent = self._sent(request, await self._token() if callable(self._token) else self._token)
        try:
            async with self._http.stream(**sent) as response:
                received = self._received(request, response)
                async for part in response.aiter_raw():
                    if not received.takes(part):
                        break
                return received.whole()
        except httpx2.RequestError as error:
            return _lost(error)


class _Received:
    """An answer as it comes in: no larger than `ANSWER_MOST`, no slower than its time, as it is and not compressed."""

    def __init__(self, response: httpx2.Response, until: float) -> None:
        self._response, self._until, self._body, self._refused = response, until, bytearray(), ""
        if "content-encoding" in response.headers:
            self._refused = "the answer is encoded, which nobody asked for"

    def takes(self, part: bytes) -> bool:
        self._body += part
        if len(self._body) > ANSWER_MOST:
            self._refused = f"the answer has more than {ANSWER_MOST} bytes"
        elif time.monotonic() > self._until:
            self._refused = "the answer takes too long"
        return not self._refused

    def whole(self) -> ServerAnswer | LostAnswer:
        if self._refused:
            return LostAnswer(self._refused, was_sent=True)
        return ServerAnswer(self._response.status_code, self._response.headers, bytes(self._body))


def _lost(error: httpx2.RequestError) -> LostAnswer:
    """By its kind alone: the text of an error may hold what was sent."""
    return LostAnswer(type(error).__name__, was_sent=not isinstance(error, _NOT_SENT))


def _system_tls() -> ssl.SSLContext:
    """The system's authorities (`SSL_CERT_FILE` and `SSL_CERT_DIR` say whom else), and alternative names alone (RFC 9525, 2)."""
    tls = httpx2.create_ssl_context()
    tls.minimum_version = ssl.TLSVersion.TLSv1_2
    tls.hostname_checks_common_name = False
    return tls
