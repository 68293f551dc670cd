"""Confirmations and passkeys, JSON under `/v1`: what waits for the customer, their word on it, and who may speak with which passkey.

Two kinds of tokens and no other: the customer's own, without an agent, with the scope `confirm`; and the bank's identity system's, with the
scope `enrol_passkeys`. What is another customer's is answered like what is absent.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from audit.evidence import EvidenceFinding
from audit.evidence import public_key as read_public_key
from gateway.confirmations.relying_party import RelyingParty, state_of
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.ports import Passkey
from gateway.domain.principal import SCOPE_CONFIRM, SCOPE_ENROL, Principal, require_own, require_service
from gateway.domain.proposal import Proposal
from gateway.doors import schemas
from gateway.doors.bodies import body, body_as, json_answer
from gateway.doors.rest import Door, answers
from gateway.doors.validation import validated
from gateway.doors.wire import call_result
from gateway.identity.compact import Malformed, decode, encode

_DECISIONS: dict[str, type[BaseModel]] = {
    "assertion": schemas.ByAssertion,
    "decline": schemas.ByDecline,
    "token": schemas.ByToken,
}


@dataclass(frozen=True, slots=True)
class ConfirmationDependencies:
    """What these routes need beside the door. `cooling_off`: from a passkey's enrolment until it confirms."""

    relying_party: RelyingParty
    cooling_off: timedelta


def mount(app: FastAPI, door: Door, parts: ConfirmationDependencies) -> None:
    """Put these routes into the application."""
    listed, opened, heard = (
        answers(item) for item in (schemas.ConfirmationList, schemas.ConfirmationAnswer, schemas.ConfirmationResult)
    )
    conflicts: dict[int | str, dict[str, object]] = {
        status: {"model": schemas.ErrorBody, "description": "Nothing was confirmed"} for status in (409, 422)
    }

    @app.get("/v1/confirmations", responses=listed)
    async def list_confirmations(request: Request) -> Response:
        """List what waits for the customer's confirmation.

        The oldest first. Needs the customer's own token, without an agent.
        """
        return await door.answer(request, partial(_waiting, parts), SCOPE_CONFIRM)

    @app.get("/v1/confirmations/{confirmation_id}", responses=opened)
    async def get_confirmation(request: Request, confirmation_id: schemas.ConfirmationId) -> Response:
        """Read one confirmation, with a new challenge.

        What exactly is to be confirmed, and the challenge that the customer's passkey signs. It is valid for a short time from now on.
        """
        return await door.answer(request, partial(_open, parts), SCOPE_CONFIRM)

    @app.post(
        "/v1/confirmations/{confirmation_id}",
        responses={**heard, **conflicts},
        openapi_extra=schemas.body_of(schemas.ConfirmationDecision),
    )
    async def answer_confirmation(request: Request, confirmation_id: schemas.ConfirmationId) -> Response:
        """Confirm or decline.

        By an assertion of the customer's passkey, by a token whose `authorization_details` name the intent, or by a decline.
        """
        return await door.answer(request, partial(_speak, parts), SCOPE_CONFIRM, protects=True)

    @app.post(
        "/v1/passkeys",
        responses={**answers(schemas.PasskeyEnrolled), **conflicts},
        openapi_extra=schemas.body_of(schemas.NewPasskey),
    )
    async def enrol_passkey(request: Request) -> Response:
        """Enrol a customer's passkey.

        For the bank's identity system alone, with the scope `enrol_passkeys`.
        """
        return await door.answer(request, partial(_enrol, parts), SCOPE_ENROL)

    @app.delete("/v1/passkeys/{credential}", responses=answers(schemas.PasskeyRevoked))
    async def revoke_passkey(request: Request, credential: schemas.CredentialId) -> Response:
        """Revoke a passkey, at once.

        For the bank's identity system alone, with the scope `enrol_passkeys`.
        """
        return await door.answer(request, partial(_revoke, parts), SCOPE_ENROL, protects=True)


def summary(proposal: Proposal, at: datetime) -> dict[str, object]:
    return {
        "id": proposal.id,
        "state": state_of(proposal, at),
        "level": proposal.level,
        "created": proposal.created.isoformat(),
        "expires": proposal.expires.isoformat(),
    }


async def _waiting(parts: ConfirmationDependencies, door: Door, _request: Request, principal: Principal) -> Response:
    _own(principal)
    at = door.clock()
    proposals = await parts.relying_party.confirmations.waiting(principal.customer, at)
    return json_answer({"data": [summary(proposal, at) for proposal in proposals]})


