"""The customer's confirm page, an application of its own for an origin of its own (extra `confirm`): sign in, see, confirm or decline.

It renders the gateway's intent and nothing that a model could write elsewhere; no script but its own file, no other resource, no frame.
Every word of the customer is an assertion of their passkey, made on this page; declining needs the session alone.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.assertion import NotConfirmed, Reason, read_assertion
from gateway.doors.bodies import body, json_answer
from gateway.doors.confirm_session import Seals, signed_challenge
from gateway.doors.confirm_view import view
from gateway.doors.rest import Door, fault_response
from gateway.errors import Fault, RequestFault, Unavailable
from gateway.identity import SCOPE_CONFIRM, Principal
from gateway.identity.compact import encode
from gateway.relying_party import RelyingParty, state_of
from gateway.stages import Recorded
from gateway.strict_json import Parsed

CLIENT = "confirm-page"
"""The client in the records of what was done here."""

_FOLDER = files("gateway") / "console" / "confirm"
_TYPES = {"confirm.css": "text/css; charset=utf-8", "confirm.js": "text/javascript; charset=utf-8"}

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "publickey-credentials-get=(self), publickey-credentials-create=(), camera=(), microphone=(), "
    "geolocation=(), payment=(), usb=(), clipboard-read=(), display-capture=(), fullscreen=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""Of every answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the page needs. `origin` is where browsers see it; `door` records faults and says them, as it does for `/v1`."""

    origin: str
    relying_party: RelyingParty
    seals: Seals
    door: Door
    clock: Callable[[], datetime]

    @property
    def is_secure(self) -> bool:
        return self.origin.startswith("https://")

    @property
    def cookie(self) -> str:
        """A `__Host-` cookie belongs to this host alone; without TLS (development on loopback) there is none."""
        return "__Host-confirm" if self.is_secure else "confirm"

    def principal(self, request: Request) -> Principal | None:
        """Who signed in for this confirmation, if somebody did."""
        confirmation = request.path_params["confirmation_id"]
        session = self.seals.session(request.cookies.get(self.cookie), confirmation, self.clock())
        return None if session is None else _principal(session.customer, session.expires_s)


def application(page: Page) -> ASGIApp:
    """The page as an ASGI application of its own."""
    routes = [
        Route("/confirm/{confirmation_id}", _bound(page, _show), methods=["GET"]),
        Route("/confirm/{confirmation_id}/sign-in", _bound(page, _sign_in), methods=["POST"]),
        Route("/confirm/{confirmation_id}/confirm", _bound(page, _spoken(_confirm)), methods=["POST"]),
        Route("/confirm/{confirmation_id}/decline", _bound(page, _spoken(_decline)), methods=["POST"]),
        *(Route(f"/{name}", _bound(page, _asset), methods=["GET"]) for name in _TYPES),
    ]
    return _with_headers(Starlette(routes=routes, exception_handlers={404: _nothing_here}), is_secure=page.is_secure)


_Handler = Callable[[Page, Request], Awaitable[Response]]
_Word = Callable[[Page, Principal, str, Parsed], Awaitable[dict[str, object]]]


def _bound(page: Page, handler: _Handler) -> Callable[[Request], Awaitable[Response]]:
    async def bound(request: Request) -> Response:
        return await handler(page, request)

    return bound


async def _show(page: Page, request: Request) -> Response:
    """The sign-in, or what waits: with the session of exactly this confirmation."""
    principal = page.principal(request)
    confirmation = request.path_params["confirmation_id"]
    verifier = page.relying_party.verifier
    known = {
        "rp_id": "" if verifier is None else verifier.rules.relying_party,
        "path": request.url.path,
        "credentials": "",
        "challenge": "",
    }
    if principal is None:
        challenge = encode(page.seals.challenge(confirmation, page.clock()))
        return _html("sign_in.html", {**known, "challenge": challenge})

    async def shown(_door: Door, _request: Request, who: Principal) -> Response:
        try:
            found = await page.relying_party.show(who.customer, confirmation)
            state, older = state_of(found.proposal, page.clock()), await _older(page, who.customer, confirmation)
        except RequestFault:
            return _html("nothing.html", known, status=404)
        except Unavailable:
            return _html("later.html", known, status=503)
        can = state == "open" or (state == "confirmed" and who.customer != found.proposal.customer)
        return _html(
            "intent.html",
            {
                **known,
                "credentials": " ".join(found.credentials),
                "challenge": encode(found.challenge) if can else "",
                "state": "open" if can else state,
                "intent": view(found.proposal.content),
                "approves": who.customer != found.proposal.customer,
                "needs_second": found.proposal.level > 3,
                "older": older,
            },
        )

    return await page.door.answer_as(request, _signed_in(principal), shown, SCOPE_CONFIRM)


