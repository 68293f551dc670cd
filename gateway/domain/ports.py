"""What the way of a call needs from outside, as contracts. Implementations are chosen in `main` alone."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from adapters.core import Money
from gateway.domain.facts import DocumentText, Snapshot, Use, Utterances
from gateway.domain.limits import Totals
from gateway.domain.mandate import StandingMandate
from gateway.domain.proposal import ConfirmationEvidence, Proposal
from gateway.domain.stages import Call, Held, Recorded, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An effect that wants its idempotency key and, with an amount, its part of the limits."""

    call_id: str
    customer: str
    conversation: str
    turn: str
    native_id: str
    function: str
    arguments_hash: bytes
    agent: str | None
    channel: str
    core_key: str
    trace_id: str
    at: datetime
    amount: Money | None
    payee: str | None
    decided_on: tuple[int, bool, bool, int]
    """Mandate version, frozen, tainted, kill epoch: the facts that the decision rested on, compared again under the lock."""
    set_at: datetime
    uses: tuple[Use, ...] = ()
    confirmation: str | None = None
    """What the customer confirmed: used up by the claim, once."""
    covered: StandingMandate | None = None
    """The standing mandate under which nobody was asked: its bounds are held by the claim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A row of the book of calls. `state`: pending, unknown, posted, voided."""

    call_id: str
    customer: str
    conversation: str
    function: str
    agent: str | None
    core_key: str
    trace_id: str
    state: str
    at: datetime
    fresh: bool = False
    """Whether this very claim made the row; else it is the stored one of an earlier call with the same ids."""


class FactsMoved(Exception):
    """A fact under the decision changed before the claim; gather and decide again. Nothing was claimed."""


class Screening(Protocol):
    """Sanctions and fraud: asked before limits are held and again before anything is sent (TC-12). What it knows is told to nobody here.

    Concurrent use is safe; nothing is retried. Unavailable: it does not answer, and the effect must not happen.
    """

    async def blocks(self, call: Call) -> bool:
        """Whether this payment, to this payee, must not be made."""


class Book(Protocol):
    """The gateway's own memory: customers' grants, conversations, calls and what they hold of the limits.

    Durability: what a coroutine returned is durable. Concurrency: claims of one customer are serialised; totals are exact. Retry:
    every method may be repeated. Errors: Refusal for what the rules refuse, Moved, Unavailable when the store does not answer (the
    write may have happened: a claim is then found again by its ids).
    """

    async def facts(self, customer: str, agent: str, conversation: str, at: datetime) -> Snapshot | None:
        """As they were at `at`: what taints the conversation later does not count. None when it is not this customer's, or not at all."""

    async def heard(self, conversation: str, at: datetime) -> Utterances:
        """What the customer said in their last turns, what they named, and what was used of it."""

    async def standing(self, customer: str) -> tuple[StandingMandate, ...]:
        """The customer's standing mandates that were not revoked."""

    async def automatic(self, customer: str, agent: str, currency: str, now: datetime) -> Totals:
        """What this agent paid without a confirmation, over the rolling windows that end at `now`."""

    async def totals(self, customer: str, currency: str, now: datetime) -> Totals:
        """Pending, unknown and posted amounts over the rolling windows that end at `now`."""

    async def granted(self, customer: str) -> frozenset[str]:
        """Names of the functions in the customer's mandate; empty without one."""

    async def stopped(self, customer: str, agent: str, function: str) -> str | None:
        """Read just before an effect: why it may not happen, `frozen` (also a customer without a row) or `killed_` and a scope.

        As of less than a second ago, as `facts` are: Unavailable when the store takes longer.
        """

    async def claim(self, claim: Claim) -> Claimed:
        """Claim, or give the row that stands under the same ids. Refusal: conflict, limit or suspected duplicate."""

    async def earlier(self, conversation: str, turn: str, native_id: str, arguments_hash: bytes) -> Claimed | None:
        """The row under the same ids and arguments; None when there is none. Refusal when the ids were used for another call."""

    async def settle(self, call_id: str, state: str, at: datetime) -> None:
        """Move a row out of pending or unknown: to posted, voided or unknown, or released, which forgets it. Else no change."""

    async def tell_the_end(self, call_id: str, at: datetime) -> None:
        """A call that may be in doubt is about to be ended: who asked for it is told, if anybody wants to be."""

    async def taint(self, customer: str, agent: str, conversation: str, at: datetime) -> None:
        """Third parties' text goes into this conversation, to this agent, from `at` on."""

    async def keep_reading(self, call_id: str, conversation: str, reading: DocumentText, at: datetime) -> None:
        """A document that the customer named was read."""

    async def open_conversation(self, customer: str, at: datetime) -> str:
        """A new conversation's id."""

    async def hear(self, customer: str, conversation: str, messages: Sequence[tuple[str, str]], at: datetime) -> int | None:
        """Store the customer's own words (text, origin); how many the conversation has now; None: not theirs."""

    async def find(self, call_id: str) -> Claimed | None: ...

    async def unsettled(self, before: datetime) -> Sequence[Claimed]:
        """Rows pending or unknown that were claimed before then."""


