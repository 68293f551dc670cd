"""What became of a call that was made before: for the same ids asked again, for `GET /v1/calls/{id}`, and for webhooks.

The core keeps the answer of each key and the log keeps the proof; nothing is stored a third time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from adapters.core import CoreBank, CoreUnavailable, Declined, Done, NotSeen, Unknown
from adapters.function import BankingFunction
from audit.leaf import EndState
from audit.log import Log, LogUnavailable
from gateway.calls.history import history_of
from gateway.calls.redaction import redact
from gateway.calls.references import References
from gateway.domain.errors import MESSAGES, Code, Unavailable
from gateway.domain.ports import Book, Claimed
from gateway.domain.reasons import reason_of
from gateway.domain.stages import Recorded, RecordPosition
from gateway.domain.states import CallState, CallStatus
from gateway.domain.strict_json import Json

_DECLINED: Mapping[str, Code] = {"AM04": Code.INSUFFICIENT_FUNDS}


UNDECIDED = frozenset({"basic"})
"""The data classes of an answer that is told without a decision at hand: a policy may keep back any other."""


def code_of_decline(reason: str) -> Code:
    """What a model learns of an ISO 20022 status reason."""
    return _DECLINED.get(reason, Code.BUSINESS_REJECTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOutcomes:
    functions: Mapping[str, BankingFunction]
    references: References
    book: Book
    core: CoreBank
    log: Log
    clock: Callable[[], datetime]

    async def answer(self, claimed: Claimed, native_id: str, *, allowed: frozenset[str] = UNDECIDED) -> Recorded:
        """The stored answer of an effect, with these data classes. In doubt while its end is not recorded, or the core cannot be asked.

        The core is asked only for keys whose fate is settled: to ask for the status of an unsettled one would burn it.
        """
        answered = partial(self._answered, claimed.call_id, native_id)
        story = await history_of(self.log, claimed.call_id)
        proof = None if story is None else story.place
        if claimed.state not in (CallState.POSTED, CallState.VOIDED) or story is None or not story.is_ended:
            return answered(CallStatus.IN_DOUBT, Code.OUTCOME_UNKNOWN, proof=proof)
        try:
            answer = await self.core.status(claimed.core_key)
        except CoreUnavailable:
            return answered(CallStatus.IN_DOUBT, Code.OUTCOME_UNKNOWN, proof=proof)
        match answer:
            case Done(output):
                # None: it is not served any more, and nothing says what may be told
                function = self.functions.get(claimed.function)
                reference = partial(self.references.issue, claimed.customer, claimed.conversation, today=self.clock().date())
                redacted = redact(() if function is None else function.output, output, reference=reference, allowed=allowed)
                return answered(CallStatus.DONE, None, output=redacted.value, proof=proof)
            case Declined(reason):
                return answered(CallStatus.DENIED, code_of_decline(reason), proof=proof)
            case Unknown() | NotSeen():  # a core that forgot what it did is no proof that it did nothing
                return answered(CallStatus.IN_DOUBT, Code.OUTCOME_UNKNOWN, proof=proof)

    async def of_record(self, customer: str, call_id: str) -> Recorded | None:
        """A call without an effect, from its last record: what was answered is not stored. None: not this customer's."""
        story = await history_of(self.log, call_id)
        if story is None or story.last.get("customer") != await self._subject_of(customer):
            return None
        if story.last["kind"] == "read":
            return self._answered(call_id, "", CallStatus.DONE, None, proof=story.place)
        if story.last["kind"] == "admin":  # a tool's use that began, and nothing more
            return self._answered(call_id, "", CallStatus.IN_DOUBT, Code.OUTCOME_UNKNOWN, proof=story.place)
        facts = story.last.get("facts")
        code_name, cause = (facts.get("code"), facts.get("reason")) if isinstance(facts, dict) else (None, None)
        unknown = Code.TEMPORARILY_UNAVAILABLE if story.end_state == EndState.NOT_ATTEMPTED.value else Code.DENIED
        code = next((code for code in Code if code.value == code_name), unknown)
        status = CallStatus.UNAVAILABLE if code is Code.TEMPORARILY_UNAVAILABLE else CallStatus.DENIED
        return self._answered(call_id, "", status, code, cause=cause, proof=story.place)

    async def _subject_of(self, customer: str) -> str | None:
        try:
            return await self.log.subject_of(customer)
        except LogUnavailable as error:
            raise Unavailable("audit_unavailable") from error

    def _answered(
        self,
        call_id: str,
        native_id: str,
        status: CallStatus,
        code: Code | None,
        *,
        cause: str | None = None,
        output: Mapping[str, Json] | None = None,
        proof: RecordPosition | None,
    ) -> Recorded:
        return Recorded(
            call_id=call_id,
            native_id=native_id,
            status=status,
            code=code,
            message=MESSAGES[code] if code else None,
            output=output,
            proof=proof,
            reason=None if code is None else reason_of(code, cause),
        )
