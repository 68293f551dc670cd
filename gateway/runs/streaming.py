"""An answer of the model as it grows: told to who listens, and then kept. What goes out was looked at by `outgoing` first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from gateway.domain.request import CallFault
from gateway.domain.strict_json import Json
from gateway.runs import objects, tool_calls
from gateway.runs.annotations import Annotating
from gateway.runs.answer import AnswerAssembly, CallBegun, ModelAnswer, NewArguments, News, NewText
from gateway.runs.model import Piece, ToolCall, Usage
from gateway.runs.objects import AS_FUNCTIONS, CONTAINER, MESSAGE_FIELDS, STEP_FIELDS, Object, new_id, own_of, seconds, text_content
from gateway.runs.outgoing import OutgoingFilter
from gateway.runs.tool_calls import CODE_INTERPRETER, FILE_SEARCH, CodeFragments
from gateway.store.runs import Run
from gateway.store.steps import Step
from gateway.store.threads import Message

_CUT_OFF: Json = {"code": "server_error", "message": "The answer was cut off before its calls were whole; none was done."}

Tell = Callable[[str, Object], None]


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What is written of an answer, and what its listeners are told once it is: never what the thread then does not have."""

    steps: tuple[Step, ...] = ()
    messages: tuple[Message, ...] = ()
    news: tuple[tuple[str, Object], ...] = ()

    def with_usage(self, usage: Json) -> "KeptAnswer":
        """With these tokens in its only step."""
        (step,) = self.steps
        step = _with(step, usage=usage)
        return replace(self, steps=(step,), news=(*self.news[:-1], (self.news[-1][0], objects.step(step))))


