"""What customers' assistants may do, JSON under `/v1`: for the bank's own system alone, with a token for this purpose and no other."""

import json
from datetime import datetime
from functools import partial

from fastapi import FastAPI, Request, Response

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.mandate import Limits, Mandate, time_of
from gateway.domain.principal import SCOPE_MANDATES, Principal, require_service
from gateway.doors import schemas
from gateway.doors.bodies import body_as, json_answer
from gateway.doors.rest import Door, answers
from gateway.oversight.granted_mandates import GrantedMandates

_PATH = "/v1/customers/{customer}/mandate"


def mount(app: FastAPI, door: Door, granted: GrantedMandates) -> None:
    """Put these routes into the application."""
    answered = answers(schemas.CustomerMandateAnswer)
    conflict: dict[int | str, dict[str, object]] = {409: {"model": schemas.ErrorBody, "description": "Nothing was changed"}}

    @app.get(_PATH, responses=answered)
    async def get_customer_mandate(request: Request, customer: schemas.Name) -> Response:
        """Read what a customer's assistants may do.

        Whether or not it is in force.
        """
        return await door.answer(request, partial(_get, granted), SCOPE_MANDATES)

    @app.put(_PATH, responses={**answered, **conflict}, openapi_extra=schemas.body_of(schemas.CustomerMandate))
    async def put_customer_mandate(request: Request, customer: schemas.Name) -> Response:
        """Say what a customer's assistants may do.

        In the place of what was said before; it counts from the customer's next call on. The same once more changes nothing.
        """
        return await door.answer(request, partial(_put, granted), SCOPE_MANDATES)

    @app.delete(_PATH, responses=answered)
    async def end_customer_mandate(request: Request, customer: schemas.Name) -> Response:
        """End a customer's mandate, at once.

        Their assistants may do nothing more but what needs no mandate. It stays on record, and a later version may follow.
        """
        return await door.answer(request, partial(_end, granted), SCOPE_MANDATES, protects=True)


async def _get(granted: GrantedMandates, door: Door, request: Request, principal: Principal) -> Response:
    _the_banks_system(principal)
    return _answered(await granted.of(request.path_params["customer"]), door.clock())


async def _put(granted: GrantedMandates, door: Door, request: Request, principal: Principal) -> Response:
    _the_banks_system(principal)
    wanted = await body_as(schemas.CustomerMandate, request)
    mandate = Mandate(
        customer=request.path_params["customer"],
        version=wanted.version,
        functions=_names(wanted.functions, "functions"),
        accounts=_names(wanted.accounts, "accounts"),
        limits={currency: Limits(**limits.model_dump()) for currency, limits in wanted.limits.items()},
        starts=_time(wanted.starts, "starts"),
        ends=_time(wanted.ends, "ends"),
        restrictions=_names(wanted.restrictions, "restrictions"),
    )
    await granted.put(mandate, principal.client)
    return _answered(mandate, door.clock())


async def _end(granted: GrantedMandates, door: Door, request: Request, principal: Principal) -> Response:
    _the_banks_system(principal)
    return _answered(await granted.end(request.path_params["customer"], principal.client), door.clock())


def _the_banks_system(principal: Principal) -> None:
    """Whoever grants decides what every assistant may do."""
    require_service(principal, SCOPE_MANDATES)


def _names(texts: list[str], field: str) -> tuple[str, ...]:
    if len(set(texts)) != len(texts) or not all(text.isprintable() for text in texts):
        raise RequestFault(Fault.INVALID_REQUEST, f"{field}: must be printable texts, each once", param=field)
    return tuple(sorted(texts))


def _time(text: str, field: str) -> datetime:
    time = time_of(text)
    if time is None:
        message = f"{field}: must be a time with its offset, such as 2026-01-01T00:00:00+00:00"
        raise RequestFault(Fault.INVALID_REQUEST, message, param=field)
    return time


def _answered(mandate: Mandate | None, at: datetime) -> Response:
    if mandate is None:
        raise RequestFault(Fault.NOT_FOUND, "nothing was granted to this customer's assistants", param="customer")
    terms = json.loads(mandate.canonical())
    return json_answer({**terms, "restrictions": sorted(mandate.restrictions), "state": mandate.state(at)})
