"""The customer's word becomes evidence: who signed in, what an assertion or a token confirms. Everything in front of `Confirmations`.

Both doors use it, the JSON one and the page. It decides that somebody confirmed exactly this; who may, and what then happens, is decided
behind the port.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from gateway.confirmations.assertion import (
    AssertionVerifier,
    NotConfirmed,
    NotConfirmedReason,
    VerifiedAssertion,
    chosen,
    kept,
    read_assertion,
)
from gateway.domain.errors import Fault, RequestFault
from gateway.domain.ports import Confirmations, Passkeys, ProposalNotOpen
from gateway.domain.principal import Principal, TokenStatus
from gateway.domain.proposal import CHALLENGE_LIFETIME, ConfirmationEvidence, Method, Proposal, challenge, matches_details
from gateway.domain.stages import Recorded
from gateway.domain.states import ProposalState
from gateway.domain.strict_json import Json, Parsed

_FAULTS: Mapping[str, tuple[Fault, str]] = {
    ProposalState.EXPIRED: (Fault.CONFIRMATION_EXPIRED, "its time is over; nothing happened, and the assistant may be asked again"),
    ProposalState.DECLINED: (Fault.CONFIRMATION_DECLINED, "it was declined; nothing happened"),
    ProposalState.CONFIRMED: (
        Fault.CONFIRMATION_USED,
        "it was confirmed before; what became of it is told by the status of its calls",
    ),
    ProposalState.APPROVED: (
        Fault.CONFIRMATION_USED,
        "it was approved before; what became of it is told by the status of its calls",
    ),
    "waits": (Fault.CONFIRMATION_WAITS, "an older one that moves money is open: confirm or decline that first"),
    "changed": (Fault.CONFIRMATION_CHANGED, "it is not what was shown any more; nothing happened"),
    "challenge_expired": (Fault.CHALLENGE_EXPIRED, "it was opened more than five minutes ago; open it again, and look at it again"),
}


def no_such_confirmation() -> RequestFault:
    """One answer for what is absent and for what is another customer's."""
    return RequestFault(Fault.NOT_FOUND, "no such confirmation", param="confirmation_id")


def not_open(error: ProposalNotOpen) -> RequestFault:
    """Why something cannot be confirmed or declined (any more), as the fault of a request."""
    fault = _FAULTS.get(error.state)
    return no_such_confirmation() if fault is None else RequestFault(*fault)


@dataclass(frozen=True, slots=True)
class Challenge:
    """A proposal that was put before the customer's eyes. `challenge` is what a passkey signs, until `challenge_expires`."""

    proposal: Proposal
    challenge: bytes
    challenge_expires: datetime
    credentials: Sequence[str]


def state_of(proposal: Proposal, at: datetime) -> ProposalState:
    """As the customer is told it: what was never answered is expired, even before anybody writes so."""
    return ProposalState.EXPIRED if proposal.waits and proposal.expires <= at else proposal.state


