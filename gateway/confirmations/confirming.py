"""Calls that wait for the customer: proposed, confirmed, approved, declined, and then executed by the call pipeline.

What is executed is what was proposed: the stored arguments, for the stored principal, over exactly the intent that was confirmed. Policies,
limits, freezes and kill switches are asked again, on the facts of then.
"""

import contextlib
import json
import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from adapters.core import CoreBank, CoreUnavailable, Identified
from adapters.function import Arguments, BankingFunction, Level
from audit.keyring import SignerUnavailable
from gateway.calls.arguments import restored
from gateway.calls.chores import alarmed
from gateway.calls.pipeline import CallPipeline
from gateway.calls.record import Records
from gateway.confirmations.intent import exactly, stored_principal
from gateway.domain.alarms import Alarm, Chore
from gateway.domain.errors import Code, Refusal, Unavailable
from gateway.domain.facts import Use
from gateway.domain.mandate import BesideSigner, SignedMandate, standing_of
from gateway.domain.ports import ProposalNotOpen, ProposalStore
from gateway.domain.proposal import CHALLENGE_LIFETIME, ConfirmationEvidence, Proposal, ProposalChange, ProposedCall, StoredProposal
from gateway.domain.request import CallRequest, NativeCall, Trace
from gateway.domain.stages import Confirmed, Received, Recorded, Refused
from gateway.domain.states import CallStatus, ProposalState
from gateway.domain.steps import Steps
from gateway.domain.strict_json import Json

_LOG = logging.getLogger("tellergate.confirming")

SHAPE = "confirmation"
"""Of a call that the customer confirmed: it came through no model's door."""

