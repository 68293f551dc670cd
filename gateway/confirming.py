"""Calls that wait for the customer: proposed, confirmed, approved, declined, and then executed on the way of a call.

What is executed is what was proposed: the stored arguments, for the stored principal, over exactly the intent that was confirmed. Policies,
limits, freezes and kill switches are asked again, on the facts of then.
"""

import contextlib
import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.core import CoreBank, CoreUnavailable, Identified
from adapters.function import BankingFunction, Level
from gateway import proposing
from gateway.arguments import restored
from gateway.call import Way
from gateway.confirmation import CHALLENGE_LIFETIME, Evidence, Proposal
from gateway.errors import MESSAGES, Code, Refusal, Unavailable
from gateway.later import Later
from gateway.mandate import standing_of
from gateway.ports import NotOpen, Refuse
from gateway.proposing import arguments_bytes, exactly, principal_bytes, repeat_key, stored_principal
from gateway.record import Records
from gateway.stages import Asked, Call, Confirmed, Held, NativeCall, Received, Recorded, Refused, Trace, Use, answer_of
from gateway.steps import Steps
from gateway.store import confirmations
from gateway.store.book import SqlBook
from gateway.store.confirmations import Move, Opened, ProposedCall, Proposing, Spent, Stored
from gateway.store.standing import Signing
from gateway.strict_json import Json

_LOG = logging.getLogger("tellergate.confirming")

SHAPE = "confirmation"
"""Of a call that the customer confirmed: it came through no model's door."""

RESUME_AFTER = timedelta(seconds=10)
"""So long who confirmed may execute alone; then recovery goes on with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """How held calls become a proposal: the way's `propose`."""

    book: SqlBook
    core: CoreBank
    records: Records
    later: Later
    clock: Callable[[], datetime]
    waiting_most: int
    day_most: int
    """How many proposals may wait for one customer, and be made in a day: so that nobody is worn down (banking.md section 3.5)."""

    async def propose(self, held: Sequence[Held], refuse: Refuse) -> Sequence[Recorded]:
        now = self.clock()
        received = held[0].refused.received
        try:
            proposal = await proposing.propose(held, self.core, self.records.bundle.hash, now)
            refused = await self.book.write(
                Proposing(
                    proposal=proposal,
                    conversation=received.asked.conversation_id,
                    turn=received.asked.turn_id,
                    principal=principal_bytes(received.principal),
                    repeat_key=repeat_key(held),
                    calls=tuple(_proposed(each) for each in held),
                    open_most=self.waiting_most,
                    day_most=self.day_most,
                )
            )
            if isinstance(refused, Refusal):
                raise refused
            return [await self._answer(each, proposal) for each in held]
        except Refusal as refusal:
            return [await refuse(Refused(each.refused.received, each.refused.reached, refusal)) for each in held]
        except Unavailable as unavailable:
            again = Refusal(Code.TEMPORARILY_UNAVAILABLE, unavailable.reason)
            return [await refuse(Refused(each.refused.received, each.refused.reached, again)) for each in held]

    async def _answer(self, held: Held, proposal: Proposal) -> Recorded:
        proof = await self.records.hold(held, proposal)
        answered = answer_of(held.refused.received, "held", held.refused.refusal.code, proof=proof)
        return replace(answered, confirmation=proposal.id)

    async def known(self, call: Call) -> Recorded | None:
        received = call.received
        ids = (received.asked.conversation_id, received.asked.turn_id, received.native.native_id)
        found = await self.book.read(lambda connection: confirmations.proposed(connection, *ids))
        if found is None:
            return None
        before, stored = found
        if before.arguments_hash != _hash(call.function.name, arguments_bytes(call)):
            message = "The id of this call was used for another call; a new call needs a new id."
            return answer_of(received, "denied", Code.INVALID_ARGUMENT, message=message)
        try:
            await self.records.repeat(call, before.call_id)
        except Unavailable:
            return answer_of(received, "unavailable", Code.TEMPORARILY_UNAVAILABLE)
        claimed = await self.book.find(before.call_id) if before.claimed else None
        return await self.later.answer(claimed, before.native_id) if claimed else _status(before, stored, self.clock())

    async def became(self, customer: str, call_id: str) -> Recorded | None:
        """What became of a call, for who asks for its status; None: no such call of this customer."""
        claimed = await self.book.find(call_id)
        if claimed is not None:
            return await self.later.answer(claimed, "") if claimed.customer == customer else None
        found = await self._of_call(call_id)
        if found is not None and found[1].proposal.customer == customer:
            return _status(*found, self.clock())
        return await self.later.of_record(customer, call_id)

    async def told(self, call_id: str) -> Recorded | None:
        """The same of whoever's call. None: it was not proposed."""
        found = await self._of_call(call_id)
        return None if found is None else _status(*found, self.clock())

    async def confirmation_of(self, call_id: str) -> str | None:
        """What was to be confirmed for this call; None: nothing."""
        found = await self._of_call(call_id)
        return None if found is None else found[1].proposal.id

    async def _of_call(self, call_id: str) -> tuple[ProposedCall, Stored] | None:
        return await self.book.read(lambda connection: confirmations.of_call(connection, call_id))


