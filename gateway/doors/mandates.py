"""Standing mandates and the activity list, JSON under `/v1`, with the customer's own token."""

from dataclasses import dataclass
from functools import partial

from fastapi import FastAPI, Request, Response

from adapters.core import Money
from audit.log import Log
from gateway.confirmations.standing_mandates import MandateTerms, StandingMandates
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.mandate import StandingMandate
from gateway.domain.ports import Book
from gateway.domain.principal import SCOPE_CONFIRM, Principal, require_own
from gateway.doors import schemas
from gateway.doors.bodies import body_as, json_answer
from gateway.doors.rest import Door, answers
from gateway.oversight import activity
from gateway.oversight.activity import Activity


@dataclass(frozen=True, slots=True)
class MandateDependencies:
    """What these routes need beside the door."""

    standing_mandates: StandingMandates
    log: Log
    book: Book


def mount(app: FastAPI, door: Door, parts: MandateDependencies) -> None:
    """Put these routes into the application."""

    @app.get("/v1/mandates", responses=answers(schemas.MandateList))
    async def list_mandates(request: Request) -> Response:
        """List the customer's standing mandates.

        Those that were not revoked.
        """
        return await door.answer(request, partial(_list, parts), SCOPE_CONFIRM)

    @app.post("/v1/mandates", responses=answers(schemas.MandateProposed), openapi_extra=schemas.body_of(schemas.NewMandate))
    async def propose_mandate(request: Request) -> Response:
        """Propose a standing mandate.

        It is in force once the customer has confirmed it.
        """
        return await door.answer(request, partial(_propose, parts), SCOPE_CONFIRM)

    @app.delete("/v1/mandates/{mandate_id}", responses=answers(schemas.MandateRevoked))
    async def revoke_mandate(request: Request, mandate_id: schemas.MandateId) -> Response:
        """Revoke a standing mandate, at once."""
        return await door.answer(request, partial(_revoke, parts), SCOPE_CONFIRM, protects=True)

    @app.get("/v1/activity", responses=answers(schemas.ActivityPage))
    async def list_activity(request: Request, cursor: str | None = None) -> Response:
        """List what the customer's assistants did.

        What they asked for, what was refused and what was done, the oldest first.
        """
        return await door.answer(request, partial(_activity, parts), SCOPE_CONFIRM)

    @app.get("/v1/activity/looks", responses=answers(schemas.ActivityPage))
    async def list_trail_accesses(request: Request, cursor: str | None = None) -> Response:
        """List who looked into the customer's records.

        Each access to the audit trail of this customer, and what it was for.
        """
        return await door.answer(request, partial(_looks, parts), SCOPE_CONFIRM)


async def _list(parts: MandateDependencies, _door: Door, _request: Request, principal: Principal) -> Response:
    _own(principal)
    return json_answer({"data": [_shown(item) for item in await parts.standing_mandates.standing(principal.customer)]})


async def _propose(parts: MandateDependencies, _door: Door, request: Request, principal: Principal) -> Response:
    _own(principal)
    wanted = await body_as(schemas.NewMandate, request)
    terms = MandateTerms(
        payees=None if wanted.payees is None else tuple(wanted.payees),
        payment=_money(wanted.per_payment, "per_payment"),
        day=_money(wanted.per_day, "per_day"),
        day_count=wanted.payments_per_day,
        days=wanted.days,
        agent=wanted.agent,
        account=wanted.account,
    )
    proposal = await parts.standing_mandates.propose(principal, terms)
    return json_answer({"confirmation_id": proposal.id, "expires": proposal.expires.isoformat()})


async def _revoke(parts: MandateDependencies, _door: Door, request: Request, principal: Principal) -> Response:
    _own(principal)
    mandate = request.path_params["mandate_id"]
    if not await parts.standing_mandates.revoke(principal.customer, mandate):
        raise RequestFault(Fault.NOT_FOUND, "no such mandate", param="mandate_id")
    return json_answer({"id": mandate, "revoked": True})


async def _activity(parts: MandateDependencies, _door: Door, request: Request, principal: Principal) -> Response:
    _own(principal)
    return _page(await activity.of_customer(parts.log, parts.book, principal.customer, request.query_params.get("cursor")))


async def _looks(parts: MandateDependencies, _door: Door, request: Request, principal: Principal) -> Response:
    _own(principal)
    return _page(await activity.looks(parts.log, principal.customer, request.query_params.get("cursor")))


def _page(page: Activity) -> Response:
    return json_answer({"data": page.items, "next_cursor": page.next_cursor})


def _own(principal: Principal) -> None:
    """An agent that held the scope would grant itself what it may do unwanted."""
    require_own(principal, "mandates and activity need the customer's own token, without an agent")


def _money(amount: schemas.MoneyAmount, name: str) -> Money:
    try:
        return Money.parse(amount.value, amount.currency)
    except ValueError:
        message = f"{name}: value must be a positive decimal string with no more digits than its ISO 4217 currency has"
        raise RequestFault(Fault.INVALID_REQUEST, message, param=name) from None


def _shown(mandate: StandingMandate) -> dict[str, object]:
    return {
        "id": mandate.id,
        "agent": mandate.agent,
        "account": mandate.account,
        "payees": None if mandate.payees is None else sorted(mandate.payees),
        "per_payment": _amount(mandate.payment_minor, mandate.currency),
        "per_day": _amount(mandate.day_minor, mandate.currency),
        "payments_per_day": mandate.day_count,
        "from": mandate.starts.isoformat(),
        "until": mandate.ends.isoformat(),
    }


def _amount(minor: int, currency: str) -> dict[str, str]:
    money = Money(minor, currency)
    return {"value": money.value, "currency": money.currency}
