"""What the gateway's core needs from outside, as contracts. Implementations are chosen in `app.main` alone."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

from adapters.core import Money
from gateway.domain.facts import DocumentText, EffectFacts, HeardMessage, Snapshot, Use
from gateway.domain.kill_switch import KillSwitch, Subjects
from gateway.domain.limits import Totals
from gateway.domain.mandate import Mandate, StandingMandate
from gateway.domain.obstacle import Obstacle
from gateway.domain.proposal import ConfirmationEvidence, NewProposal, Proposal, ProposalChange, ProposedCall, StoredProposal
from gateway.domain.stages import Call, Held, Recorded, RecordPosition, Refused
from gateway.domain.states import CallState, SettledAs

T_co = TypeVar("T_co", covariant=True)


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
    """A row of the book of calls."""

    call_id: str
    customer: str
    conversation: str
    function: str
    agent: str | None
    core_key: str
    trace_id: str
    state: CallState
    at: datetime
    fresh: bool = False
    """Whether this very claim made the row; else it is the stored one of an earlier call with the same ids."""


@dataclass(frozen=True, slots=True)
class Movement:
    """What a claimed call moves, and whom it pays: a key of `KnownPayee`; None: nobody."""

    amount: Money
    payee: str | None


class FactsMoved(Exception):
    """A fact under the decision changed before the claim; gather and decide again. Nothing was claimed."""


class Screening(Protocol):
    """Sanctions and fraud: asked before limits are held and again before anything is sent (TC-12). What it knows is told to nobody here.

    Concurrent use is safe; nothing is retried. Unavailable: it does not answer, and the effect must not happen.
    """

    async def blocks(self, call: Call) -> bool:
        """Whether this payment, to this payee, must not be made."""


class BookChange(Protocol[T_co]):
    """A change of the book that is not made yet, answered with a `T`: made together with the record of it, in one transaction."""

    def apply(self, connection: Any, /) -> T_co | Exception: ...


class Book(Protocol):
    """The gateway's own memory: customers' grants, conversations, calls and what they hold of the limits.

    Durability: what a coroutine returned is durable. Concurrency: claims of one customer are serialised; totals are exact. Retry:
    every method may be repeated. Errors: Refusal for what the rules refuse, FactsMoved, Unavailable when the store does not answer (the
    write may have happened: a claim is then found again by its ids).

    A call with an effect goes through it like this:

        snapshot = await book.facts("alice", "assistant", "conv_1", now)  # None: not her conversation
        claimed, intent = await log.append_with(await book.claiming(claim), record)  # both are durable, or neither; Refusal: neither
        if not claimed.fresh:                    # the same ids before: tell the stored answer, do nothing
            return await outcomes.answer(claimed, native_id)
        ...                                      # the core is asked
        await log.append_with(book.settling(claimed.call_id, CallState.POSTED, now), outcome)  # to settle once more changes nothing
    """

    async def facts(self, customer: str, agent: str, conversation: str, at: datetime) -> Snapshot | None:
        """As they were at `at`: what taints the conversation later does not count. None when it is not this customer's, or not at all."""

    async def effect_facts(self, customer: str, conversation: str, currency: str, at: datetime) -> EffectFacts:
        """What the customer said in their last turns, what they named, and what was used of it; their standing mandates that were not
        revoked; and what they spent in this currency (empty: in none). Read at once."""

    async def standing(self, customer: str) -> tuple[StandingMandate, ...]:
        """The customer's standing mandates that were not revoked."""

    async def automatic(self, customer: str, currency: str, now: datetime) -> Mapping[str, Totals]:
        """What was paid without a confirmation, by whichever agent, over the rolling windows that end at `now`: by the id of the
        standing mandate under which it went. A mandate under which nothing was paid is left out."""

    async def movements(self, customer: str, of_calls: Collection[str]) -> Mapping[str, Movement]:
        """Of those of these calls that are this customer's and move money, by their ids."""

    async def assistant_names(self, ids: Collection[str]) -> Mapping[str, str]:
        """Names that the bank gave its assistants, by id. An agent that is none of them, or has no name, is left out."""

    async def file_names(self, customer: str, ids: Collection[str], at: datetime) -> Mapping[str, str]:
        """What those of these files are called that stand at that moment, and are this customer's or for all customers of a client."""

    async def totals(self, customer: str, currency: str, now: datetime) -> Totals:
        """Pending, unknown and posted amounts over the rolling windows that end at `now`."""

    async def granted(self, customer: str) -> frozenset[str]:
        """Names of the functions in the customer's mandate; empty without one."""

    async def mandate(self, customer: str) -> Mandate | None:
        """What was granted to the customer's assistants, in force or not; None without a row, or where its signature does not hold."""

    def granting(self, mandate: Mandate, signature: bytes) -> BookChange[None]:
        """Put a signed mandate in the place of the customer's earlier one, if it is of a later version; else MandateNotNewer is raised."""

    async def revoke_standing(self, customer: str, mandate: str, at: datetime) -> bool:
        """False: none of this customer, or revoked already. It counts from the next claim on, in every process."""

    async def stopped(self, subjects: Subjects) -> Obstacle | None:
        """Read just before an effect: why it may not happen, `frozen` (also a customer without a row) or `killed_` and a scope.

        As of less than a second ago, as `facts` are: Unavailable when the store takes longer.
        """

    async def claiming(self, claim: Claim) -> BookChange[Claimed]:
        """Claim, or give the row that stands under the same ids. Refusal: conflict, limit or suspected duplicate; FactsMoved."""

    async def earlier(self, conversation: str, turn: str, native_id: str, arguments_hash: bytes) -> Claimed | None:
        """The row under the same ids and arguments; None when there is none. Refusal when the ids were used for another call."""

    def settling(self, call_id: str, state: SettledAs, at: datetime) -> BookChange[None]:
        """Move a row out of pending or unknown: to posted, voided or unknown, or released, which forgets it. Else no change."""

    async def expect_outcome(self, call_id: str, at: datetime) -> None:
        """A call that may be in doubt is about to be ended: who asked for it is told, if anybody wants to be."""

    async def taint(self, customer: str, agent: str, conversation: str, at: datetime) -> None:
        """Third parties' text goes into this conversation, to this agent, from `at` on."""

    async def store_document_text(self, call_id: str, conversation: str, reading: DocumentText, at: datetime) -> None:
        """A document that the customer named was read."""

    async def open_conversation(self, customer: str, at: datetime) -> str:
        """A new conversation's id."""

    async def store_messages(self, customer: str, conversation: str, messages: Sequence[HeardMessage], at: datetime) -> int | None:
        """Store the customer's own words; how many the conversation has now; None: not theirs."""

    async def find(self, call_id: str) -> Claimed | None:
        """The row of a call, whoever's it is. None: it was never claimed, or released."""

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


