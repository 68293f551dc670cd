"""A page that enrols a passkey of this device for a made-up customer: development mode's identity system, on the confirm page's origin.

In production the bank's identity system enrols passkeys, by `POST /v1/passkeys`; this page is never mounted there.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from webauthn import verify_registration_response
from webauthn.helpers.exceptions import WebAuthnException

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.ports import Passkey
from gateway.domain.principal import SCOPE_ENROL, Principal
from gateway.domain.strict_json import Parsed
from gateway.doors.bodies import body, json_answer
from gateway.doors.confirmations import enrol_on_record
from gateway.doors.pages.session import signed_challenge
from gateway.doors.pages.shell import PageShell, html, same_origin
from gateway.doors.rest import Door
from gateway.identity.compact import Malformed, decode, encode

CLIENT = "dev-enrol-page"
"""The client in the records of what was enrolled here."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Who may enrol here: the made-up customers, and after how long their passkeys confirm."""

    customers: Callable[[], Awaitable[Sequence[str]]]
    cooling_off: timedelta


def enrol_routes(page: PageShell, enrolment: Enrolment) -> list[Route]:
    """The routes of this page."""

    async def shown(_request: Request) -> Response:
        customers = await enrolment.customers()
        handles = {name: _user_handle(name) for name in customers}
        challenge = encode(page.seals.challenge(None, page.clock()))
        return html("enrol.html", {**page.known("/enrol"), "challenge": challenge, "handles": handles})

    async def enrolled(request: Request) -> Response:
        async def work(door: Door, _request: Request, who: Principal) -> Response:
            same_origin(page, request)
            passkey = await _checked(page, enrolment, await body(request))
            await enrol_on_record(door, page.relying_party, passkey, who.client)
            return json_answer({"outcome": "enrolled"})

        return await page.door.answer_as(request, _development(), work, SCOPE_ENROL)

    return [Route("/enrol", shown, methods=["GET"]), Route("/enrol", enrolled, methods=["POST"])]


async def _development() -> Principal:
    """Who enrols here: nobody has to sign in, since whoever reaches development mode can be any of its customers."""
    return Principal(
        customer=CLIENT,
        agent=None,
        client=CLIENT,
        scopes=frozenset({SCOPE_ENROL}),
        strong=False,
        authenticated_at_s=0,
        expires_at_s=0,
        channel="enrol",
    )


async def _checked(page: PageShell, enrolment: Enrolment, content: Parsed) -> Passkey:
    """The passkey of a registration (WebAuthn Level 3 section 7.1). RequestFault for anything else."""
    if not isinstance(content, dict) or set(content) != {"customer", "registration"} or not isinstance(content["customer"], str):
        raise RequestFault(Fault.INVALID_REQUEST, "the body holds a customer and a registration")
    if content["customer"] not in await enrolment.customers():
        raise RequestFault(Fault.INVALID_REQUEST, "no such customer here", param="customer")
    verifier = page.relying_party.verifier
    try:
        registration: Any = content["registration"]
        challenge = signed_challenge(decode(registration["response"]["clientDataJSON"]))
        if verifier is None or not page.seals.is_ours(challenge, None, page.clock()) or not await page.seals.use(challenge):
            raise ValueError("the challenge is not ours")
        verified = verify_registration_response(
            credential=_registration(registration),
            expected_challenge=challenge,
            expected_rp_id=verifier.rules.relying_party,
            expected_origin=sorted(verifier.rules.origins),
            require_user_verification=True,
        )
    except (WebAuthnException, Malformed, KeyError, TypeError, ValueError):
        raise RequestFault(
            Fault.INVALID_REQUEST, "this is no registration for this page; open it again", param="registration"
        ) from None
    active_from = page.clock() + enrolment.cooling_off
    return Passkey(
        encode(verified.credential_id), content["customer"], verified.credential_public_key, verified.sign_count, active_from
    )


def _registration(content: Mapping[str, Any]) -> dict[str, Any]:
    """What the library reads, and nothing else of what was sent."""
    response = content["response"]
    return {
        "id": content["id"],
        "rawId": content["rawId"],
        "type": content["type"],
        "response": {name: response[name] for name in ("clientDataJSON", "attestationObject")},
    }


def _user_handle(customer: str) -> str:
    """A handle that says nothing about the customer (WebAuthn section 14.6.1), the same each time, so that a device keeps one passkey."""
    return encode(sha256(b"tellergate/dev-user/v1\x00" + customer.encode()).digest())
