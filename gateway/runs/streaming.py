"""An answer of the model as it grows: told to who listens, and then kept. What goes out was looked at by `outgoing` first."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.domain.strict_json import Json
from gateway.runs import objects
from gateway.runs.answer import AnswerAssembly, CallBegun, ModelAnswer, NewArguments, News, NewText
from gateway.runs.model import Piece, Usage
from gateway.runs.objects import MESSAGE_FIELDS, STEP_FIELDS, Object, new_id, seconds, text_content
from gateway.runs.outgoing import OutgoingFilter
from gateway.store.runs import Run
from gateway.store.steps import Step
from gateway.store.threads import Message

Tell = Callable[[str, Object], None]


@dataclass(slots=True, kw_only=True)
class MessageStream:
    """One answer. Errors: ModelFailed, of what is no answer."""

    run: Run
    outgoing: OutgoingFilter
    tell: Tell
    is_banking: Callable[[str], bool]
    """Whether the gateway executes the function of this name; all others are the app's."""
    clock: Callable[[], datetime]
    assembly: AnswerAssembly = field(default_factory=lambda: AnswerAssembly(lambda: new_id("call")))
    _said: list[str] = field(default_factory=list)
    _message: tuple[Step, Message] | None = None
    _calls: Step | None = None

    def feed(self, piece: Piece) -> None:
        for news in self.assembly.feed(piece):
            self._tell(news)

    def ended(self) -> ModelAnswer:
        """The whole answer; its text has gone out."""
        answer = self.assembly.answer()
        if rest := self.outgoing.end():
            self._say(rest)
        return answer

    def kept(self, answer: ModelAnswer, status: str, reason: str | None = None) -> tuple[tuple[Step, ...], tuple[Message, ...]]:
        """Steps and messages of a whole answer. `status` of its message is completed, or incomplete for this reason."""
        usage = counted(answer.usage)
        messages = self._ended_message(status, reason, usage if self._message and not answer.calls else None)
        steps = [step for step, _ in messages]
        if answer.calls:
            begun = self._calls or self._begin_calls()
            calls: list[Json] = [self._call(call.id, call.name, call.arguments) for call in answer.calls]
            details: Json = {"type": "tool_calls", "tool_calls": calls}
            steps.append(replace(begun, body={**begun.body, "step_details": details, "usage": usage}))
        return tuple(steps), tuple(message for _, message in messages)

    def broken_off(self, reason: str) -> tuple[tuple[Step, ...], tuple[Message, ...]]:
        """Of an answer that is not whole: what was said of it stays; `reason` is run_cancelled, run_expired or run_failed."""
        state = reason.removeprefix("run_")
        at: dict[str, Json] = {f"{state}_at": seconds(self.clock())}
        if self._calls is not None:  # nothing of it was done: it was told, and is not kept
            self.tell(f"thread.run.step.{state}", objects.step(_with(self._calls, status=state, **at)))
        ended = self._ended_message("incomplete", reason, None)
        steps = tuple(_with(step, status=state, completed_at=None, **at) for step, _ in ended)
        for step in steps:
            self.tell(f"thread.run.step.{state}", objects.step(step))
        return steps, tuple(message for _, message in ended)

    def _tell(self, news: News) -> None:
        match news:
            case NewText(text):
                if passed := self.outgoing.feed(text):
                    self._say(passed)
            case CallBegun(index, id_, name):
                self._calls = self._calls or self._begin_calls()
                self._call_delta({"index": index, **self._call(id_, name, "")})
            case NewArguments(index, fragment):
                self._call_delta({"index": index, "type": "function", "function": {"arguments": fragment}})

    def _call(self, id_: str, name: str, arguments: str) -> dict[str, Json]:
        function: Json = {"name": name, "arguments": arguments, "output": None}
        ours: Mapping[str, Json] = {"tellergate": None} if self.is_banking(name) else {}
        return {"id": id_, "type": "function", "function": function, **ours}

    def _call_delta(self, call: Json) -> None:
        if self._calls is not None:
            self.tell("thread.run.step.delta", call_delta(self._calls.id, call))

    def _begin_calls(self) -> Step:
        return self._begin("tool_calls", {"type": "tool_calls", "tool_calls": []})

    def _say(self, text: str) -> None:
        if self._message is None:
            message = Message(new_id("msg"), self.run.thread, self.run.id, self.clock(), self._body("in_progress"), {})
            details: Json = {"type": "message_creation", "message_creation": {"message_id": message.id}}
            self._message = self._begin("message_creation", details), message
            shown = {**objects.message(message), "content": []}
            self.tell("thread.message.created", shown)
            self.tell("thread.message.in_progress", shown)
        self._said.append(text)
        part: Json = {"index": 0, "type": "text", "text": {"value": text, "annotations": []}}
        delta = {"id": self._message[1].id, "object": "thread.message.delta", "delta": {"content": [part]}}
        self.tell("thread.message.delta", delta)

    def _begin(self, kind: str, details: Json) -> Step:
        body = {**STEP_FIELDS, "assistant_id": self.run.assistant, "type": kind, "step_details": details}
        step = Step(new_id("step"), self.run.thread, self.run.id, self.clock(), body, {})
        self.tell("thread.run.step.created", objects.step(step))
        self.tell("thread.run.step.in_progress", objects.step(step))
        return step

    def _ended_message(self, status: str, reason: str | None, usage: Json) -> list[tuple[Step, Message]]:
        if self._message is None:
            return []
        at = seconds(self.clock())
        step, message = self._message
        message = replace(message, body=self._body(status, reason))
        step = _with(step, status="completed", completed_at=at, usage=usage)
        self.tell(f"thread.message.{status}", objects.message(message))
        if reason in (None, "max_tokens", "content_filter"):
            self.tell("thread.run.step.completed", objects.step(step))
        return [(step, message)]

    def _body(self, status: str, reason: str | None = None) -> dict[str, Json]:
        at = seconds(self.clock())
        return {
            **MESSAGE_FIELDS,
            "role": "assistant",
            "assistant_id": self.run.assistant,
            "content": text_content("".join(self._said)),
            "status": status,
            "completed_at": at if status == "completed" else None,
            "incomplete_at": at if status == "incomplete" else None,
            "incomplete_details": None if reason is None else {"reason": reason},
        }


def _with(step: Step, **changes: Json) -> Step:
    return replace(step, body={**step.body, **changes})


def call_delta(step: str, call: Json) -> Object:
    """What changed of one call of a step."""
    details = {"type": "tool_calls", "tool_calls": [call]}
    return {"id": step, "object": "thread.run.step.delta", "delta": {"step_details": details}}


def counted(usage: Usage | None) -> Json:
    """Tokens as the API tells them; zeros where the model's server did not count."""
    prompt, completion = (0, 0) if usage is None else (usage.prompt, usage.completion)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
