"""The seam to the trail: a stage becomes a record. What goes in clear, committed, sealed, or not at all is decided here and only here.

In clear: which function, which policies decided what and why, states, codes, times. Committed, with the value sealed under the customer's
key: arguments, the output as it left, the exact decision request. Not at all: tokens, what the core answered beyond the output.
"""

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, Required, TypedDict, TypeVar

from adapters.core import Instruction, NotSeen
from audit import leaf
from audit.committer import LogEntry
from audit.disclosure import JSON
from audit.leaf import Committed, EndState, FieldValue, IntentRef, Plain, Policy, Record, RecordKind
from audit.log import Log, LogUnavailable
from audit.store.reads import OpenIntent
from audit.transactions import always
from gateway.calls.decide import PolicyRefusal
from gateway.calls.record_fields import (
    SearchRecord,
    arguments_of,
    claim_on_record,
    file_record,
    grounding_of,
    mandate_record,
    policy_of,
    replayable,
    search_record,
    told_to_app,
)
from gateway.domain.errors import Unavailable
from gateway.domain.kill_switch import KillSwitch, Scope
from gateway.domain.mandate import Mandate
from gateway.domain.ports import BookChange, Claim, Claimed, Passkey
from gateway.domain.principal import Principal
from gateway.domain.proposal import ConfirmationEvidence, Proposal
from gateway.domain.request import Trace
from gateway.domain.staff import StaffRecord
from gateway.domain.stages import (
    Call,
    Decided,
    DecidedEffect,
    Held,
    Intended,
    Received,
    RecordPosition,
    Redacted,
    Refused,
)
from gateway.domain.states import CallStatus
from gateway.grounding import Ungrounded
from gateway.store.files import StoredFile
from policies.model import Request

T = TypeVar("T")

REDACTION_PROFILE = "allow-list/1"

END_STATES: Mapping[CallStatus, EndState] = {
    CallStatus.DONE: EndState.EXECUTED,
    CallStatus.DENIED: EndState.REJECTED_BY_CORE,
    CallStatus.IN_DOUBT: EndState.OUTCOME_UNKNOWN,
    CallStatus.UNAVAILABLE: EndState.NOT_ATTEMPTED,
}
"""How an intent ended, by the status that its caller is told."""

_CLAIMS_SHOWN = 256
"""Characters kept, sealed, of what a model wrote where a name of a function should be."""


class _FunctionEntries(TypedDict, total=False):
    """Fields of a Record that are known at some stage; each later stage knows more."""

    time: Required[datetime]
    call_id: str
    conversation: str
    customer: str
    trace_id: str
    span_id: str
    agent: str
    model: str | None
    timings: Mapping[str, int]
    function: leaf.Function
    retention: str
    arguments: Mapping[str, FieldValue]
    policy: Policy
    grounding: Mapping[str, str]


@dataclass(slots=True)
class Counters:
    """What is only counted, for the census: it would fill the trail with junk."""

    rate_limited: int = 0
    unauthenticated: int = 0
    spoken: Counter[str] = field(default_factory=Counter)
    """What customers said to what waited for them, by the word; for metrics."""


