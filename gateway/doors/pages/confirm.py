"""The customer's confirm page, an application of its own for an origin of its own (extra `confirm`): sign in, see, confirm or decline.

It renders the gateway's intent and nothing that a model could write elsewhere; no script but its own file, no other resource, no frame.
Every word of the customer is an assertion of their passkey, made on this page; declining needs the session alone.
"""

from collections.abc import Awaitable, Callable, Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.confirmations.relying_party import state_of
from gateway.domain.errors import Fault, RequestFault, Unavailable
from gateway.domain.principal import SCOPE_CONFIRM, Principal
from gateway.domain.stages import Recorded
from gateway.domain.states import CallStatus, ProposalState
from gateway.domain.strict_json import Parsed
from gateway.doors.bodies import body, json_answer
from gateway.doors.faults import fault_response
from gateway.doors.pages.confirm_view import view
from gateway.doors.pages.own import OwnPages, own_routes
from gateway.doors.pages.shell import (
    TYPES,
    Handler,
    PageShell,
    assertion_of,
    asset,
    bound,
    html,
    same_origin,
    sign_in,
    signed_in,
    with_headers,
)
from gateway.doors.rest import Door
from gateway.identity.compact import encode


def application(page: PageShell, own: OwnPages | None = None, further: Sequence[Route] = ()) -> ASGIApp:
    """The page as an ASGI application of its own; with the customer's own pages beside it, where `own` is given.

    `further`: development mode's page that creates passkeys.
    """
    routes = [
        Route("/confirm/{confirmation_id}", bound(page, _show), methods=["GET"]),
        Route("/confirm/{confirmation_id}/sign-in", bound(page, _sign_in), methods=["POST"]),
        Route("/confirm/{confirmation_id}/confirm", bound(page, _spoken(_confirm)), methods=["POST"]),
        Route("/confirm/{confirmation_id}/decline", bound(page, _spoken(_decline)), methods=["POST"]),
        *(() if own is None else own_routes(page, own)),
        *further,
        *(Route(f"/{name}", bound(page, asset), methods=["GET"]) for name in TYPES),
    ]
    return with_headers(
        Starlette(routes=routes, exception_handlers={404: _nothing_here}), is_secure=page.is_secure, creates_passkeys=bool(further)
    )


_Word = Callable[[PageShell, Principal, str, Parsed], Awaitable[dict[str, object]]]


async def _show(page: PageShell, request: Request) -> Response:
    """The sign-in, or what waits: with the session of exactly this confirmation."""
    confirmation = request.path_params["confirmation_id"]
    principal, known = page.principal(request, confirmation), page.known(request.url.path)
    if principal is None:
        return page.sign_in_page("sign_in.html", request.url.path, confirmation)

    async def shown(_door: Door, _request: Request, who: Principal) -> Response:
        try:
            challenge = await page.relying_party.show(who.customer, confirmation)
            state, older = state_of(challenge.proposal, page.clock()), await _older(page, who.customer, confirmation)
        except RequestFault:
            return html("nothing.html", known, status=404)
        except Unavailable:
            return html("later.html", known, status=503)
        can = state is ProposalState.OPEN or (state is ProposalState.CONFIRMED and who.customer != challenge.proposal.customer)
        return html(
            "intent.html",
            {
                **known,
                "credentials": " ".join(challenge.credentials),
                "challenge": encode(challenge.challenge) if can else "",
                "state": ProposalState.OPEN if can else state,
                "intent": view(challenge.proposal.content),
                "approves": who.customer != challenge.proposal.customer,
                "needs_second": challenge.proposal.level > 3,
                "older": older,
            },
        )

    return await page.door.answer_as(request, signed_in(principal), shown, SCOPE_CONFIRM)


async def _older(page: PageShell, customer: str, confirmation: str) -> str:
    """The id of what waits before this, if something does: the page links to it."""
    waiting = await page.relying_party.confirmations.waiting(customer, page.clock())
    first = next((proposal for proposal in waiting if proposal.moves_money and proposal.customer == customer), None)
    return "" if first is None or first.id == confirmation else first.id


async def _sign_in(page: PageShell, request: Request) -> Response:
    return await sign_in(page, request, request.path_params["confirmation_id"])


def _spoken(word: _Word) -> Handler:
    """A handler of what only who signed in may say."""

    async def handler(page: PageShell, request: Request) -> Response:
        async def heard(_door: Door, _request: Request, who: Principal) -> Response:
            same_origin(page, request)
            return json_answer(await word(page, who, request.path_params["confirmation_id"], await body(request)))

        return await page.door.answer_as(
            request, signed_in(page.principal(request, request.path_params["confirmation_id"])), heard, SCOPE_CONFIRM
        )

    return handler


async def _confirm(page: PageShell, who: Principal, confirmation: str, sent: Parsed) -> dict[str, object]:
    results = await page.relying_party.by_passkey(who.customer, confirmation, assertion_of(sent))
    if not results:
        proposal = await page.relying_party.confirmations.find(who.customer, confirmation)
        if proposal is not None and "mandate" in proposal.content:
            return {"outcome": "granted"}
    return {"outcome": outcome(results)}


async def _decline(page: PageShell, who: Principal, confirmation: str, sent: Parsed) -> dict[str, object]:
    if sent != {"decline": True}:
        raise RequestFault(Fault.INVALID_REQUEST, 'the body: must be {"decline": true}')
    await page.relying_party.decline(who.customer, confirmation)
    return {"outcome": "declined"}


def outcome(results: Sequence[Recorded]) -> str:
    """What the customer is told came of it, in one word; the page holds the sentences."""
    states = {result.status for result in results}
    if not states:
        return "approval"
    if CallStatus.IN_DOUBT in states:
        return "in_doubt"
    return {frozenset({CallStatus.DONE}): "done"}.get(frozenset(states), "partly" if CallStatus.DONE in states else "refused")


async def _nothing_here(request: Request, _error: Exception) -> Response:
    message = "only the confirmation pages are served on this host; the API has another address"
    if "text/html" in request.headers.get("accept", ""):
        return html("nothing.html", {"rp_id": "", "path": "", "credentials": "", "challenge": ""}, status=404)
    return fault_response(RequestFault(Fault.NOT_FOUND, message))