@dataclass(frozen=True, slots=True)
class Passkey:
    """A customer's WebAuthn credential, as the bank's identity system enrolled it. `credential` is base64url; `public_key` a COSE_Key.

    `active_from`: after the cooling-off; before it nothing can be confirmed with it.
    """

    credential: str
    customer: str
    public_key: bytes
    sign_count: int
    active_from: datetime


class Passkeys(Protocol):
    """Who may confirm with what. Durable when it returns; Unavailable when the store does not answer."""

    async def of(self, customer: str) -> Sequence[Passkey]:
        """The customer's passkeys that were not revoked, also those that are not active yet."""

    async def find(self, credential: str) -> Passkey | None:
        """By its id, whoever's it is: for who signs in with it. None: unknown, or revoked."""

    async def enrol(self, passkey: Passkey) -> bool:
        """False: the credential is known already, and nothing changed."""

    async def revoke(self, customer: str, credential: str, at: datetime) -> bool:
        """False: no such passkey of this customer."""

    async def count(self, credential: str, sign_count: int) -> bool:
        """Remember the authenticator's counter. False: it did not grow (and is not 0 for ever): perhaps a clone, confirm nothing."""


class ProposalNotOpen(Exception):
    """The proposal cannot be confirmed or declined (any more). `state` says why: expired, declined, confirmed, approved, waits.

    `waits`: an older proposal that moves money is open; it comes first.
    """

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.state = state


class Confirmations(Protocol):
    """What waits for the customer, and what happens when they have spoken. Unavailable when the store or the log does not answer."""

    async def open(self, customer: str, confirmation_id: str, at: datetime) -> Proposal | None:
        """The proposal, and begin its challenge: it was put before the customer's eyes at `at`. None: not theirs, nor theirs to approve."""

    async def find(self, customer: str, confirmation_id: str) -> Proposal | None:
        """The same without opening it: its challenge goes on."""

    async def waiting(self, customer: str, at: datetime) -> Sequence[Proposal]:
        """What this customer is to confirm or to approve, the oldest first."""

    async def confirm(self, customer: str, confirmation_id: str, evidence: ConfirmationEvidence) -> Sequence[Recorded]:
        """Execute what was confirmed: the calls in their order; empty where a second person still has to approve. NotOpen."""

    async def decline(self, customer: str, confirmation_id: str, at: datetime) -> None:
        """Nothing happens, and the same is not asked again for a day. NotOpen."""


Refuse = Callable[[Refused], Awaitable[Recorded]]


class HeldCalls(Protocol):
    """What becomes of calls that wait for the customer."""

    async def propose(self, held: Sequence[Held], refuse: Refuse) -> Sequence[Recorded]:
        """The calls of one request: each is answered as held, or as refused after all."""

    async def known(self, call: Call) -> Recorded | None:
        """A call that was proposed before under the same ids. None: there is none."""
