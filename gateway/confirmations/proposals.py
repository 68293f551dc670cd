"""TODO."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from adapters.core import CoreBank
from gateway.calls.outcome import CallOutcomes
from gateway.calls.record import Records
from gateway.confirmations import intent as proposing
from gateway.confirmations.intent import arguments_bytes, principal_bytes, repeat_key
from gateway.domain.errors import MESSAGES, Code, Refusal, Unavailable
from gateway.domain.ports import Refuse
from gateway.domain.proposal import Proposal
from gateway.domain.reasons import RefusalReason, reason_of
from gateway.domain.stages import Call, Held, Recorded, Refused, answer_of
from gateway.store import confirmations
from gateway.store.book import SqlBook
from gateway.store.confirmations import ProposedCall, StoredProposal, StoreProposal


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """How held calls become a proposal: the way's `propose`."""

    book: SqlBook
    core: CoreBank
    records: Records
    outcomes: CallOutcomes
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
                StoreProposal(
                    proposal=proposal,
                    conversation=received.request.conversation_id,
                    turn=received.request.turn_id,
                    principal=principal_bytes(received.principal),
                    repeat_key=repeat_key(held),
                    calls=tuple(_proposed(held_call) for held_call in held),
                    open_most=self.waiting_most,
                    day_most=self.day_most,
                )
            )
            if isinstance(refused, Refusal):
                raise refused
            return [await self._answer(held_call, proposal) for held_call in held]
        except Refusal as refusal:
            return [await refuse(Refused(held_call.refused.received, held_call.refused.reached, refusal)) for held_call in held]
        except Unavailable as unavailable:
            again = Refusal(Code.TEMPORARILY_UNAVAILABLE, unavailable.reason)
            return [await refuse(Refused(held_call.refused.received, held_call.refused.reached, again)) for held_call in held]

    async def _answer(self, held: Held, proposal: Proposal) -> Recorded:
        proof = await self.records.hold(held, proposal)
        refusal = held.refused.refusal
        answered = answer_of(held.refused.received, "held", refusal.code, cause=refusal.reason, proof=proof)
        return replace(answered, confirmation=proposal.id)

    async def known(self, call: Call) -> Recorded | None:
        received = call.received
        ids = (received.request.conversation_id, received.request.turn_id, received.native.native_id)
        found = await self.book.read(lambda connection: confirmations.proposed(connection, *ids))
        if found is None:
            return None
        before, stored = found
        if before.arguments_hash != _hash(call.function.name, arguments_bytes(call)):
            message = "The id of this call was used for another call; a new call needs a new id."
            return answer_of(received, "denied", Code.INVALID_ARGUMENT, cause="native_id_conflict", message=message)
        try:
            await self.records.repeat(call, before.call_id)
        except Unavailable:
            return answer_of(received, "unavailable", Code.TEMPORARILY_UNAVAILABLE, cause="audit_unavailable")
        claimed = await self.book.find(before.call_id) if before.claimed else None
        return await self.outcomes.answer(claimed, before.native_id) if claimed else _status(before, stored, self.clock())

    async def became(self, customer: str, call_id: str) -> Recorded | None:
        """What became of a call, for who asks for its status; None: no such call of this customer."""
        claimed = await self.book.find(call_id)
        if claimed is not None:
            return await self.outcomes.answer(claimed, "") if claimed.customer == customer else None
        found = await self._of_call(call_id)
        if found is not None and found[1].proposal.customer == customer:
            return _status(*found, self.clock())
        return await self.outcomes.of_record(customer, call_id)

    async def told(self, call_id: str) -> Recorded | None:
        """The same of whoever's call. None: it was not proposed."""
        found = await self._of_call(call_id)
        return None if found is None else _status(*found, self.clock())

    async def confirmation_of(self, call_id: str) -> str | None:
        """What was to be confirmed for this call; None: nothing."""
        found = await self._of_call(call_id)
        return None if found is None else found[1].proposal.id

    async def _of_call(self, call_id: str) -> tuple[ProposedCall, StoredProposal] | None:
        return await self.book.read(lambda connection: confirmations.of_call(connection, call_id))


_ENDED = {
    "declined": ("The customer declined this.", RefusalReason.CONFIRMATION_DECLINED),
    "expired": ("The customer did not confirm this in time.", RefusalReason.CONFIRMATION_EXPIRED),
}
_USED = (MESSAGES[Code.DENIED], RefusalReason.CONFIRMATION_USED)


def _status(call: ProposedCall, stored: StoredProposal, now: datetime) -> Recorded:
    """Of a proposed call without a row in the book: held while it waits; denied once it cannot happen any more."""
    proposal = stored.proposal
    code = Code.APPROVAL_REQUIRED if proposal.state == "confirmed" and proposal.level > 3 else Code.CONFIRMATION_REQUIRED
    if call.claimed or proposal.state not in ("open", "confirmed", "approved") or proposal.expires <= now:
        message, reason = _ENDED.get(proposal.state if call.claimed or proposal.state != "open" else "expired", _USED)
        return Recorded(call.call_id, call.native_id, "denied", Code.DENIED, message, None, None, reason=reason)
    held = Recorded(call.call_id, call.native_id, "held", code, MESSAGES[code], None, None, confirmation=proposal.id)
    return replace(held, reason=reason_of(code))


def _hash(function: str, arguments: bytes) -> bytes:
    return sha256(function.encode() + b"\x00" + arguments).digest()


def _proposed(held: Held) -> ProposedCall:
    call, grounded = held.grounded.call, held.grounded
    arguments = arguments_bytes(call)
    uses = [[use.kind, use.value, use.turn] for use in grounded.uses]
    return ProposedCall(
        call_id=call.received.call_id,
        native_id=call.received.native.native_id,
        turn=call.received.request.turn_id,
        function=call.function.name,
        arguments=arguments,
        arguments_hash=_hash(call.function.name, arguments),
        grounding=json.dumps({"sources": dict(grounded.sources), "uses": uses}, sort_keys=True).encode(),
    )
