"""What happens in a run, as the events of a response, and as the whole of it. Pure.

An item is told from its beginning to its end before the next of the same answer begins, but for calls that are made at once. A call that
waits for the customer ends a response in the foreground with a sentence of ours; in the background the response goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.domain.errors import Fault, RequestFault
from gateway.domain.states import RunState
from gateway.domain.strict_json import Json
from gateway.doors.responses_api.items import (
    APP_CALL,
    annotation,
    app_call,
    call_item_id,
    gateway_call,
    output_text,
    said,
    unfinished,
)
from gateway.doors.responses_api.shown import FAILED, HELD_TEXT, held_message, reason_of_run, status_of_held, whole
from gateway.runs.objects import Object
from gateway.runs.tool_calls import CodeFragments

_BROKE_OFF = "The answer broke off; what was done before stays done."
_GOES_ON = "The stream broke off, and the response may go on: ask for it by its id."


@dataclass(slots=True)
class _OpenCall:
    """A call whose end was not told yet. `call`: as its step has it. `result`: what became of it, for the app's back end."""

    key: tuple[str, int]
    at: int
    call: Mapping[str, Any]
    included: frozenset[str]
    arguments: str = ""
    result: Any = None
    code: CodeFragments = field(default_factory=CodeFragments)
    is_whole: bool = False
    """Whether it was told what it does."""
    id: str = field(init=False)
    kind: str = field(init=False)

    def __post_init__(self) -> None:
        begun = self.item()
        self.id, self.kind = begun["id"], begun["type"]

    @property
    def is_ours(self) -> bool:
        return "tellergate" in self.call

    @property
    def has_arguments(self) -> bool:
        """Whether its arguments are told as such, in events of their own."""
        return self.kind in ("mcp_call", "function_call")

    def item(self, output: str | None = None, status: str = "completed") -> Object:
        function = {"name": self.call["function"]["name"], "arguments": self.arguments, "output": output}
        call = {**self.call, "function": function}
        if self.is_ours:
            return gateway_call({**call, "tellergate": self.result}, *self.key, self.included)
        return app_call(call_item_id(APP_CALL, *self.key), call, status)