_ENDED = {"declined": "The customer declined this.", "expired": "The customer did not confirm this in time."}


def _status(call: ProposedCall, stored: Stored, now: datetime) -> Recorded:
    """Of a proposed call without a row in the book: held while it waits; denied once it cannot happen any more."""
    proposal = stored.proposal
    code = Code.APPROVAL_REQUIRED if proposal.state == "confirmed" and proposal.level > 3 else Code.CONFIRMATION_REQUIRED
    if call.claimed or proposal.state not in ("open", "confirmed", "approved") or proposal.expires <= now:
        message = _ENDED.get(proposal.state if call.claimed or proposal.state != "open" else "expired", MESSAGES[Code.DENIED])
        return Recorded(call.call_id, call.native_id, "denied", Code.DENIED, message, None, None)
    return Recorded(call.call_id, call.native_id, "held", code, MESSAGES[code], None, None, confirmation=proposal.id)


def _hash(function: str, arguments: bytes) -> bytes:
    return sha256(function.encode() + b"\x00" + arguments).digest()


def _proposed(held: Held) -> ProposedCall:
    call, grounded = held.grounded.call, held.grounded
    arguments = arguments_bytes(call)
    uses = [[use.kind, use.value, use.turn] for use in grounded.uses]
    return ProposedCall(
        call_id=call.received.call_id,
        native_id=call.received.native.native_id,
        turn=call.received.asked.turn_id,
        function=call.function.name,
        arguments=arguments,
        arguments_hash=_hash(call.function.name, arguments),
        grounding=json.dumps({"sources": dict(grounded.sources), "uses": uses}, sort_keys=True).encode(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirming:
    """The `Confirmations` of `ports`, on the store and the way."""

    book: SqlBook
    way: Way
    core: CoreBank
    records: Records
    functions: Mapping[str, BankingFunction]
    clock: Callable[[], datetime]
    mandate_key: Ed25519PrivateKey

    async def open(self, customer: str, confirmation_id: str, at: datetime) -> Proposal | None:
        stored = await self._for(customer, confirmation_id)
        if stored is None:
            return None
        await self.book.write(Opened(confirmation_id, at))
        return stored.proposal

    async def find(self, customer: str, confirmation_id: str) -> Proposal | None:
        stored = await self._for(customer, confirmation_id)
        return None if stored is None else stored.proposal

    async def waiting(self, customer: str, at: datetime) -> Sequence[Proposal]:
        mine = await self.book.read(lambda connection: confirmations.waiting(connection, customer, at))
        others = await self.book.read(lambda connection: confirmations.to_approve(connection, at))
        return [each.proposal for each in mine] + [each.proposal for each in others if await self._may_approve(customer, each)]

    async def confirm(self, customer: str, confirmation_id: str, evidence: Evidence) -> Sequence[Recorded]:
        stored = await self._for(customer, confirmation_id)
        if stored is None:
            raise NotOpen("unknown")
        proposal = stored.proposal
        self._check(proposal, evidence)
        approves = proposal.customer != customer
        before, after = ("confirmed", "approved") if approves else ("open", "confirmed")
        signing = self._signing(proposal)
        moved = Move(proposal.id, proposal.intent, before, after, customer, evidence.at, evidence.kept, signing)
        stands = await self.book.read(lambda connection: confirmations.obstacle(connection, moved))
        if stands is None:
            # first the evidence: what happens has its reason on record
            await self.records.spoken(proposal, after, customer, evidence.at, evidence)
            told = await self.book.write(moved)
            stands = told if isinstance(told, str) else None
        if stands is not None:
            raise NotOpen(stands)
        return await self._execute(stored) if signing is None and (proposal.level == 3 or approves) else ()

    def _signing(self, proposal: Proposal) -> Signing | None:
        """The standing mandate that the customer confirms with this, signed by the gateway; None: it is about calls."""
        shown = proposal.content.get("mandate")
        if not isinstance(shown, dict):
            return None
        mandate = standing_of(str(shown["exactly"]).encode())
        return Signing(mandate, mandate.sign(self.mandate_key), self.clock())

    async def decline(self, customer: str, confirmation_id: str, at: datetime) -> None:
        stored = await self._for(customer, confirmation_id)
        if stored is None:
            raise NotOpen("unknown")
        before = "open" if stored.proposal.customer == customer else "confirmed"
        stands = await self.book.write(Move(confirmation_id, stored.proposal.intent, before, "declined", customer, at))
        if isinstance(stands, str):
            raise NotOpen(stands)
        await self.records.spoken(stored.proposal, "declined", customer, at, None)

    async def resume(self) -> int:
        """Go on with what was confirmed before a crash; how many proposals."""
        before = self.clock() - RESUME_AFTER
        left = await self.book.read(lambda connection: confirmations.unfinished(connection, before))
        for stored in left:
            if json.loads(stored.evidence or b"{}").get("intent_sha256") != sha256(stored.proposal.intent).hexdigest():
                _LOG.error('{"alarm": "proposal_changed"}')
                continue
            with contextlib.suppress(NotOpen):  # it is an alarm already, and holds up no other
                await self._execute(stored)
        return len(left)

    def _check(self, proposal: Proposal, evidence: Evidence) -> None:
        """Over exactly this intent, while the challenge stands."""
        if proposal.opened is None or evidence.at - proposal.opened > CHALLENGE_LIFETIME:
            raise NotOpen("challenge_expired")
        if json.loads(evidence.kept).get("intent_sha256") != sha256(proposal.intent).hexdigest():
            raise NotOpen("changed")

    async def _for(self, customer: str, confirmation_id: str) -> Stored | None:
        stored = await self.book.read(lambda connection: confirmations.find(connection, confirmation_id))
        if stored is None or stored.proposal.customer == customer:
            return stored
        return stored if await self._may_approve(customer, stored) else None

    async def _may_approve(self, customer: str, stored: Stored) -> bool:
        """Another owner of every account that the calls take from, never the one who confirmed (TC-10)."""
        proposal = stored.proposal
        if proposal.level < 4 or proposal.customer == customer or proposal.state == "open":
            return False
        for call in await self.book.read(lambda connection: confirmations.calls_of(connection, proposal.id)):
            function = self.functions.get(call.function)
            resource = None if function is None or function.resource is None else json.loads(call.arguments).get(function.resource)
            if function is None or not isinstance(resource, dict):
                return False
            identified = restored(function, {str(function.resource): resource})[str(function.resource)]
            try:
                found = await self.core.describe(identified) if isinstance(identified, Identified) else None
            except CoreUnavailable:
                raise Unavailable("core_unavailable") from None
            if found is None or customer not in found.owners:
                return False
        return True

    async def _execute(self, stored: Stored) -> Sequence[Recorded]:
        """The calls in their order. What is refused now (limits, freezes, policies) is refused although it was confirmed."""
        calls = await self.book.read(lambda connection: confirmations.calls_of(connection, stored.proposal.id))
        try:
            received = self._as_confirmed(stored, calls)
        except ValueError:
            _LOG.error('{"alarm": "proposal_changed"}')
            raise NotOpen("changed") from None
        return [await self._executed(each) for each in received]

    async def _executed(self, received: Received) -> Recorded:
        """What did not happen, and was told so, does not happen later: neither when it is asked for again, nor after a crash."""
        answered = await self.way.confirmed(received)
        if answered.status in ("denied", "unavailable"):
            await self.book.write(Spent(received.call_id, self.clock()))
        return answered

    def _as_confirmed(self, stored: Stored, calls: Sequence[ProposedCall]) -> Sequence[Received]:
        """The calls, if they are exactly those of the intent. ValueError otherwise: somebody wrote to the store."""
        shown = stored.proposal.content["calls"]
        if not isinstance(shown, list) or len(shown) != len(calls) or not calls:
            raise ValueError("other calls than the intent's")
        if stored.proposal.content["call_ids"] != [call.call_id for call in calls]:
            raise ValueError("other calls than the intent's")
        return [self._received(stored, call, each) for call, each in zip(calls, shown, strict=True)]

    def _received(self, stored: Stored, call: ProposedCall, shown: Json) -> Received:
        function, now, kept = self.functions[call.function], self.clock(), json.loads(call.grounding)
        arguments = restored(function, json.loads(call.arguments))
        if not isinstance(shown, dict) or (shown["function"], shown["exactly"]) != (
            function.name,
            exactly(function, arguments, call.call_id),
        ):
            raise ValueError("other arguments than the intent's")
        uses = tuple(Use(*use) for use in kept["uses"])
        confirmed = Confirmed(stored.proposal.id, Level(stored.proposal.level), arguments, kept["sources"], uses)
        native = NativeCall(call.native_id, call.function, call.arguments.decode())
        asked = Asked(SHAPE, stored.conversation or "", call.turn, None, (native,), Trace(secrets.token_hex(16)))
        return Received(
            call_id=call.call_id,
            principal=stored_principal(stored.principal),
            asked=asked,
            native=native,
            received_at=now,
            span_id=secrets.token_hex(8),
            steps=Steps(),
            set_at=now,
            confirmed=confirmed,
        )
