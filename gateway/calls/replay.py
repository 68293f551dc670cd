"""What was asked for before under the same ids and arguments: its stored answer is told again, and nothing happens again."""

from dataclasses import dataclass, replace

from gateway.calls.claims import arguments_hash
from gateway.calls.decide import PolicyRefusal
from gateway.calls.outcome import UNDECIDED, CallOutcomes
from gateway.calls.record import Records
from gateway.domain.errors import Code, Unavailable
from gateway.domain.kill_switch import Killed
from gateway.domain.ports import Book, Claimed, HeldCalls
from gateway.domain.stages import Call, Decided, Received, Recorded, Refused, answer_of
from gateway.domain.states import CallStatus
from gateway.grounding import Ungrounded


@dataclass(frozen=True, slots=True)
class IdempotentReplay:
    book: Book
    outcomes: CallOutcomes
    records: Records
    proposals: HeldCalls

    async def stored_answer(self, call: Call, claimed: Claimed, allowed: frozenset[str]) -> Recorded:
        """The stored answer, with these data classes, on record."""
        received = call.received
        answered = await self.outcomes.answer(claimed, received.native.native_id, allowed=allowed)
        try:
            await self.records.repeat(call, claimed.call_id)
        except Unavailable:  # not recorded, not answered; and something did happen under these ids
            return replace(answer_of(received, CallStatus.IN_DOUBT, Code.OUTCOME_UNKNOWN), call_id=claimed.call_id)
        received.steps.end("repeat")
        return answered

    async def earlier(self, refused: Refused) -> Recorded | None:
        """What is refused now was done, or waits, under the same ids: a repeat is told so, whatever the words are used up by."""
        refusal, received, reached = refused.refusal, refused.received, refused.reached
        may_be = isinstance(refusal, Ungrounded | PolicyRefusal | Killed) or refusal.code is Code.DUPLICATE_SUSPECTED
        if not may_be or isinstance(reached, Received) or received.confirmed:
            return None
        call = reached.call if isinstance(reached, Decided) else reached
        ids = (received.request.conversation_id, received.request.turn_id, received.native.native_id)
        claimed = await self.book.earlier(*ids, arguments_hash(call))
        return await self.proposals.known(call) if claimed is None else await self.stored_answer(call, claimed, UNDECIDED)