async def _open(parts: ConfirmationDependencies, door: Door, request: Request, principal: Principal) -> Response:
    _own(principal)
    shown = await parts.relying_party.show(principal.customer, request.path_params["confirmation_id"])
    verifier = parts.relying_party.verifier
    return json_answer(
        {
            **summary(shown.proposal, door.clock()),
            "intent": shown.proposal.content,
            "challenge": encode(shown.challenge),
            "challenge_expires": shown.challenge_expires.isoformat(),
            "rp_id": None if verifier is None else verifier.rules.relying_party,
            "credentials": shown.credentials,
        }
    )


async def _speak(parts: ConfirmationDependencies, door: Door, request: Request, principal: Principal) -> Response:
    _own(principal)
    decision, confirmation_id = await body(request), request.path_params["confirmation_id"]
    kinds = [name for name in _DECISIONS if isinstance(decision, dict) and name in decision]
    if not isinstance(decision, dict) or len(kinds) != 1:
        raise RequestFault(Fault.INVALID_REQUEST, "the body: must be an object with exactly one of assertion, decline and token")
    kind = kinds[0]
    validated(_DECISIONS[kind], decision)
    if decision[kind] == 1 and decision[kind] is not True:  # pydantic's literals are compared, and 1 is equal to true
        raise RequestFault(Fault.INVALID_REQUEST, f"{kind}: must be true", param=kind)
    party = parts.relying_party
    match kind:
        case "assertion":
            results = await party.by_passkey(principal.customer, confirmation_id, decision["assertion"])
        case "token":
            results = await party.by_token(principal, confirmation_id)
        case _:
            await party.decline(principal.customer, confirmation_id)
            results = ()
    state = await party.state(principal.customer, confirmation_id)
    return json_answer(
        {"state": state, "results": [{**call_result(result, door.challenges), "app": result.app} for result in results]}
    )


async def _enrol(parts: ConfirmationDependencies, door: Door, request: Request, principal: Principal) -> Response:
    _identity_system(principal)
    wanted = await body_as(schemas.NewPasskey, request)
    try:
        public_key, credential = decode(wanted.public_key), encode(decode(wanted.credential))
        read_public_key(public_key)
    except (EvidenceFinding, Malformed):
        message = "public_key: must be a COSE_Key of ES256 on P-256, EdDSA with Ed25519 or RS256, base64url"
        raise RequestFault(Fault.INVALID_REQUEST, message, param="public_key") from None
    at = door.clock()
    passkey = Passkey(credential, wanted.customer, public_key, wanted.sign_count, at + parts.cooling_off)
    await enrol_on_record(door, parts.relying_party, passkey, principal.client)
    return json_answer({"credential": credential, "active_from": passkey.active_from.isoformat()})


async def enrol_on_record(door: Door, relying_party: RelyingParty, passkey: Passkey, client: str) -> None:
    """Record it, then let it count: no passkey without its record. RequestFault PASSKEY_KNOWN: enrolled before; Unavailable."""
    await door.records.enrolment(passkey, "enrolled", client, door.clock())
    if not await relying_party.passkeys.enrol(passkey):
        raise RequestFault(
            Fault.PASSKEY_KNOWN, "this credential is enrolled already, or was revoked; nothing changed", param="credential"
        )


async def _revoke(parts: ConfirmationDependencies, door: Door, request: Request, principal: Principal) -> Response:
    _identity_system(principal)
    passkeys, at = parts.relying_party.passkeys, door.clock()
    passkey = await passkeys.find(request.path_params["credential"])
    if passkey is None or not await passkeys.revoke(passkey.customer, passkey.credential, at):
        raise RequestFault(Fault.NOT_FOUND, "no such passkey", param="credential")
    await door.records.enrolment(passkey, "revoked", principal.client, at)  # after it: what protects never waits for the trail
    return json_answer({"credential": passkey.credential, "revoked": True})


def _own(principal: Principal) -> None:
    """The customer's own token. An agent that held the scope would confirm what it asked for itself."""
    require_own(principal, "confirmations need the customer's own token, without an agent")


def _identity_system(principal: Principal) -> None:
    """A client that speaks for itself and can do nothing else: whoever enrols decides who confirms."""
    require_service(principal, SCOPE_ENROL)