@dataclass(frozen=True, slots=True, kw_only=True)
class RelyingParty:
    """The gateway as a WebAuthn relying party, and as a resource server that reads RFC 9396. `verifier` None: no passkeys here."""

    confirmations: Confirmations
    passkeys: Passkeys
    standing: TokenStatus
    verifier: AssertionVerifier | None
    clock: Callable[[], datetime]
    takes_tokens: bool = True
    """Whether a token may confirm. A bank whose issuer does not show customers what they sign turns it off: only passkeys are left."""

    async def show(self, customer: str, confirmation_id: str) -> Challenge:
        """Open it, which begins its challenge. RequestFault NOT_FOUND."""
        at = self.clock()
        proposal = await self.confirmations.open(customer, confirmation_id, at)
        if proposal is None:
            raise no_such_confirmation()
        usable = [item.credential for item in await self.passkeys.of(customer) if item.active_from <= at]
        ends = min(at + CHALLENGE_LIFETIME, proposal.expires)
        return Challenge(proposal, challenge(proposal.intent), ends, usable)

    async def sign_in(self, assertion: Parsed, over: bytes) -> str:
        """The customer whose passkey signed a challenge that we made. NotConfirmed; the same for an unknown and a revoked passkey."""
        read = read_assertion(assertion)
        passkey = await self.passkeys.find(read.credential)
        if self.verifier is None or passkey is None:
            raise NotConfirmed(NotConfirmedReason.UNKNOWN_PASSKEY)
        verified = self.verifier.verify(read, passkey, over, self.clock())
        await self._count(verified)
        return passkey.customer

    async def by_passkey(self, customer: str, confirmation_id: str, assertion: Parsed) -> Sequence[Recorded]:
        """Confirm or approve by an assertion over the intent. RequestFault: nothing was confirmed, and it says why."""
        proposal, at = await self._found(customer, confirmation_id), self.clock()
        if self.verifier is None:
            raise NotConfirmed(NotConfirmedReason.NO_PASSKEYS)
        self._check_opened(proposal, at)
        read = read_assertion(assertion)
        passkey = chosen(await self.passkeys.of(customer), read)
        verified = self.verifier.verify(read, passkey, challenge(proposal.intent), at)
        # The counter is remembered before anything is confirmed by it: a clone that comes second finds it used.
        await self._count(verified)
        evidence = ConfirmationEvidence(customer, Method.PASSKEY, at, kept(verified, proposal.intent, self.verifier.rules))
        return await self._confirm(customer, confirmation_id, evidence)

    async def by_token(self, principal: Principal, confirmation_id: str) -> Sequence[Recorded]:
        """Confirm or approve by the token itself, whose authorization details name the intent (RFC 9396)."""
        if not self.takes_tokens:
            raise NotConfirmed(NotConfirmedReason.NO_TOKENS)
        proposal, at = await self._found(principal.customer, confirmation_id), self.clock()
        self._check_opened(proposal, at)
        confirmed_by_token(principal, proposal)
        if not await self.standing.still_stands(principal):
            raise NotConfirmed(NotConfirmedReason.REVOKED)
        evidence = ConfirmationEvidence(principal.customer, Method.TOKEN, at, _kept_of_token(principal, proposal.intent))
        return await self._confirm(principal.customer, confirmation_id, evidence)

    async def decline(self, customer: str, confirmation_id: str) -> None:
        """Needs no more than to be the customer: saying no is never harder than saying yes."""
        try:
            await self.confirmations.decline(customer, confirmation_id, self.clock())
        except ProposalNotOpen as error:
            raise not_open(error) from None

    async def state(self, customer: str, confirmation_id: str) -> ProposalState:
        return state_of(await self._found(customer, confirmation_id), self.clock())

    async def _found(self, customer: str, confirmation_id: str) -> Proposal:
        proposal = await self.confirmations.find(customer, confirmation_id)
        if proposal is None:
            raise no_such_confirmation()
        return proposal

    def _check_opened(self, proposal: Proposal, at: datetime) -> None:
        """Said before any signature is looked at; the port decides it again, with the state, in one transaction."""
        if not proposal.waits or proposal.expires <= at:
            raise not_open(ProposalNotOpen(state_of(proposal, at)))
        if proposal.opened is None or at - proposal.opened > CHALLENGE_LIFETIME:
            raise not_open(ProposalNotOpen("challenge_expired"))

    async def _count(self, verified: VerifiedAssertion) -> None:
        if not await self.passkeys.count(verified.passkey.credential, verified.sign_count):
            raise NotConfirmed(NotConfirmedReason.COUNTER)

    async def _confirm(self, customer: str, confirmation_id: str, evidence: ConfirmationEvidence) -> Sequence[Recorded]:
        try:
            return await self.confirmations.confirm(customer, confirmation_id, evidence)
        except ProposalNotOpen as error:
            raise not_open(error) from None


def confirmed_by_token(principal: Principal, proposal: Proposal) -> None:
    """NotConfirmed unless the customer's own token names exactly this intent, out of a two-factor sign-in that followed the proposal.

    The identity provider gave it after the customer saw these details; an earlier sign-in cannot have been about them. That it is used
    once is the proposal's own single use: no other intent is equal to it.
    """
    details: Json = None if principal.authorization_details is None else json.loads(principal.authorization_details)
    if principal.agent is not None or not matches_details(proposal.intent, details):
        raise NotConfirmed(NotConfirmedReason.TOKEN)
    if not principal.strong:
        raise NotConfirmed(NotConfirmedReason.TOKEN_WEAK)
    if principal.authenticated_at_s < int(proposal.created.timestamp()):
        raise NotConfirmed(NotConfirmedReason.TOKEN_EARLIER)


def _kept_of_token(principal: Principal, intent: bytes) -> bytes:
    """The claims that were held against the intent. The token itself is kept nowhere, so that the log alone vouches for them."""
    body = {
        "version": 1,
        "method": "token",
        "intent_sha256": sha256(intent).hexdigest(),
        "sub": principal.customer,
        "client_id": principal.client,
        "scope": " ".join(sorted(principal.scopes)),
        "auth_time": principal.authenticated_at_s,
        "exp": principal.expires_at_s,
        "strong": principal.strong,
        "authorization_details": json.loads(principal.authorization_details or "null"),
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
