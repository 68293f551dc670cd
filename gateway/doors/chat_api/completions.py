"""What happens in a run, as chunks of a chat completion, and as the whole of it. Pure.

A call that waits for the customer ends the answer with a sentence of ours: a client of this API can neither wait nor be called back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.strict_json import Json
from gateway.runs.objects import Object

HELD_TEXT = "This needs your confirmation before it is done."

_FAILED = {
    "failed": "The model gave no usable answer; what was done before stays done.",
    "expired": "The run took too long; what was done before stays done.",
    "cancelled": "The run was cancelled; what was done before stays done.",
}
_BROKE_OFF = "The answer broke off; what was done before stays done."


def _error(message: str) -> bytes:
    return _event({"error": {"message": message, "type": "server_error", "param": None, "code": Fault.RUN_FAILED.value}})


def _event(value: object) -> bytes:
    return b"data: " + orjson.dumps(value) + b"\n\n"


@dataclass(slots=True, kw_only=True)
class ChatEvents:
    """One answer as it grows. `id`: of the completion. `is_streamed`: chunks come out of `told`; else `completion` is asked at the end."""

    id: str
    created: int
    model: str
    conversation: str = ""
    is_streamed: bool
    with_usage: bool
    is_over: bool = False
    is_left: bool = False
    """The run goes on though the answer has ended: it waits for the customer."""
    done: bytes = b"data: [DONE]\n\n"
    broken: bytes = _error(_BROKE_OFF)
    _texts: list[str] = field(default_factory=list)
    _between: bool = False
    _names: dict[tuple[str, int], str] = field(default_factory=dict)
    _calls: dict[str, Object] = field(default_factory=dict)
    _confirmations: list[Json] = field(default_factory=list)
    _tool_calls: list[Object] = field(default_factory=list)
    _finish: str | None = None
    _usage: Json = None
    _error: str | None = None

    def begun(self) -> bytes:
        """The first chunk."""
        return self._chunk({"role": "assistant", "content": ""})

    def told(self, name: str, shown: Object) -> bytes:
        if self.is_over:
            return b""
        kind, _, what = name.removeprefix("thread.").rpartition(".")
        match kind:
            case "message":
                return self._of_message(what, shown)
            case "run.step":
                self._of_step(what, shown)
                return b""
            case "run":
                return self._of_run(what, shown)
        return b""

    def completion(self) -> Object:
        """The whole answer. RequestFault RUN_FAILED where it has none."""
        if self._error is not None or self._finish is None:
            raise RequestFault(Fault.RUN_FAILED, self._error or _BROKE_OFF)
        content = "".join(self._texts)
        message: Object = {"role": "assistant", "content": content or None, "refusal": None, "annotations": []}
        if self._tool_calls:
            message["tool_calls"] = self._tool_calls
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._finish}
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [choice],
            **({"usage": self._usage} if self._usage is not None else {}),
            "tellergate": self._extension(),
        }

    def _of_message(self, what: str, shown: Object) -> bytes:
        if what == "created":
            self._between = bool(self._texts)
        if what != "delta":
            return b""
        return b"".join(self._said(part["text"]["value"]) for part in shown["delta"]["content"] if part["type"] == "text")

    def _said(self, text: str) -> bytes:
        if self._between:
            text, self._between = f"\n\n{text}", False
        self._texts.append(text)
        return self._chunk({"content": text})

    def _of_step(self, what: str, shown: Object) -> None:
        """What became of the calls that were made for it."""
        if what != "delta":
            return
        for call in shown["delta"]["step_details"]["tool_calls"]:
            key = shown["id"], call["index"]
            if "function" in call and "name" in call["function"]:
                self._names[key] = call["function"]["name"]
            if (result := call.get("tellergate")) is not None:
                self._calls[result["call_id"]] = {"function": self._names.get(key, ""), **result}

    def _of_run(self, what: str, shown: Object) -> bytes:
        match what:
            case "in_progress" if shown["tellergate"]["confirmations"]:
                self.is_left = True
                self._confirmations = shown["tellergate"]["confirmations"]
                self._between = bool(self._texts)
                return self._said(HELD_TEXT) + self._end("stop", shown)
            case "requires_action":
                asked = shown["required_action"]["submit_tool_outputs"]["tool_calls"]
                self._tool_calls = [dict(call) for call in asked]
                chunk = self._chunk({"tool_calls": [{"index": number, **call} for number, call in enumerate(self._tool_calls)]})
                return chunk + self._end("tool_calls", shown)
            case "completed":
                return self._end("stop", shown)
            case "incomplete":
                reason = (shown["incomplete_details"] or {}).get(
                    "reason"
                )  # a run has no word for an answer that its server filtered
                return self._end("content_filter" if reason is None else "length", shown)
            case "failed" | "expired" | "cancelled":
                self.is_over, self._error = True, _FAILED[what]
                return _error(self._error) if self.is_streamed else b""
        return b""

    def _end(self, finish: str, shown: Object) -> bytes:
        self.is_over, self._finish, self._usage = True, finish, shown["usage"]
        last = self._chunk({}, finish)
        if not self.with_usage or not self.is_streamed:
            return last
        return last + _event({**self._head(), "choices": [], "usage": self._usage})

    def _chunk(self, delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        if not self.is_streamed:
            return b""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        more: Object = {"usage": None} if self.with_usage else {}
        if finish is not None:
            more["tellergate"] = self._extension()
        return _event({**self._head(), "choices": [choice], **more})

    def _head(self) -> Object:
        return {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model}

    def _extension(self) -> Object:
        """For the back end of the app: which calls were made, what became of them, and what waits for the customer."""
        return {
            "conversation": self.conversation,
            "calls": list(self._calls.values()),
            "confirmations": self._confirmations,
        }
