"""A response as its client sees it: what was asked, and what the run came to. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.domain.states import RunState
from gateway.domain.strict_json import Json
from gateway.doors.responses_api.items import MESSAGE, calls_made, output_items, output_text, said, unfinished
from gateway.doors.responses_api.schemas import HELD_AS, ResponseRequest
from gateway.runs.objects import Object, own_of, seconds
from gateway.store.responses import ResponseState

HELD_TEXT = "This needs your confirmation before it is done."

FAILED = {
    RunState.FAILED: "The model gave no usable answer; what was done before stays done.",
    RunState.EXPIRED: "The run took too long; what was done before stays done.",
    RunState.CANCELLED: "The run was cancelled; what was done before stays done.",
}


_NOT_TAKEN: Object = {
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "top_logprobs": 0,
    "service_tier": "default",
    "safety_identifier": None,
    "prompt_cache_key": None,
}
"""Options that change nothing here, as a response tells them that asked for none: the specification wants each to be there."""


def asked_body(id_: str, request: ResponseRequest, model: str, created: datetime) -> dict[str, Json]:
    """What of a response does not change."""
    form = request.text.format if request.text is not None and request.text.format is not None else None
    told: dict[str, Any] = {
        "id": id_,
        "object": "response",
        "created_at": seconds(created),
        "background": bool(request.background),
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "max_tool_calls": request.max_tool_calls,
        "model": model,
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": request.previous_response_id,
        "conversation": None if request.conversation_id is None else {"id": request.conversation_id},
        "reasoning": {"effort": None if request.reasoning is None else request.reasoning.effort, "summary": None},
        "store": request.store is not False,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "text": {"format": {"type": "text"} if form is None else form.model_dump(by_alias=True, exclude_unset=True)},
        "tool_choice": "auto" if request.tool_choice is None else _choice(request.tool_choice),
        "tools": [tool.model_dump() for tool in request.tools or ()],
        "top_p": 1.0 if request.top_p is None else request.top_p,
        "truncation": request.truncation or "auto",
        **_NOT_TAKEN,
        "metadata": dict(request.metadata or {}),
    }
    return told


def _choice(choice: Any) -> Any:
    return choice if isinstance(choice, str) else choice.model_dump()


def whole(
    asked: Mapping[str, Json],
    status: str,
    output: Iterable[Object],
    *,
    usage: Any = None,
    reason: str | None = None,
    error: str | None = None,
    completed_at: Any = None,
    conversation: str = "",
    calls: Sequence[Json] = (),
    confirmations: Sequence[Json] = (),
) -> Object:
    """The object. `reason`: why it is incomplete, None where the customer is to confirm something; `error`: what a failed one says;
    `usage`: as a run tells it."""
    return {
        **{name: value for name, value in asked.items() if name != "own"},
        "status": status,
        "output": list(output),
        "completed_at": completed_at if status == "completed" else None,
        "error": None if error is None else {"code": "server_error", "message": error},
        "incomplete_details": None if reason is None else {"reason": reason},
        "usage": None if usage is None else counted_usage(usage),
        "tellergate": {"conversation": conversation, "calls": list(calls), "confirmations": list(confirmations)},
    }


def counted_usage(usage: Mapping[str, int]) -> Object:
    return {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage["total_tokens"],
    }


def held_message(response: str) -> Object:
    """What a response says that ends because the customer is to confirm something."""
    return said(f"{MESSAGE}{response.removeprefix('resp_')}", "completed", output_text(HELD_TEXT))


def status_of_held(asked: Mapping[str, Any]) -> str:
    """As what such a response ends: as its request said."""
    return str(asked["metadata"].get(HELD_AS, "incomplete"))


def response_of_held(item: str) -> str:
    """Of which response such a message is, by its id, if it is one."""
    return f"resp_{item.removeprefix(MESSAGE)}"


def reason_of_run(details: Any) -> str:
    """Why a run is incomplete, as this API has it."""
    reason = (details or {}).get("reason")
    return "content_filter" if reason in (None, "content_filter") else "max_output_tokens"


def as_it_stands(state: ResponseState, included: frozenset[str] = frozenset()) -> Object:
    """A stored response. One that ended because the customer was to confirm something goes on once they have spoken. `included`: what
    items tell beside what its request asked to be told."""
    run, body = state.run, state.response.body
    items: list[Object] = output_items(state.messages, state.steps, included.union(state.response.own.get("include", ())))
    confirmations = own_of(run).get("confirmations", []) if state.is_last else []
    told: Any = {"conversation": state.conversation, "calls": calls_made(state.steps)}
    if not state.is_last or run.state is RunState.REQUIRES_ACTION:
        return whole(body, "completed", map(unfinished, items), **told, completed_at=body["created_at"])
    told |= {"usage": run.body["usage"], "confirmations": confirmations}
    match run.state:
        case RunState.COMPLETED:
            return whole(body, "completed", items, **told, completed_at=run.body["completed_at"])
        case RunState.INCOMPLETE:
            return whole(body, "incomplete", items, **told, reason=reason_of_run(run.body["incomplete_details"]))
        case RunState.FAILED | RunState.EXPIRED:
            return whole(body, "failed", items, **told, error=FAILED[run.state])
        case RunState.CANCELLED:
            return whole(body, "cancelled", items, **told)
        case RunState.QUEUED:
            return whole(body, "queued", items, **told)
    if confirmations and not body["background"]:
        told["completed_at"] = body["created_at"]
        return whole(body, status_of_held(body), [*map(unfinished, items), held_message(state.response.id)], **told)
    return whole(body, "in_progress", items, **told)