RESUME_AFTER = timedelta(seconds=10)
"""So long who confirmed may execute alone; then recovery goes on with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerConfirmations:
    """The `Confirmations` of `ports`, on the store and the pipeline."""

    store: ProposalStore
    pipeline: CallPipeline
    core: CoreBank
    records: Records
    functions: Mapping[str, BankingFunction]
    clock: Callable[[], datetime]
    mandate_key: BesideSigner

    async def open(self, customer: str, confirmation_id: str, at: datetime) -> Proposal | None:
        stored = await self._for(customer, confirmation_id)
        if stored is None:
            return None
        await self.store.open(confirmation_id, at)
        return stored.proposal

    async def find(self, customer: str, confirmation_id: str) -> Proposal | None:
        stored = await self._for(customer, confirmation_id)
        return None if stored is None else stored.proposal

    async def waiting(self, customer: str, at: datetime) -> Sequence[Proposal]:
        mine = await self.store.waiting(customer, at)
        others = await self.store.to_approve(customer, at)
        return [item.proposal for item in mine] + [other.proposal for other in others if await self._may_approve(customer, other)]

    async def confirm(self, customer: str, confirmation_id: str, evidence: ConfirmationEvidence) -> Sequence[Recorded]:
        stored = await self._for(customer, confirmation_id)
        if stored is None:
            raise ProposalNotOpen("unknown")
        proposal = stored.proposal
        self._check(proposal, evidence)
        approves = proposal.customer != customer
        before, after = (
            (ProposalState.CONFIRMED, ProposalState.APPROVED) if approves else (ProposalState.OPEN, ProposalState.CONFIRMED)
        )
        signing = await self._signing(proposal)
        change = ProposalChange(proposal.id, proposal.intent, before, after, customer, evidence.at, evidence.kept, signing)
        obstacle = await self.store.obstacle(change)
        if obstacle is None:
            # The evidence is recorded before the change: what then happens has its reason on record, whenever a crash comes between.
            await self.records.spoken(proposal, after.value, customer, evidence.at, evidence)
            obstacle = await self.store.change(change)
        if obstacle is not None:
            raise ProposalNotOpen(obstacle.code)
        return await self._execute(stored) if signing is None and (proposal.level == 3 or approves) else ()

    async def _signing(self, proposal: Proposal) -> SignedMandate | None:
        """The standing mandate that the customer confirms with this, signed by the gateway; None: it is about calls."""
        shown = proposal.content.get("mandate")
        if not isinstance(shown, dict):
            return None
        mandate = standing_of(str(shown["exactly"]).encode())
        try:
            return SignedMandate(mandate, await mandate.sign_beside(self.mandate_key))
        except SignerUnavailable as error:
            raise Unavailable("keys_unavailable") from error

    async def decline(self, customer: str, confirmation_id: str, at: datetime) -> None:
        stored = await self._for(customer, confirmation_id)
        if stored is None:
            raise ProposalNotOpen("unknown")
        before = ProposalState.OPEN if stored.proposal.customer == customer else ProposalState.CONFIRMED
        change = ProposalChange(confirmation_id, stored.proposal.intent, before, ProposalState.DECLINED, customer, at)
        obstacle = await self.store.change(change)
        if obstacle is not None:
            raise ProposalNotOpen(obstacle.code)
        await self.records.spoken(stored.proposal, ProposalState.DECLINED.value, customer, at, None)

    async def resume(self) -> int:
        """Go on with what was confirmed before a crash; how many proposals."""
        before = self.clock() - RESUME_AFTER
        left = await self.store.unfinished(before)
        for stored in left:
            # Who writes to the database can make a row look confirmed, but not make evidence over another intent.
            if json.loads(stored.evidence or b"{}").get("intent_sha256") != sha256(stored.proposal.intent).hexdigest():
                _LOG.log(*Alarm.PROPOSAL_CHANGED.line())
                continue
            with alarmed(Chore.CONFIRMED), contextlib.suppress(ProposalNotOpen):  # whatever befalls one holds up no other
                await self._execute(stored)
        return len(left)

    def _check(self, proposal: Proposal, evidence: ConfirmationEvidence) -> None:
        """Over exactly this intent, while the challenge stands."""
        if proposal.opened is None or evidence.at - proposal.opened > CHALLENGE_LIFETIME:
            raise ProposalNotOpen("challenge_expired")
        if json.loads(evidence.kept).get("intent_sha256") != sha256(proposal.intent).hexdigest():
            raise ProposalNotOpen("changed")

    async def _for(self, customer: str, confirmation_id: str) -> StoredProposal | None:
        stored = await self.store.find(confirmation_id)
        if stored is None or stored.proposal.customer == customer:
            return stored
        return stored if await self._may_approve(customer, stored) else None

    async def _may_approve(self, customer: str, stored: StoredProposal) -> bool:
        """Another owner of every account that the calls take from, never the one who confirmed (TC-10)."""
        proposal = stored.proposal
        if proposal.level < 4 or proposal.customer == customer or proposal.state is ProposalState.OPEN:
            return False
        for call in await self.store.calls_of(proposal.id):
            function = self.functions.get(call.function)
            resource = None if function is None or function.resource is None else json.loads(call.arguments).get(function.resource)
            if function is None or not isinstance(resource, dict):
                return False
            identified = restored(function, {str(function.resource): resource})[str(function.resource)]
            try:
                facts = await self.core.describe(identified) if isinstance(identified, Identified) else None
            except CoreUnavailable:
                raise Unavailable("core_unavailable") from None
            if facts is None or customer not in facts.owners:
                return False
        return True

    async def _execute(self, stored: StoredProposal) -> Sequence[Recorded]:
        """The calls in their order. What is refused now (limits, freezes, policies) is refused although it was confirmed."""
        calls = await self.store.calls_of(stored.proposal.id)
        try:
            received = self._as_confirmed(stored, calls)
        except ValueError:
            _LOG.log(*Alarm.PROPOSAL_CHANGED.line())
            raise ProposalNotOpen("changed") from None
        return [await self._executed(item) for item in received]

    async def _executed(self, received: Received) -> Recorded:
        """What did not happen, and was told so, does not happen later: neither when it is asked for again, nor after a crash."""
        if received.confirmed is not None:
            answered = await self.pipeline.confirmed(received)
        else:  # it was served when it was proposed; the others of the proposal, and other proposals, go on
            answered = await self.pipeline.refuse(Refused(received, received, Refusal(Code.DENIED, "unknown_function")))
        if answered.status in (CallStatus.DENIED, CallStatus.UNAVAILABLE):
            await self.store.spend(received.call_id, self.clock())
        return answered

    def _as_confirmed(self, stored: StoredProposal, calls: Sequence[ProposedCall]) -> Sequence[Received]:
        """The calls, if they are exactly those of the intent. ValueError otherwise: somebody wrote to the store."""
        shown = stored.proposal.content["calls"]
        if not isinstance(shown, list) or len(shown) != len(calls) or not calls:
            raise ValueError("other calls than the intent's")
        if stored.proposal.content["call_ids"] != [call.call_id for call in calls]:
            raise ValueError("other calls than the intent's")
        return [self._received(stored, call, item) for call, item in zip(calls, shown, strict=True)]

    def _received(self, stored: StoredProposal, call: ProposedCall, shown: Json) -> Received:
        now, kept = self.clock(), json.loads(call.grounding)
        arguments = self._arguments(call, shown)
        uses = tuple(Use(*use) for use in kept["uses"])
        level = Level(stored.proposal.level)
        confirmed = None if arguments is None else Confirmed(stored.proposal.id, level, arguments, kept["sources"], uses)
        native = NativeCall(call.native_id, call.function, call.arguments.decode())
        request = CallRequest(SHAPE, stored.conversation or "", call.turn, None, (native,), Trace(secrets.token_hex(16)))
        return Received(
            call_id=call.call_id,
            principal=stored_principal(stored.principal),
            request=request,
            native=native,
            received_at=now,
            span_id=secrets.token_hex(8),
            steps=Steps(),
            set_at=now,
            confirmed=confirmed,
        )

    def _arguments(self, call: ProposedCall, shown: Json) -> Arguments | None:
        """The stored arguments, if they are those that were shown. None: the function is not served any more, or is declared otherwise,
        so that none can be made.
        """
        if not isinstance(shown, dict) or shown["function"] != call.function:
            raise ValueError("another function than the intent's")
        function, kept, exact = self.functions.get(call.function), json.loads(call.arguments), shown["exactly"]
        are_shown = isinstance(exact, dict) and set(kept) == set(exact)
        if function is None or (are_shown and _is_declared_otherwise(function, kept)):
            return None
        arguments = restored(function, kept)
        if exact != exactly(function, arguments, call.call_id):
            raise ValueError("other arguments than the intent's")
        return arguments


def _is_declared_otherwise(function: BankingFunction, kept: Mapping[str, Json]) -> bool:
    names = {argument.name for argument in function.arguments}
    needed = {argument.name for argument in function.arguments if argument.required}
    return not needed <= set(kept) <= names
