"""What every page on the confirm page's origin shares: headers, templates, the sign-in by passkey and the session after it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.confirmations.assertion import NotConfirmed, NotConfirmedReason, read_assertion
from gateway.confirmations.relying_party import RelyingParty
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.principal import SCOPE_CONFIRM, Principal
from gateway.domain.strict_json import Parsed
from gateway.doors.bodies import body, json_answer
from gateway.doors.pages.headers import page_headers
from gateway.doors.pages.session import SessionSeal, signed_challenge
from gateway.doors.rest import Door
from gateway.identity.compact import encode

CLIENT = "confirm-page"
"""The client in the records of what was done here."""

_FOLDER = files("gateway") / "console" / "confirm"
TYPES = {
    "confirm.css": "text/css; charset=utf-8",
    "confirm.js": "text/javascript; charset=utf-8",
    "enrol.js": "text/javascript; charset=utf-8",
    "own.js": "text/javascript; charset=utf-8",
}
"""The files that are served as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageShell:
    """What the page needs. `origin` is where browsers see it; `door` records faults and says them, as it does for `/v1`."""

    origin: str
    relying_party: RelyingParty
    seals: SessionSeal
    door: Door
    clock: Callable[[], datetime]

    @property
    def is_secure(self) -> bool:
        return self.origin.startswith("https://")

    def cookie(self, confirmation: str | None) -> str:
        """A `__Host-` cookie belongs to this host alone; without TLS (development on loopback) there is none."""
        name = "own" if confirmation is None else "confirm"
        return f"__Host-{name}" if self.is_secure else name

    def principal(self, request: Request, confirmation: str | None) -> Principal | None:
        """Who signed in for this confirmation (None: for their own pages), if somebody did."""
        session = self.seals.session(request.cookies.get(self.cookie(confirmation)), confirmation, self.clock())
        return None if session is None else _principal(session.customer, session.expires_s)

    def known(self, path: str) -> dict[str, object]:
        """What the frame of every page needs. The script posts below `path`."""
        verifier = self.relying_party.verifier
        return {"rp_id": "" if verifier is None else verifier.rules.relying_party, "path": path, "credentials": "", "challenge": ""}

    def sign_in_page(self, name: str, path: str, confirmation: str | None) -> Response:
        """The page that asks for a passkey, with a new challenge."""
        return html(name, {**self.known(path), "challenge": encode(self.seals.challenge(confirmation, self.clock()))})


Handler = Callable[[PageShell, Request], Awaitable[Response]]


def bound(page: PageShell, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answered(request: Request) -> Response:
        return await handler(page, request)

    return answered


async def sign_in(page: PageShell, request: Request, confirmation: str | None) -> Response:
    """Whoever's passkey signed our challenge for this gets a session for this."""

    async def who_signed() -> Principal:
        same_origin(page, request)
        assertion = assertion_of(await body(request))
        challenge = signed_challenge(read_assertion(assertion).client_data)
        if not page.seals.is_ours(challenge, confirmation, page.clock()):
            raise NotConfirmed(NotConfirmedReason.CHALLENGE)
        customer = await page.relying_party.sign_in(assertion, challenge)
        if not await page.seals.use(challenge):
            raise NotConfirmed(NotConfirmedReason.CHALLENGE)
        return _principal(customer, 0)

    async def begun(_door: Door, _request: Request, who: Principal) -> Response:
        response = json_answer({"signed_in": True})
        value = page.seals.cookie(who.customer, confirmation, page.clock())
        response.set_cookie(page.cookie(confirmation), value, httponly=True, secure=page.is_secure, samesite="strict", path="/")
        return response

    return await page.door.answer_as(request, who_signed(), begun, SCOPE_CONFIRM)


async def signed_in(principal: Principal | None) -> Principal:
    if principal is None:
        raise RequestFault(Fault.INVALID_TOKEN, "sign in again: the session of this page is over")
    return principal


def _principal(customer: str, expires_s: int) -> Principal:
    """The customer on this page, for the records."""
    return Principal(
        customer=customer,
        agent=None,
        client=CLIENT,
        scopes=frozenset({SCOPE_CONFIRM}),
        strong=True,
        authenticated_at_s=0,
        expires_at_s=expires_s,
        channel="confirm",
    )


def same_origin(page: PageShell, request: Request) -> None:
    """Only our own page's script speaks here (besides SameSite). A browser always says the origin of a POST by `fetch`."""
    is_ours = request.headers.get("origin") == page.origin and request.headers.get("sec-fetch-site", "same-origin") == "same-origin"
    if not is_ours or request.headers.get("content-type") != "application/json":
        raise RequestFault(Fault.INVALID_REQUEST, "the request must come from this page's own script, as application/json")


def assertion_of(sent: Parsed) -> Parsed:
    if not isinstance(sent, dict) or set(sent) != {"assertion"}:
        raise NotConfirmed(NotConfirmedReason.MALFORMED)
    return sent["assertion"]


async def asset(_page: PageShell, request: Request) -> Response:
    name = request.url.path.removeprefix("/")
    return Response((_FOLDER / name).read_bytes(), headers={"content-type": TYPES[name]})


def _template(name: str) -> str:
    return (_FOLDER / name).read_text()


_TEMPLATES = Environment(
    loader=FunctionLoader(_template), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def html(name: str, known: Mapping[str, object], *, status: int = 200) -> Response:
    later = {"retry-after": "60"} if status == 503 else None
    return Response(_TEMPLATES.get_template(name).render(known), status_code=status, media_type="text/html", headers=later)


def with_headers(app: ASGIApp, *, is_secure: bool, creates_passkeys: bool) -> ASGIApp:
    """The application with the headers of every answer."""
    headers = page_headers("'self'", creates_passkeys=creates_passkeys)
    added = {**headers, **({"strict-transport-security": "max-age=31536000"} if is_secure else {})}

    async def headed(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(added)
            await send(message)

        await app(scope, receive, sending)

    return headed