@dataclass(slots=True, kw_only=True)
class MessageStream:
    """One answer. Errors: ModelFailed, of what is no answer."""

    run: Run
    outgoing: OutgoingFilter
    tell: Tell
    is_banking: Callable[[str], bool]
    """Whether the gateway executes the function of this name; all others are the app's."""
    clock: Callable[[], datetime]
    sources: Mapping[str, Json] = field(default_factory=dict)
    """What the answer may cite, by how it writes that."""
    images: Sequence[str] = ()
    """Images that the run made and nobody was shown: they stand before its text."""
    with_content: bool = False
    calls_left: int | None = None
    """How many calls of ours are taken; None: no bound."""
    assembly: AnswerAssembly = field(default_factory=lambda: AnswerAssembly(lambda: new_id("call")))
    _said: list[str] = field(default_factory=list)
    _annotating: Annotating = field(init=False)
    _code: dict[int, CodeFragments] = field(default_factory=dict)
    _message: tuple[Step, Message] | None = None
    _calls: Step | None = None

    def __post_init__(self) -> None:
        self._annotating = Annotating(self.sources)

    def feed(self, piece: Piece) -> None:
        for news in self.assembly.feed(piece):
            self._tell(news)

    def ended(self) -> ModelAnswer:
        """The whole answer; its text has gone out."""
        answer = self.assembly.answer()
        self._say(*self._annotating.feed(self.outgoing.end()))
        self._say(*self._annotating.end())
        for index, fragments in self._code.items():
            self._code_delta(index, fragments.end())
        return answer

    def kept(self, answer: ModelAnswer, status: str, reason: str | None = None) -> KeptAnswer:
        """What is kept of a whole answer. `status` of its message is completed, or incomplete for this reason."""
        usage = counted(answer.usage)
        kept = self._message_as(status, reason, {"status": "completed", "completed_at": seconds(self.clock())})
        if kept.steps and not answer.calls:
            kept = kept.with_usage(usage)
        if answer.calls:
            begun = self._calls or self._begin_calls()
            begun = _with(begun, step_details=self._details(answer.calls), usage=usage)
            kept = replace(kept, steps=(*kept.steps, begun))
            if self._as_functions:  # as functions they have no shape of their own for what is done now
                kept = replace(kept, news=(*kept.news, ("thread.run.step.in_progress", objects.step(begun))))
        elif self._calls is not None:  # cut off: what was told of them stays, and none is done
            kept = self._with_calls(kept, {"status": "failed", "failed_at": seconds(self.clock()), "last_error": _CUT_OFF})
        return kept

    def broken_off(self, reason: str) -> KeptAnswer:
        """Of an answer that is not whole: what was told of it stays, and nothing of it was done; `reason` is run_cancelled, run_expired or
        run_failed. To be asked again with another reason if it was not written.
        """
        state = reason.removeprefix("run_")
        over: dict[str, Json] = {"status": state, f"{state}_at": seconds(self.clock())}
        kept = self._message_as("incomplete", reason, over)
        return kept if self._calls is None else self._with_calls(kept, over)

    def _tell(self, news: News) -> None:
        match news:
            case NewText(text):
                self._say(*self._annotating.feed(self.outgoing.feed(text)))
            case CallBegun(index, id_, name):
                self._calls = self._calls or self._begin_calls()
                call = self._call(ToolCall(id_, name, ""))
                if tool_calls.is_tool(call) and not self._as_functions:
                    self._code[index] = CodeFragments()
                    call = tool_calls.begun(call)
                self._call_delta({"index": index, **call})
            case NewArguments(index, fragment):
                if index in self._code:
                    self._code_delta(index, self._code[index].feed(fragment))
                else:
                    self._call_delta({"index": index, "type": "function", "function": {"arguments": fragment}})

    @property
    def _as_functions(self) -> bool:
        return bool(own_of(self.run).get(AS_FUNCTIONS))

    def _code_delta(self, index: int, fragment: str) -> None:
        if fragment:  # of file search none comes: what is looked for is told with the step
            self._call_delta({"index": index, "type": CODE_INTERPRETER, CODE_INTERPRETER: {"input": fragment}})

    def _call(self, call: ToolCall) -> dict[str, Json]:
        function: Json = {"name": call.name, "arguments": call.arguments, "output": None}
        ours: dict[str, Json] = {"tellergate": None} if self.is_banking(call.name) or call.fault is not None else {}
        if call.fault is not None:
            ours["fault"] = call.fault.value
        if ours and call.name == FILE_SEARCH:
            tools: Any = self.run.body["tools"]
            ours["ranking"] = tool_calls.ranking_of(tools)
        if ours and call.name == CODE_INTERPRETER and CONTAINER in own_of(self.run):
            ours[CONTAINER] = own_of(self.run)[CONTAINER]
        return {"id": call.id, "type": "function", "function": function, **ours}

    def _call_delta(self, call: Json) -> None:
        if self._calls is not None:
            self.tell("thread.run.step.delta", call_delta(self._calls.id, call))

    def _begin_calls(self) -> Step:
        return self._begin("tool_calls", {"type": "tool_calls", "tool_calls": []})

    def _say(self, text: str, annotations: Sequence[Json] = ()) -> None:
        if not text:
            return
        if self._message is None:
            message = Message(new_id("msg"), self.run.thread, self.run.id, self.clock(), self._body("in_progress"), {})
            details: Json = {"type": "message_creation", "message_creation": {"message_id": message.id}}
            self._message = self._begin("message_creation", details), message
            shown = {**objects.message(message), "content": []}
            self.tell("thread.message.created", shown)
            self.tell("thread.message.in_progress", shown)
            for number, image in enumerate(self._images()):
                self._message_delta(self._message[1], {"index": number, **image})
        self._said.append(text)
        told: Json = {"value": text, "annotations": list(annotations)}
        self._message_delta(self._message[1], {"index": len(self.images), "type": "text", "text": told})

    def _message_delta(self, message: Message, part: Json) -> None:
        self.tell("thread.message.delta", {"id": message.id, "object": "thread.message.delta", "delta": {"content": [part]}})

    def _images(self) -> list[dict[str, Json]]:
        return [{"type": "image_file", "image_file": {"file_id": id_, "detail": "auto"}} for id_ in self.images]

    def _begin(self, kind: str, details: Json) -> Step:
        body = {**STEP_FIELDS, "assistant_id": self.run.assistant, "type": kind, "step_details": details}
        step = Step(new_id("step"), self.run.thread, self.run.id, self.clock(), body, {})
        self.tell("thread.run.step.created", objects.step(step, with_content=self.with_content))
        self.tell("thread.run.step.in_progress", objects.step(step, with_content=self.with_content))
        return step

    def _message_as(self, status: str, reason: str | None, over: Mapping[str, Json]) -> KeptAnswer:
        """The message that was begun, if one was, with the end of its step."""
        if self._message is None:
            return KeptAnswer()
        begun, message = self._message
        step, message = _with(begun, **over), replace(message, body=self._body(status, reason))
        told = (
            (f"thread.message.{status}", objects.message(message)),
            (f"thread.run.step.{over['status']}", objects.step(step, with_content=self.with_content)),
        )
        return KeptAnswer((step,), (message,), told)

    def _with_calls(self, kept: KeptAnswer, over: Mapping[str, Json]) -> KeptAnswer:
        """With the step of the calls that were begun, as far as they were told; none of them is done."""
        step = _with(self._calls or self._begin_calls(), step_details=self._details(self.assembly.begun), **over)
        return replace(
            kept,
            steps=(*kept.steps, step),
            news=(*kept.news, (f"thread.run.step.{over['status']}", objects.step(step, with_content=self.with_content))),
        )

    def _details(self, calls: Sequence[ToolCall]) -> Json:
        ours = [call.id for call in calls if self.is_banking(call.name)]
        late = set() if self.calls_left is None else set(ours[self.calls_left :])
        taken = [replace(call, fault=call.fault or CallFault.TOO_MANY_CALLS) if call.id in late else call for call in calls]
        return {"type": "tool_calls", "tool_calls": [self._call(call) for call in taken]}

    def _body(self, status: str, reason: str | None = None) -> dict[str, Json]:
        at = seconds(self.clock())
        return {
            **MESSAGE_FIELDS,
            "role": "assistant",
            "assistant_id": self.run.assistant,
            "content": [*self._images(), *text_content("".join(self._said), self._annotating.annotations)],
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