@dataclass(slots=True, kw_only=True)
class ResponseEvents:
    """One response as it grows. `asked`: what of it does not change. `is_streamed`: events come out of `told`; else `response` is asked at
    the end."""

    asked: Mapping[str, Json]
    is_streamed: bool
    included: frozenset[str] = frozenset()
    """What items tell because it was asked for."""
    conversation: str = ""
    is_over: bool = False
    is_left: bool = False
    """The run goes on though the response has ended: it waits for the customer."""
    done: bytes = b""
    broken: bytes = b""
    _number: int = 0
    _output: list[Object] = field(default_factory=list)
    _message: tuple[str, int, list[str], list[Json]] | None = None
    _later: list[tuple[str, Object]] = field(default_factory=list)
    _calls: dict[tuple[str, int], _OpenCall] = field(default_factory=dict)
    _confirmations: list[Json] = field(default_factory=list)
    _results: dict[str, Json] = field(default_factory=dict)
    _ended: Object | None = None
    _failure: str | None = None

    def begun(self) -> bytes:
        """The first events."""
        first = self.at_first() if self.asked["background"] else self._whole("in_progress")
        return self._event("response.created", response=first) + self._event(
            "response.in_progress", response=self._whole("in_progress")
        )

    def at_first(self) -> Object:
        """The response before anything happened."""
        return self._whole("queued")

    @property
    def ends_run(self) -> bool:
        """Whether nobody can hear any more how a run ends that waits for the customer."""
        return self.is_left and not self.asked["store"]

    def told(self, name: str, shown: Object) -> bytes:
        if self.is_over:
            return b""
        kind, _, what = name.removeprefix("thread.").rpartition(".")
        match kind:
            case "message":
                return self._of_message(what, shown)
            case "run.step" if self._message is not None:
                self._later.append((what, shown))  # an item ends before the next begins
                return b""
            case "run.step":
                return self._of_step(what, shown)
            case "run":
                return self._of_run(what, shown)
        return b""

    def response(self) -> Object:
        """The whole of it. RequestFault RUN_FAILED where it has none."""
        if self._ended is None or self._failure is not None:
            raise RequestFault(Fault.RUN_FAILED, self._failure or _BROKE_OFF)
        return self._ended

    # messages

    def _of_message(self, what: str, shown: Object) -> bytes:
        match what:
            case "created":
                item = said(shown["id"], "in_progress")
                self._message = shown["id"], self._begin(item), [], []
                id_, at, _, _ = self._message
                return self._event("response.output_item.added", output_index=at, item=item) + self._event(
                    "response.content_part.added", item_id=id_, output_index=at, content_index=0, part=output_text("")
                )
            case "delta":
                texts = [part["text"] for part in shown["delta"]["content"] if part["type"] == "text"]
                return b"".join(self._said(text["value"]) + self._noted(text["annotations"]) for text in texts)
            case "completed" | "incomplete":
                return self._end_message(what) + self._caught_up()
        return b""

    def _said(self, text: str) -> bytes:
        if self._message is None or not text:
            return b""
        id_, at, texts, _ = self._message
        texts.append(text)
        return self._event("response.output_text.delta", item_id=id_, output_index=at, content_index=0, delta=text, logprobs=[])

    def _noted(self, annotations: Sequence[Mapping[str, Any]]) -> bytes:
        if self._message is None:
            return b""
        (id_, at, _, known), told = self._message, b""
        for noted in map(annotation, annotations):
            where = {"item_id": id_, "output_index": at, "content_index": 0}
            told += self._event("response.output_text.annotation.added", **where, annotation_index=len(known), annotation=noted)
            known.append(noted)
        return told

    def _end_message(self, status: str) -> bytes:
        if self._message is None:
            return b""
        (id_, at, texts, annotations), self._message = self._message, None
        text, where = "".join(texts), {"item_id": id_, "output_index": at, "content_index": 0}
        part = output_text(text, annotations)
        item = self._output[at] = said(id_, status, part)
        return (
            self._event("response.output_text.done", **where, text=text, logprobs=[])
            + self._event("response.content_part.done", **where, part=part)
            + self._event("response.output_item.done", output_index=at, item=item)
        )

    def _caught_up(self) -> bytes:
        """What was told of calls while a message had not ended."""
        later, self._later = self._later, []
        return b"".join(self._of_step(what, shown) for what, shown in later)

    # calls

    def _of_step(self, what: str, shown: Object) -> bytes:
        if what == "delta":
            return b"".join(self._of_call(shown["id"], call) for call in shown["delta"]["step_details"]["tool_calls"])
        if what == "in_progress":  # its answer is whole: its calls are done now
            return b"".join(self._doing(call) for key, call in self._calls.items() if key[0] == shown["id"])
        if what in ("failed", "cancelled", "expired"):  # of a response that has failed
            return b"".join(self._end_call(key, None) for key in [key for key in self._calls if key[0] == shown["id"]])
        return b""

    def _of_call(self, step: str, call: Mapping[str, Any]) -> bytes:
        key, function, told = (step, call["index"]), call.get("function", {}), b""
        if "name" in function:
            told += self._begin_call(key, call)
        if key not in self._calls:
            return told  # it began before this response
        item = self._calls[key]
        if fragment := function.get("arguments"):
            item.arguments += fragment
            if item.has_arguments:
                told += self._event(f"response.{item.kind}_arguments.delta", item_id=item.id, output_index=item.at, delta=fragment)
            elif item.kind == "code_interpreter_call":
                told += self._code(item, item.code.feed(fragment))
        if (result := call.get("tellergate")) is not None:
            item.result = result
            self._results[result["call_id"]] = {"function": item.call["function"]["name"], **result}
            self._output[item.at] = item.item()
        if function.get("output") is not None:
            told += self._end_call(key, function["output"])
        return told

    def _begin_call(self, key: tuple[str, int], call: Mapping[str, Any]) -> bytes:
        begun = _OpenCall(key, len(self._output), call, self.included)
        item = begun.item(status="in_progress")
        self._calls[key] = begun
        self._begin(item)
        told = self._event("response.output_item.added", output_index=begun.at, item=item)
        if begun.is_ours:
            told += self._event(f"response.{begun.kind}.in_progress", item_id=begun.id, output_index=begun.at)
        return told

    def _doing(self, call: _OpenCall) -> bytes:
        where = {"item_id": call.id, "output_index": call.at}
        match call.kind:
            case "file_search_call":
                return self._event("response.file_search_call.searching", **where)
            case "code_interpreter_call":
                return self._whole_code(call) + self._event("response.code_interpreter_call.interpreting", **where)
        return b""

    def _code(self, call: _OpenCall, fragment: str) -> bytes:
        if not fragment:
            return b""
        return self._event("response.code_interpreter_call_code.delta", item_id=call.id, output_index=call.at, delta=fragment)

    def _whole_code(self, call: _OpenCall) -> bytes:
        """Once."""
        if call.is_whole or call.kind != "code_interpreter_call":
            return b""
        call.is_whole, where = True, {"item_id": call.id, "output_index": call.at}
        told = self._code(call, call.code.end())
        return told + self._event("response.code_interpreter_call_code.done", **where, code=call.item()["code"])

    def _end_call(self, key: tuple[str, int], output: str | None) -> bytes:
        """`output` None: of one of the app's; of one of ours: it has none yet."""
        call = self._calls.pop(key)
        call.arguments = call.arguments or "{}"  # as a call without any is taken
        item = self._output[call.at] = unfinished(call.item(output))
        where = {"item_id": call.id, "output_index": call.at}
        told = self._event(f"response.{call.kind}_arguments.done", **where, arguments=call.arguments) if call.has_arguments else b""
        told += self._whole_code(call)
        if call.is_ours and output is not None and (call.kind == "mcp_call" or item["status"] == "completed"):
            told += self._event(f"response.{call.kind}.{item['status']}", **where)
        return told + self._event("response.output_item.done", output_index=call.at, item=item)

    def _end_calls(self) -> bytes:
        """Of all that have not ended."""
        return b"".join(self._end_call(key, None) for key in list(self._calls))

    # the run

    def _of_run(self, what: str, shown: Object) -> bytes:
        match what:
            case "in_progress":
                self._confirmations = shown["tellergate"]["confirmations"]
                if not self._confirmations:
                    return b""
                if self.asked["background"]:
                    return self._event("response.in_progress", response=self._whole("in_progress"))
                self.is_left = True
                return self._held() + self._end(status_of_held(self.asked), shown)
            case "requires_action" | "completed":
                return self._end("completed", shown)
            case "incomplete":
                return self._end("incomplete", shown, reason=reason_of_run(shown["incomplete_details"]))
            case "failed" | "expired" | "cancelled":
                self._failure = FAILED[RunState(what)]
                return self._end("cancelled" if what == "cancelled" else "failed", shown, error=self._failure)
        return b""

    def _held(self) -> bytes:
        told = self._end_calls()
        item = held_message(str(self.asked["id"]))
        begun = self._of_message("created", {"id": item["id"]})
        return told + begun + self._said(HELD_TEXT) + self._end_message("completed")

    def _end(self, status: str, shown: Object, **more: Any) -> bytes:
        told = self._end_message("incomplete") + self._caught_up()
        told += self._end_calls()
        self.is_over = True
        more |= {"usage": shown["usage"], "completed_at": shown["completed_at"] or self.asked["created_at"]}
        self._ended = self._whole(status, **more)
        return told + self._event(f"response.{'failed' if status == 'cancelled' else status}", response=self._ended)

    # helpers

    def _begin(self, item: Object) -> int:
        self._output.append(item)
        return len(self._output) - 1

    def _whole(self, status: str, **more: Any) -> Object:
        calls = list(self._results.values())
        told: Any = {"conversation": self.conversation, "calls": calls, "confirmations": self._confirmations}
        return whole(self.asked, status, self._output, **told, **more)

    def _event(self, kind: str, **rest: Any) -> bytes:
        if not self.is_streamed:
            return b""
        told = _sse(kind, {"type": kind, "sequence_number": self._number, **rest})
        self._number += 1
        wrong = {"code": Fault.RUN_FAILED.value, "message": _GOES_ON if self.asked["background"] else _BROKE_OFF, "param": None}
        self.broken = _sse("error", {"type": "error", "sequence_number": self._number, **wrong})
        return told


def _sse(kind: str, value: object) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(value) + b"\n\n"
