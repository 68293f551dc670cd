"""How an exchange goes: what is sent, what is asked again and when, what is refused of an answer. Sends nothing itself and never sleeps.

Asked again is only: what was certainly not sent; what the gateway itself says it turned away by its rates (429); and, of a request that is
the same when asked twice, what found it, or a proxy before it, out of service (502, 503, 504), or lost its answer. `Retry-After` is kept;
one beyond `wait_most_s` ends it at once.
"""

import json
import random
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar
from urllib.parse import urlsplit

from gateway.client.errors import TellergateError, TellergateUnreachable
from gateway.client.requests import ClientRequest

T = TypeVar("T")

ANSWER_MOST = 8 * 2**20
"""Bytes of an answer that are read."""

_FIRST_WAIT_S = 0.2
_MESSAGE_MOST = 1000
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
NOT_THE_GATEWAY = "not_the_gateway"


@dataclass(frozen=True, slots=True)
class ServerAnswer:
    """`headers` by their names in small letters."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class LostAnswer:
    """`cause` holds nothing of the request. `was_sent`: the request, or some of it, may have arrived."""

    cause: str
    was_sent: bool


@dataclass(frozen=True, slots=True)
class Patience:
    """`timeout_s` of one try, beside what the gateway waits on purpose; `tries` in all; `wait_most_s` between two."""

    timeout_s: float = 30.0
    tries: int = 3
    wait_most_s: float = 10.0
    jitter: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        if self.tries < 1 or self.timeout_s <= 0 or self.wait_most_s < 0:
            raise ValueError("tries: at least 1; timeout_s: more than 0; wait_most_s: at least 0")

    def before(self, tried: int) -> float:
        """Seconds before the next try: twice as long each time, half of it by chance."""
        return float(min(self.wait_most_s, _FIRST_WAIT_S * 2.0**tried) * (0.5 + self.jitter() / 2))


PATIENCE = Patience()

Steps = Generator[float | None, ServerAnswer | LostAnswer | None, T]
"""Yields None: send it, and send in what came of it. Yields a number: sleep so many seconds."""


def exchange(request: ClientRequest[T], patience: Patience) -> Steps[T]:
    """Ends with the answer, TellergateError or TellergateUnreachable."""
    for tried in range(patience.tries):
        is_last = tried + 1 == patience.tries
        came = yield None
        if _wants_nonce(came):
            came = yield None  # nothing happened, and the next proof has the nonce that came with the answer (RFC 9449, 9)
        if isinstance(came, ServerAnswer):
            if 200 <= came.status < 300:
                return _read(request, came)
            error = _error(came)
            wait_s = max(_retry_after_s(came), patience.before(tried))
            if is_last or wait_s > patience.wait_most_s or not _may_ask_again(request, error):
                raise error
        else:
            came = came or LostAnswer("nothing was sent", was_sent=False)
            if is_last or (came.was_sent and not request.is_same_again):
                raise TellergateUnreachable(came.cause, may_have_happened=came.was_sent)
            wait_s = patience.before(tried)
        yield wait_s
    raise AssertionError("the last try ends it")


def _wants_nonce(came: ServerAnswer | LostAnswer | None) -> bool:
    return isinstance(came, ServerAnswer) and came.status == 401 and _error(came).code == "use_dpop_nonce"


def _may_ask_again(request: ClientRequest[T], error: TellergateError) -> bool:
    """A proxy's 5xx may hide that the request went on; the gateway's own 429 came before anything began."""
    if error.status == 429:
        return request.is_same_again or error.code != NOT_THE_GATEWAY
    return error.status in (502, 503, 504) and request.is_same_again


def _read(request: ClientRequest[T], came: ServerAnswer) -> T:
    try:
        return request.read(json.loads(came.body))
    except (ValueError, RecursionError):  # also of JSON that is none; what stands in it is not repeated here
        message = "the answer is not what the gateway answers; is base_url right?"
    raise TellergateError(came.status, NOT_THE_GATEWAY, message, None, _request_id(came))


def _error(came: ServerAnswer) -> TellergateError:
    try:
        error = json.loads(came.body)["error"]
        code, message, param = error["code"], error["message"], error.get("param")
        if isinstance(code, str) and isinstance(message, str) and isinstance(param, str | None):
            return TellergateError(came.status, code, message[:_MESSAGE_MOST], param, _request_id(came))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        pass
    message = "the answer is no error of the gateway's" + ("; redirects are not followed" if 300 <= came.status < 400 else "")
    return TellergateError(came.status, NOT_THE_GATEWAY, message, None, _request_id(came))


def _request_id(came: ServerAnswer) -> str | None:
    return came.headers.get("x-request-id", "")[:64] or None


def _retry_after_s(came: ServerAnswer) -> float:
    """Whole seconds (RFC 9110, 10.2.3); a date, and what is none of both, leaves it to the back-off."""
    said = came.headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() else 0.0


def sent_headers(token: str, body: Mapping[str, object] | None, proof: str | None = None) -> dict[str, str]:
    """`proof`: of a token that is bound to a key. ValueError for a token that could not stand in a header: a library that refuses it would
    show it."""
    if not isinstance(token, str) or _TOKEN.fullmatch(token) is None:
        raise ValueError("the token is none (RFC 6750, 2.1); it is not shown here")
    typed = {} if body is None else {"content-type": "application/json"}
    shown = {"authorization": f"Bearer {token}"} if proof is None else {"authorization": f"DPoP {token}", "dpop": proof}
    return {**shown, "accept": "application/json", "accept-encoding": "identity", **typed}


def checked_url(base_url: str) -> str:
    """Without a slash at its end. ValueError: tokens go over https, or to this very machine."""
    parts = urlsplit(base_url)
    if parts.username is not None or parts.query or parts.fragment or not parts.hostname or not base_url.isascii():
        raise ValueError("base_url: must be https://HOST, with a port or a path at most")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError("base_url: must be https; http is for loopback alone, since whoever is on the way reads the token")
    return base_url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