@dataclass(frozen=True, slots=True)
class Records:
    """Writes the records of calls. Each method returns once its record is durable; Unavailable("audit_unavailable") otherwise."""

    log: Log
    declared: Mapping[str, leaf.Function]
    wait_ms: int
    counters: Counters = field(default_factory=Counters)

    async def meet(self, customer: str, retentions: Collection[str]) -> None:
        """Before the first call of a customer: what the log makes once for each. What fails here, the record of the call tells."""
        with contextlib.suppress(LogUnavailable):
            for retention in sorted(retentions):
                await self.log.meet(customer, retention)

    async def outcome(self, redacted: Redacted, settling: BookChange[None] | None) -> RecordPosition:
        """A read's only record; the end of an effect that was executed, rejected, not attempted, or is unknown, and what that means for its
        claim."""
        decided, executed = redacted.decided, redacted.executed
        result = {} if redacted.output is None else {name: Committed(value) for name, value in redacted.output.items()}
        profile = None if redacted.output is None else REDACTION_PROFILE
        if executed is None:
            app_facts = told_to_app(redacted)
            sealed = {**replayable(decided.requests), **({"app": dict(redacted.app)} if redacted.app else {})}
            return await self._append(
                Record(
                    kind=RecordKind.READ, result=result, redaction=profile, facts=app_facts, sealed=sealed, **self._decided(decided)
                )
            )
        state = EndState.NOT_ATTEMPTED if isinstance(executed.answer, NotSeen) else END_STATES[redacted.status]
        facts = {} if redacted.code is None else {"code": redacted.code.value}
        if executed.why is not None:
            facts["reason"] = executed.why.code
        record = Record(
            kind=RecordKind.UNKNOWN if state is EndState.OUTCOME_UNKNOWN else RecordKind.OUTCOME,
            end_state=state,
            intent=IntentRef(executed.intended.intent.index, executed.intended.intent.leaf_hash),
            facts=facts,
            result=result,
            redaction=profile,
            **self._decided(decided),
        )
        return await self._append(record, settling)

    async def intend(
        self, effect: DecidedEffect, instruction: Instruction, claiming: BookChange[Claimed], claim: Claim
    ) -> Intended | Claimed:
        """The claim and the intent in one, durable before a byte goes to the core, with the permit that the log gives for it; or the row
        of an earlier call under the same ids. Refusal and FactsMoved: nothing was claimed, and nothing recorded."""
        decided, over = effect.decided, instruction.canonical()
        record = Record(
            kind=RecordKind.INTENT,
            instruction=over,
            core_key=instruction.key,
            sealed={**replayable(decided.requests), "claim": claim_on_record(claim)},
            **self._decided(decided),
        )
        claimed, entry = await self._written(claiming, record, wants=lambda answer: answer.fresh)
        if entry is None:
            earlier: Claimed = claimed
            return earlier
        try:
            permit = await self.log.permit(entry, over)
        except LogUnavailable as error:  # the intent stands without an effect: the sweep ends it, and gives the claim back
            raise Unavailable("audit_unavailable") from error
        return Intended(effect, instruction, RecordPosition(entry.index, entry.leaf_hash), permit)

    async def announced(self, decided: Decided) -> RecordPosition:
        """What a tool is about to do, by the call that asks for it: what came of it is that call's own record."""
        return await self._append(Record(kind=RecordKind.ADMIN, facts={"word": "begins"}, **self._decided(decided)))

    async def deny(self, refused: Refused) -> RecordPosition:
        """A refusal, with as much as was known when it fell."""
        reached, refusal = refused.reached, refused.refusal
        facts = {"code": refusal.code.value, "reason": refusal.reason}
        if isinstance(reached, Decided):
            entries, sealed = self._decided(reached), replayable(reached.requests)
        elif isinstance(reached, Call):
            entries, sealed = self._called(reached), {}
        else:
            entries, sealed = self._received(reached), {}
            function = self.declared.get(reached.native.function)
            if function is None:
                sealed = {"asked": {"function": reached.native.function[:_CLAIMS_SHOWN]}}
            else:
                entries["function"] = function
        if isinstance(refusal, PolicyRefusal):
            entries["policy"] = policy_of(refusal.decision, refusal.bundle)
            entries["grounding"] = grounding_of(refusal.grounded)
            sealed = replayable(refusal.requests)
        elif isinstance(refusal, Ungrounded):
            entries["grounding"] = refusal.sources
        return await self._append(Record(kind=RecordKind.DENY, facts=facts, sealed=sealed, **entries))

    async def hold(self, held: Held, proposal: Proposal) -> RecordPosition:
        """A call that waits for the customer, and what they are asked: the intent is sealed whole."""
        entries = self._called(held.grounded.call)
        entries["grounding"] = grounding_of(held.grounded)
        refusal = held.refused.refusal
        requests: tuple[Request, ...] = ()
        if isinstance(refusal, PolicyRefusal):
            entries["policy"], requests = policy_of(refusal.decision, refusal.bundle), refusal.requests
        facts = {"code": refusal.code.value, "reason": refusal.reason, "confirmation": proposal.id, "level": proposal.level}
        sealed = {**replayable(requests), "intent": dict(proposal.content)}
        return await self._append(Record(kind=RecordKind.DENY, facts=facts, sealed=sealed, **entries))

    async def spoken(
        self, proposal: Proposal, word: str, by: str, at: datetime, evidence: ConfirmationEvidence | None
    ) -> RecordPosition:
        """The customer (or who approves) spoke: confirmed, approved, declined. The evidence is sealed, to be verified offline."""
        facts: dict[str, Plain] = {"confirmation": proposal.id, "word": word, "level": proposal.level}
        sealed: dict[str, JSON] = {"intent": dict(proposal.content), "by": by}
        if evidence is not None:
            facts["method"] = evidence.method.value
            sealed["evidence"] = json.loads(evidence.kept)
        record = Record(
            kind=RecordKind.CONFIRMATION, time=at, customer=proposal.customer, agent=proposal.agent, facts=facts, sealed=sealed
        )
        position = await self._append(record)
        self.counters.spoken[word] += 1
        return position

    async def enrolment(self, passkey: Passkey, word: str, by: str, at: datetime) -> RecordPosition:
        """With which key a customer may confirm, or no longer: what an auditor compares the evidence of a confirmation with."""
        facts: dict[str, Plain] = {
            "passkey": word,
            "public_key_sha256": sha256(passkey.public_key).hexdigest(),
            "active_from": passkey.active_from.isoformat(),
        }
        sealed: dict[str, JSON] = {"credential": passkey.credential}
        return await self._append(
            Record(kind=RecordKind.ADMIN, time=at, customer=passkey.customer, agent=by, facts=facts, sealed=sealed)
        )

    async def mandate(self, customer: str, mandate: str, word: str, at: datetime) -> RecordPosition:
        """A standing mandate that the customer revoked."""
        facts: dict[str, Plain] = {"standing_mandate": mandate, "word": word}
        return await self._append(Record(kind=RecordKind.ADMIN, time=at, customer=customer, facts=facts))

    async def granted(self, mandate: Mandate, word: str, by: str, change: BookChange[None], at: datetime) -> RecordPosition:
        """What the bank lets a customer's assistants do from now on, with the change: both or neither. What it refuses is raised."""
        return await self._append(mandate_record(mandate, word, {"by": by}, at), change)

    async def assistant(self, assistant: str, word: str, by: str, digest: str, at: datetime) -> RecordPosition:
        """An assistant that a back end made, changed or dropped. `digest`: SHA-256 of what was said of it, as sorted JSON."""
        facts: dict[str, Plain] = {"assistant": assistant, "word": word, "by": by, "sha256": digest}
        return await self._append(Record(kind=RecordKind.ADMIN, time=at, facts=facts))

    async def file(self, file: StoredFile, word: str, by: str, at: datetime) -> RecordPosition:
        """A file that was `kept`, `read` or `deleted`, by this client."""
        return await self._append(file_record(file, word, by, at))

    async def searched(self, told: SearchRecord, at: datetime) -> RecordPosition:
        """A vector store that was searched, before anybody is told what was found."""
        return await self._append(search_record(told, at))

    async def kill_switch(self, switch: KillSwitch, word: str, by: str, via: str, at: datetime) -> RecordPosition:
        """`kill_engaged`, or one officer's `kill_lift`. Of a customer the trail names no name, and keeps the reason sealed."""
        of_customer = switch.scope is Scope.CUSTOMER
        facts: dict[str, Plain] = {"word": word, "kill_switch": switch.id, "scope": switch.scope.value, "by": by, "via": via}
        if of_customer:
            sealed: dict[str, JSON] = {"reason": switch.reason}
            return await self._append(Record(kind=RecordKind.ADMIN, time=at, customer=switch.subject, facts=facts, sealed=sealed))
        facts |= {"subject": switch.subject, "reason": switch.reason}
        return await self._append(Record(kind=RecordKind.ADMIN, time=at, facts=facts))

    async def staff_act(self, told: StaffRecord, change: BookChange[T] | None) -> T:
        """What a person of the bank did, and its change of the book, together: both or neither. What the change refuses is raised."""
        facts: dict[str, Plain] = {
            "word": told.word,
            "duty": told.duty.value,
            "by": told.by,
            "via": told.proved_by.value,
            **told.facts,
        }
        record = Record(
            kind=RecordKind.ADMIN,
            time=told.at,
            customer=told.customer,
            facts=facts,
            sealed=dict(told.sealed),
            retention=told.retention,
        )
        answer, _ = await self._written(change, record)
        made: T = answer
        return made

    async def knows(self, customer: str) -> bool:
        """Whether there is a record of this customer; none is made by asking. Unavailable."""
        try:
            return await self.log.subject_of(customer) is not None
        except LogUnavailable as error:
            raise Unavailable("audit_unavailable") from error

    async def repeat(self, call: Call, first_call_id: str) -> RecordPosition:
        """An effect that was asked for again with the same ids: nothing happened, and the stored answer was told."""
        return await self._append(Record(kind=RecordKind.READ, parent=first_call_id, **self._called(call)))

    async def fault(
        self, principal: Principal, trace: Trace, reason: str, *, call_id: str, span_id: str, at: datetime
    ) -> RecordPosition:
        """A request of an authenticated customer that could not be taken as a whole; it gets a call id of its own."""
        record = Record(
            kind=RecordKind.DENY,
            time=at,
            call_id=call_id,
            customer=principal.customer,
            agent=principal.acting,
            trace_id=trace.trace_id,
            span_id=span_id,
            facts={"code": "request_fault", "reason": reason},
        )
        return await self._append(record)

    async def ended(
        self, claimed: Claimed | None, intent: OpenIntent, state: EndState, settling: BookChange[None], *, at: datetime
    ) -> RecordPosition:
        """The end of an intent that `recovery` found open, or of one whose outcome was not known, and what that means for its claim.

        `claimed` is None where the book has lost it.
        """
        kind = RecordKind.OUTCOME if intent.end_state is None else RecordKind.RECONCILED
        if state is EndState.OUTCOME_UNKNOWN:
            kind = RecordKind.UNKNOWN
        record = Record(
            kind=kind,
            time=at,
            call_id=intent.call_id,
            end_state=state,
            intent=IntentRef(intent.index, intent.leaf_hash),
            facts={"reason": "recovery"},
            conversation=None if claimed is None else claimed.conversation,
            customer=None if claimed is None else claimed.customer,
            agent=None if claimed is None else claimed.agent,
        )
        return await self._append(record, settling)

    async def _append(self, record: Record, change: BookChange[None] | None = None) -> RecordPosition:
        _, entry = await self._written(change, record)
        if entry is None:
            raise TypeError("the log answers a record with an entry")
        return RecordPosition(entry.index, entry.leaf_hash)

    async def _written(
        self, change: BookChange[Any] | None, record: Record, wants: Callable[[Any], bool] = always
    ) -> tuple[Any, LogEntry | None]:
        try:
            return await self.log.append_with(change, record, wants=wants, timeout_ms=self.wait_ms)
        except LogUnavailable as error:
            raise Unavailable("audit_unavailable") from error

    def _received(self, received: Received) -> _FunctionEntries:
        principal, request = received.principal, received.request
        return {
            "time": received.received_at,
            "call_id": received.call_id,
            "conversation": request.conversation_id,
            "customer": principal.customer,
            "trace_id": request.trace.trace_id,
            "span_id": received.span_id,
            "agent": principal.acting,
            "model": request.model,
            "timings": received.steps.timings_us(),
        }

    def _called(self, call: Call) -> _FunctionEntries:
        function = call.function
        entries = self._received(call.received)
        entries["function"] = self.declared[function.name]
        entries["retention"] = function.retention
        entries["arguments"] = arguments_of(call)
        return entries

    def _decided(self, decided: Decided) -> _FunctionEntries:
        entries = self._called(decided.call)
        entries["policy"] = policy_of(decided.decision, decided.policies.bundle)
        confirmed = decided.call.received.confirmed
        entries["grounding"] = {**grounding_of(decided.grounded), **({"confirmation": confirmed.confirmation} if confirmed else {})}
        return entries
