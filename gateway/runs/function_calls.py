"""The calls of one answer of the model: banking functions go through the call pipeline, all others wait for the app.

What waits for the customer, or is in doubt, has no output until that is over; it is looked at again by its call id, and never asked again.
"""

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from gateway.calls.output import output_text, result_item
from gateway.calls.pipeline import CallPipeline
from gateway.calls.record import Records
from gateway.confirmations.proposals import Proposals
from gateway.domain.alarms import Alarm
from gateway.domain.errors import MESSAGES, Code, RequestFault
from gateway.domain.principal import Principal
from gateway.domain.reasons import reason_of
from gateway.domain.request import CallFault, CallRequest, NativeCall, Trace, new_call_id
from gateway.domain.stages import Recorded
from gateway.domain.states import CallStatus
from gateway.domain.strict_json import Json
from gateway.domain.tools import ToolContext
from gateway.runs import tool_calls
from gateway.runs.objects import AS_FUNCTIONS, Object
from gateway.store.steps import Step, app_calls, calls_of, with_calls

IN_DOUBT_MOST = timedelta(seconds=20)
"""So long a run waits to hear what became of a call whose outcome is not known; then the model is told that nobody knows."""

_LOG = logging.getLogger("tellergate.runs")


@dataclass(frozen=True, slots=True)
class WaitingCall:
    """A call that waits for the customer. `expires`: until when they may confirm it."""

    confirmation: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFunctionCalls:
    """Takes the calls of a step, and looks what became of them. Unavailable when a part that it needs does not answer: nothing is lost."""

    pipeline: CallPipeline
    proposals: Proposals
    records: Records

    async def take(self, step: Step, request: CallRequest, principal: Principal) -> Step:
        """All banking calls of the step, in their order, as one set; the same again after a crash: the ids say so."""
        if not request.calls:
            return step
        if principal.expires_at_s <= self.proposals.clock().timestamp():
            answered = await self._refused(request, principal, "session_over")
        else:
            try:
                answered = await self.pipeline.take(principal, request)
            except RequestFault as fault:  # the token was revoked, or the conversation is gone
                answered = await self._refused(request, principal, fault.recorded)
        return _told(step, {call.native_id: call for call in answered})

    async def look(self, step: Step, customer: str) -> Step:
        """What became of the calls that were open."""
        ended = {}
        for call in open_calls(step):
            became = await self.proposals.became(customer, call["tellergate"]["call_id"])
            if became is not None and not became.status.is_open:
                ended[call["id"]] = replace(became, native_id=call["id"])
            elif became is None or (became.status == CallStatus.IN_DOUBT and self._is_late(step)):
                ended[call["id"]] = replace(_unknown(call), native_id=call["id"])
        return _told(step, ended) if ended else step

    async def waits(self, step: Step) -> Sequence[WaitingCall]:
        """The confirmations that calls of the step wait for."""
        named = {id_ for call in open_calls(step) if (id_ := call["tellergate"]["confirmation_id"]) is not None}
        waiting = []
        for id_ in sorted(named):
            stored = await self.proposals.store.find(id_)
            if stored is not None:
                waiting.append(WaitingCall(id_, stored.proposal.expires))
        return waiting

    def _is_late(self, step: Step) -> bool:
        return self.proposals.clock() - step.created > IN_DOUBT_MOST

    async def _refused(self, request: CallRequest, principal: Principal, why: str) -> Sequence[Recorded]:
        """None is taken; that they were asked is on record, once for all of them."""
        at = self.proposals.clock()
        ids = {"call_id": new_call_id(at, secrets.token_bytes(8)), "span_id": secrets.token_hex(8)}
        proof = await self.records.fault(principal, request.trace, why, at=at, **ids)
        code = Code.STEP_UP_REQUIRED
        reason = reason_of(code, why)
        return [
            Recorded(ids["call_id"], call.native_id, CallStatus.DENIED, code, MESSAGES[code], None, proof, reason=reason)
            for call in request.calls
        ]


def asked_of(
    step: Step, *, conversation: str, model: str, offered: frozenset[str], trace_id: str, tools: ToolContext | None = None
) -> CallRequest:
    """The banking calls of a step that were not taken yet. The step is the turn, so that its calls have their ids for good."""
    calls = tuple(
        NativeCall(item["id"], item["function"]["name"], item["function"]["arguments"], _fault_of(item))
        for item in calls_of(step)
        if "tellergate" in item and item["tellergate"] is None
    )
    return CallRequest("assistants", conversation, step.id, model, calls, Trace(trace_id), offered, tools)


def _fault_of(item: Mapping[str, Any]) -> CallFault | None:
    return next((fault for fault in CallFault if fault == item.get("fault")), None)


def open_calls(step: Step) -> Sequence[Mapping[str, Any]]:
    """Banking calls that were taken and have no output yet."""
    return [item for item in calls_of(step) if item.get("tellergate") is not None and item["function"]["output"] is None]


def required(step: Step) -> Sequence[Object]:
    """Calls that the app is to execute, as `required_action` tells them."""
    return [
        {"id": app_call["id"], "type": "function", "function": {name: app_call["function"][name] for name in ("name", "arguments")}}
        for app_call in app_calls(step)
    ]


def changed_calls(before: Step, after: Step, own: Mapping[str, Any]) -> Sequence[Json]:
    """Deltas of the calls that were told something. `own`: of their run, which says how its listeners are told."""
    deltas: list[Json] = []
    for number, (old, new) in enumerate(zip(calls_of(before), calls_of(after), strict=True)):
        if new != old and tool_calls.is_tool(new) and not own.get(AS_FUNCTIONS):
            deltas.append(tool_calls.ended(new, number, with_content=bool(own.get("include"))))
        elif new != old:
            output = {"function": {"output": new["function"]["output"]}} if new["function"]["output"] is not None else {}
            deltas.append({"index": number, "type": "function", **output, "tellergate": new.get("tellergate")})
    return deltas


def _told(step: Step, answered: Mapping[str, Recorded]) -> Step:
    return with_calls(
        step, {item["id"]: _with_answer(item, answered[item["id"]]) for item in calls_of(step) if item["id"] in answered}
    )


def _with_answer(call: Mapping[str, Any], answered: Recorded) -> dict[str, Json]:
    output = None if answered.status.is_open else output_text(answered)
    result = {name: value for name, value in result_item(answered).items() if name != "native_id"}
    return {**call, "function": {**call["function"], "output": output}, "tellergate": result}


def _unknown(call: Mapping[str, Any]) -> Recorded:
    _LOG.log(*Alarm.RUN_OUTCOME_UNKNOWN.line(call_id=call["tellergate"]["call_id"]))
    code = Code.OUTCOME_UNKNOWN
    # not `in_doubt`: that would have no output, and the model is to be told now
    return Recorded(call["tellergate"]["call_id"], "", CallStatus.UNKNOWN, code, MESSAGES[code], None, None, reason=reason_of(code))
