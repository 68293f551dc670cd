"""The session of a person in a browser: a cookie of this host alone, found in the database by its hash, and held against forged requests.

A cookie's value is 32 random bytes. What must come with a change is made of it: a page elsewhere knows neither.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.staff import StaffMember
from gateway.identity.compact import Malformed, decode, encode
from gateway.store.staff_sessions import SqlStaffSessions, StaffSession

CSRF_HEADER = "x-csrf-token"
_BYTES = 32


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session and the token that its changes carry."""

    session: StaffSession
    csrf: str

    @property
    def member(self) -> StaffMember:
        return self.session.member


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffSessions:
    """`origin`: ours, as browsers spell it. `longest`: how long a session lasts."""

    store: SqlStaffSessions
    origin: str
    longest: timedelta
    clock: Callable[[], datetime]

    @property
    def is_secure(self) -> bool:
        return self.origin.startswith("https://")

    def cookie(self, name: str) -> str:
        """A `__Host-` cookie belongs to this host alone; without TLS (development on loopback) there is none."""
        return f"__Host-{name}" if self.is_secure else name

    async def begin(self, request: Request, response: Response, member: StaffMember) -> None:
        """This person signed in in this browser: what it held before ends. Unavailable."""
        value, at = secrets.token_bytes(_BYTES), self.clock()
        session = StaffSession(_id(value), member, at + self.longest)
        before = self._value(request)
        await self.store.begin(session, at, None if before is None else _id(before))
        self._set(response, "session", encode(value), int(self.longest.total_seconds()), samesite="strict")

    async def of(self, request: Request) -> SignedIn:
        """Who is signed in. RequestFault where nobody is. Unavailable."""
        value = self._value(request)
        session = None if value is None else await self.store.find(_id(value), self.clock())
        if value is None or session is None:
            raise RequestFault(Fault.MISSING_TOKEN, "sign in first: nobody is signed in here, or the session is over")
        return SignedIn(session, _csrf(value))

    async def end(self, response: Response, signed_in: SignedIn, *, everywhere: bool) -> int:
        """How many sessions ended."""
        ended = await self.store.end(signed_in.session.id, everywhere=everywhere)
        self.forget(response, "session")
        return ended

    def require_ours(self, request: Request, signed_in: SignedIn, token: str | None) -> None:
        """RequestFault FOREIGN_REQUEST unless this change comes from a page of ours and carries the session's token."""
        self.require_our_origin(request)
        if token is None or not hmac.compare_digest(token.encode(), signed_in.csrf.encode()):
            raise RequestFault(Fault.FOREIGN_REQUEST, f"send the session's token as `{CSRF_HEADER}`; GET /v1/session tells it")

    def require_our_origin(self, request: Request) -> None:
        """RequestFault FOREIGN_REQUEST for a request that another origin's page made. A browser says the origin of every POST."""
        site = request.headers.get("sec-fetch-site", "same-origin")
        if request.headers.get("origin") != self.origin or site != "same-origin":
            raise RequestFault(
                Fault.FOREIGN_REQUEST, "changes are taken from this listener's own pages alone, and say its `Origin`"
            )

    def keep(self, response: Response, name: str, value: str, age_s: int) -> None:
        """A short-lived cookie that comes back with a navigation from the provider."""
        self._set(response, name, value, age_s, samesite="lax")

    def keep_strictly(self, response: Response, name: str, value: str, age_s: int) -> None:
        """A cookie that comes with requests of our own pages alone."""
        self._set(response, name, value, age_s, samesite="strict")

    def forget(self, response: Response, name: str) -> None:
        self._set(response, name, "", 0, samesite="strict")

    def _set(self, response: Response, name: str, value: str, age_s: int, *, samesite: str) -> None:
        secure = "; Secure" if self.is_secure else ""
        cookie = f"{self.cookie(name)}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite={samesite.capitalize()}{secure}"
        response.headers.append("set-cookie", cookie)

    def _value(self, request: Request) -> bytes | None:
        try:
            value = decode(request.cookies.get(self.cookie("session"), ""))
        except Malformed:
            return None
        return value if len(value) == _BYTES else None


def _id(value: bytes) -> bytes:
    return sha256(value).digest()


def _csrf(value: bytes) -> str:
    return encode(hmac.digest(value, b"tellergate/csrf/v1", "sha256"))
