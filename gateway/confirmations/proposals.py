"""Held calls become a proposal, and what is told of them from then on. Nothing is executed here."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from adapters.core import CoreBank, Identified
from gateway.calls.decide import bundle_of
from gateway.calls.outcome import CallOutcomes
from gateway.calls.record import Records
from gateway.confirmations.intent import arguments_bytes, intent_of, principal_bytes, repeat_key
from gateway.domain.errors import MESSAGES, Code, Refusal, Unavailable
from gateway.domain.ports import Book, ProposalStore, Refuse
from gateway.domain.proposal import NewProposal, Proposal, ProposedCall, StoredProposal
from gateway.domain.reasons import RefusalReason, reason_of
from gateway.domain.stages import Call, Held, Recorded, Refused, answer_of
from gateway.domain.states import CallStatus, ProposalState


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposals:
    """How held calls become a proposal: the pipeline's `propose`."""

    book: Book
    store: ProposalStore
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
            agent = received.principal.acting
            name = (await self.book.assistant_names([agent])).get(agent)
            proposal = await intent_of(held, self.core, bundle_of(held[-1]).hash, now, agent_name=name)
            new = NewProposal(
                proposal=proposal,
                conversation=received.request.conversation_id,
                turn=received.request.turn_id,
                principal=principal_bytes(received.principal),
                repeat_key=repeat_key(held),
                calls=tuple(_proposed(held_call) for held_call in held),
                open_most=self.waiting_most,
                day_most=self.day_most,
                approvers=_approvers(held) if proposal.level > 3 else frozenset(),
            )
            await self.store.keep(new)
            return [await self._answer(held_call, proposal) for held_call in held]
        except Refusal as refusal:
            return [await refuse(Refused(held_call.refused.received, held_call.refused.reached, refusal)) for held_call in held]
        except Unavailable as unavailable:
            again = Refusal(Code.TEMPORARILY_UNAVAILABLE, unavailable.reason)
            return [await refuse(Refused(held_call.refused.received, held_call.refused.reached, again)) for held_call in held]

    async def _answer(self, held: Held, proposal: Proposal) -> Recorded:
        proof = await self.records.hold(held, proposal)
        refusal = held.refused.refusal
        answered = answer_of(held.refused.received, CallStatus.HELD, refusal.code, cause=refusal.reason, proof=proof)
        return replace(answered, confirmation=proposal.id)

    async def known(self, call: Call) -> Recorded | None:
        received = call.received
        ids = (received.request.conversation_id, received.request.turn_id, received.native.native_id)
        proposed = await self.store.proposed(*ids)
        if proposed is None:
            return None
        before, stored = proposed
        if before.arguments_hash != _hash(call.function.name, arguments_bytes(call)):
            message = "The id of this call was used for another call; a new call needs a new id."
            return answer_of(received, CallStatus.DENIED, Code.INVALID_ARGUMENT, cause="native_id_conflict", message=message)
        try:
            await self.records.repeat(call, before.call_id)
        except Unavailable:
            return answer_of(received, CallStatus.UNAVAILABLE, Code.TEMPORARILY_UNAVAILABLE, cause="audit_unavailable")
        claimed = await self.book.find(before.call_id) if before.claimed else None
        return await self.outcomes.answer(claimed, before.native_id) if claimed else _status(before, stored, self.clock())

    async def became(self, customer: str, call_id: str) -> Recorded | None:
        """What became of a call, for who asks for its status; None: no such call of this customer."""
        claimed = await self.book.find(call_id)
        if claimed is not None:
            return await self.outcomes.answer(claimed, "") if claimed.customer == customer else None
        proposed = await self.store.of_call(call_id)
        if proposed is not None and proposed[1].proposal.customer == customer:
            return _status(*proposed, self.clock())
        return await self.outcomes.of_record(customer, call_id)

    async def status_of(self, call_id: str) -> Recorded | None:
        """The same of whoever's call. None: it was not proposed."""
        proposed = await self.store.of_call(call_id)
        return None if proposed is None else _status(*proposed, self.clock())

    async def confirmation_of(self, call_id: str) -> str | None:
        """What was to be confirmed for this call; None: nothing."""
        proposed = await self.store.of_call(call_id)
        return None if proposed is None else proposed[1].proposal.id


_ENDED = {
    ProposalState.DECLINED: ("The customer declined this.", RefusalReason.CONFIRMATION_DECLINED),
    ProposalState.EXPIRED: ("The customer did not confirm this in time.", RefusalReason.CONFIRMATION_EXPIRED),
}
_USED = (MESSAGES[Code.DENIED], RefusalReason.CONFIRMATION_USED)


def _status(call: ProposedCall, stored: StoredProposal, now: datetime) -> Recorded:
    """Of a proposed call without a row in the book: held while it waits; denied once it cannot happen any more."""
    proposal = stored.proposal
    code = (
        Code.APPROVAL_REQUIRED if proposal.state is ProposalState.CONFIRMED and proposal.level > 3 else Code.CONFIRMATION_REQUIRED
    )
    if call.claimed or proposal.state in (ProposalState.DECLINED, ProposalState.EXPIRED) or proposal.expires <= now:
        is_late = proposal.state is ProposalState.OPEN and not call.claimed
        message, reason = _ENDED.get(ProposalState.EXPIRED if is_late else proposal.state, _USED)
        return Recorded(call.call_id, call.native_id, CallStatus.DENIED, Code.DENIED, message, None, None, reason=reason)
    held = Recorded(call.call_id, call.native_id, CallStatus.HELD, code, MESSAGES[code], None, None, confirmation=proposal.id)
    return replace(held, reason=reason_of(code))


def _hash(function: str, arguments: bytes) -> bytes:
    return sha256(function.encode() + b"\x00" + arguments).digest()


def _approvers(held: Sequence[Held]) -> frozenset[str]:
    """The other owners of every account that the calls take from."""
    owners = [_owners(item.grounded.call) for item in held]
    return frozenset.intersection(*owners) - {held[0].grounded.call.customer}


def _owners(call: Call) -> frozenset[str]:
    resource = None if call.function.resource is None else call.arguments.get(call.function.resource)
    facts = call.facts.objects.get(resource) if isinstance(resource, Identified) else None
    return frozenset() if facts is None else frozenset(facts.owners)


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