class ProposalStore(Protocol):
    """Where proposals wait for the customer, with the calls behind them.

    Durability: what a coroutine returned is durable. Concurrency: each change compares the state that it starts from, so that of several
    at once one is made and the others are told what stands in their way. Retry: reads, `open`, `spend` and `change` may be repeated; `keep`
    has an id of its own for each proposal. Errors: Unavailable when the store does not answer (a change may have been made).

        await store.keep(new)                         # Refusal: the customer is not asked
        await store.open(new.proposal.id, now)        # it is before their eyes
        change = ProposalChange(id, intent, ProposalState.OPEN, ProposalState.CONFIRMED, "alice", now, evidence)
        obstacle = await store.change(change)         # None: it is confirmed, durably, by this change and no other
    """

    async def keep(self, new: NewProposal) -> None:
        """A new proposal. Refusal: the customer declined the same within a day, or too much waits for them already."""

    async def open(self, confirmation_id: str, at: datetime) -> None:
        """It was put before the customer's eyes; its challenge begins."""

    async def obstacle(self, change: ProposalChange) -> Obstacle | None:
        """What stands in the way of a change as things are now: the state it has, `changed`, `expired`, or `waits` behind an older one."""

    async def change(self, change: ProposalChange) -> Obstacle | None:
        """Make the change, or say what stands in its way: then nothing was written."""

    async def spend(self, call_id: str, at: datetime) -> None:
        """A confirmed call was refused after all: it does not happen any more, whatever stood in its way."""

    async def find(self, confirmation_id: str) -> StoredProposal | None:
        """Whoever's it is."""

    async def calls_of(self, confirmation_id: str) -> Sequence[ProposedCall]:
        """The calls of a proposal, in their order."""

    async def proposed(self, conversation: str, turn: str, native_id: str) -> tuple[ProposedCall, StoredProposal] | None:
        """The call that was proposed under these ids, with its proposal."""

    async def of_call(self, call_id: str) -> tuple[ProposedCall, StoredProposal] | None:
        """The same by the call's own id."""

    async def waiting(self, customer: str, at: datetime) -> Sequence[StoredProposal]:
        """What this customer is to confirm, the oldest first."""

    async def to_approve(self, approver: str, at: datetime) -> Sequence[StoredProposal]:
        """What waits for this person's approval, by the `approvers` that it was kept with, the oldest first."""

    async def unfinished(self, before: datetime) -> Sequence[StoredProposal]:
        """Confirmed (or approved) before then, with a call that nobody claimed yet: what a crash left behind."""