async def _older(page: Page, customer: str, confirmation: str) -> str:
    """The id of what waits before this, if something does: the page links to it."""
    waiting = await page.relying_party.confirmations.waiting(customer, page.clock())
    first = next((each for each in waiting if each.moves_money and each.customer == customer), None)
    return "" if first is None or first.id == confirmation else first.id


async def _sign_in(page: Page, request: Request) -> Response:
    confirmation = request.path_params["confirmation_id"]

    async def signed_in() -> Principal:
        _same_origin(page, request)
        assertion = _assertion(await body(request))
        challenge = signed_challenge(read_assertion(assertion).client_data)
        if not page.seals.is_ours(challenge, confirmation, page.clock()):
            raise NotConfirmed(Reason.CHALLENGE)
        customer = await page.relying_party.sign_in(assertion, challenge)
        if not await page.seals.use(challenge):
            raise NotConfirmed(Reason.CHALLENGE)
        return _principal(customer, 0)

    async def begun(_door: Door, _request: Request, who: Principal) -> Response:
        response = json_answer({"signed_in": True})
        value = page.seals.cookie(who.customer, confirmation, page.clock())
        response.set_cookie(page.cookie, value, httponly=True, secure=page.is_secure, samesite="strict", path="/")
        return response

    return await page.door.answer_as(request, signed_in(), begun, SCOPE_CONFIRM)


def _spoken(word: _Word) -> _Handler:
    """A handler of what only who signed in may say."""

    async def handler(page: Page, request: Request) -> Response:
        async def heard(_door: Door, _request: Request, who: Principal) -> Response:
            _same_origin(page, request)
            return json_answer(await word(page, who, request.path_params["confirmation_id"], await body(request)))

        return await page.door.answer_as(request, _signed_in(page.principal(request)), heard, SCOPE_CONFIRM)

    return handler


async def _confirm(page: Page, who: Principal, confirmation: str, said: Parsed) -> dict[str, object]:
    results = await page.relying_party.by_passkey(who.customer, confirmation, _assertion(said))
    return {"outcome": outcome(results)}


async def _decline(page: Page, who: Principal, confirmation: str, said: Parsed) -> dict[str, object]:
    if said != {"decline": True}:
        raise RequestFault(Fault.INVALID_REQUEST, "the body is a decline")
    await page.relying_party.decline(who.customer, confirmation)
    return {"outcome": "declined"}


def outcome(results: Sequence[Recorded]) -> str:
    """What the customer is told came of it, in one word; the page holds the sentences."""
    states = {each.status for each in results}
    if not states:
        return "approval"
    if "in_doubt" in states:
        return "in_doubt"
    return {frozenset({"done"}): "done"}.get(frozenset(states), "partly" if "done" in states else "refused")


async def _signed_in(principal: Principal | None) -> Principal:
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


def _same_origin(page: Page, request: Request) -> None:
    """Only our own page's script speaks here (besides SameSite). A browser always says the origin of a POST by `fetch`."""
    is_ours = request.headers.get("origin") == page.origin and request.headers.get("sec-fetch-site", "same-origin") == "same-origin"
    if not is_ours or request.headers.get("content-type") != "application/json":
        raise RequestFault(Fault.INVALID_REQUEST, "this comes from another page")


def _assertion(said: Parsed) -> Parsed:
    if not isinstance(said, dict) or set(said) != {"assertion"}:
        raise NotConfirmed(Reason.MALFORMED)
    return said["assertion"]


async def _asset(_page: Page, request: Request) -> Response:
    name = request.url.path.removeprefix("/")
    return Response((_FOLDER / name).read_bytes(), headers={"content-type": _TYPES[name]})


async def _nothing_here(request: Request, _error: Exception) -> Response:
    message = "only the confirm page is served on this host; the API has another address"
    if "text/html" in request.headers.get("accept", ""):
        return _html("nothing.html", {"rp_id": "", "path": "", "credentials": "", "challenge": ""}, status=404)
    return fault_response(RequestFault(Fault.NOT_FOUND, message))


def _template(name: str) -> str:
    return (_FOLDER / name).read_text()


_TEMPLATES = Environment(
    loader=FunctionLoader(_template), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def _html(name: str, known: Mapping[str, object], *, status: int = 200) -> Response:
    return Response(_TEMPLATES.get_template(name).render(known), status_code=status, media_type="text/html")


def _with_headers(app: ASGIApp, *, is_secure: bool) -> ASGIApp:
    added = {**HEADERS, **({"strict-transport-security": "max-age=31536000"} if is_secure else {})}

    async def headed(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(added)
            await send(message)

        await app(scope, receive, sending)

    return headed