class KillSwitchStore(Protocol):
    """Where kill switches stand: the book of a gateway, or the database itself for a command.

    Durability: what a coroutine returned is durable, and counts within a second in every process. Concurrency: changes come one after the
    other. Retry: engaging may be repeated, and a lift by the same officer is refused the second time. Errors: Unavailable.
    """

    async def engage(self, wanted: KillSwitch) -> KillSwitch:
        """The switch that is engaged then: this one, or the one that stands over the same subject already."""

    async def lift(self, switch: str, officer: str, at: datetime) -> KillSwitch:
        """One officer's part; the second one's lifts it. NotLifted."""

    async def find(self, switch: str) -> KillSwitch | None: ...

    async def engaged(self) -> Sequence[KillSwitch]:
        """Those that are engaged or half lifted, the oldest first."""


class KillSwitchTrail(Protocol):
    """Where changes of kill switches are recorded. Durable when it returns; nothing is retried; Unavailable."""

    async def kill_switch(self, switch: KillSwitch, word: str, by: str, via: str, at: datetime) -> RecordPosition: ...


@dataclass(frozen=True, slots=True)
class DueWebhook:
    """A row that is ours until its lease is over. `body` is empty until the call has ended; `tries` before this one, since it ended."""

    id: str
    call_id: str
    body: bytes
    tries: int


class WebhookOutbox(Protocol):
    """Which calls somebody waits to hear of. Rows are made by the changes of the book themselves, in their own transactions.

    Durability: what a coroutine returned is durable. Concurrency: who leases a row has it alone until then. Retry: every method may be
    repeated. Errors: Unavailable.
    """

    async def lease(self, at: datetime, until: datetime, most: int) -> Sequence[DueWebhook]:
        """Take what is due, `most` at once."""

    async def compose(self, webhook: str, body: bytes) -> bytes:
        """The call ended: this is said of it, by whoever composes first. What is said."""

    async def again(self, webhook: str, at: datetime) -> None:
        """Not ended, or not taken: next time."""

    async def delivered(self, webhook: str, at: datetime) -> None: ...

    async def forget(self, before: datetime) -> None:
        """Delete what was delivered before then."""


class ProposalNotOpen(Exception):
    """The proposal cannot be confirmed or declined (any more). `state` says why: its own, or unknown, changed, challenge_expired, waits.

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
