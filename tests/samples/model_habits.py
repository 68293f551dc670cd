"""Habits of model servers that do not keep to the API, and what is decided for each: one table, through both APIs, streamed and whole.

Reported of the servers that are named (their trackers, and those of their clients); the bytes are ours. `show` is a function of the app's
with a parameter, `list_accounts` the bank's own without one. What has one reading is `read`; a call that has two, or none, is `refused`,
on record, and the model is told; a run is `ended` only where nothing can be read.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.models import chunk, named, response_object, sse

ARGUMENTS, OTHERS = '{"page":"Zoë"}', '{"page":"2"}'
LONG_ID = "x" * 1000


@dataclass(frozen=True)
class CallSeen:
    """A call as it was taken. `became`: `app` (handed to it), `done`, or the reason for which it was refused."""

    name: str
    arguments: str
    became: str


@dataclass(frozen=True)
class Outcome:
    """What comes of an answer. `ended`: the run failed."""

    text: str = ""
    calls: tuple[CallSeen, ...] = ()
    ended: bool = False

    @property
    def word(self) -> str:
        if self.ended:
            return "ended"
        return "refused" if any(call.became not in ("app", "done") for call in self.calls) else "read"


@dataclass(frozen=True)
class Habit:
    """Each form is the body of an answer; None where the habit does not exist there. `other`: what comes of it over Responses, if another
    thing does.
    """

    name: str
    seen: str
    comes_to: Outcome
    chat: bytes | None = None
    chat_whole: bytes | None = None
    responses: bytes | None = None
    responses_whole: bytes | None = None
    other: Outcome | None = None

    def forms(self, api: str) -> dict[str, bytes]:
        """The bodies by their form, `streamed` and `whole`."""
        both = (self.chat, self.chat_whole) if api == "chat" else (self.responses, self.responses_whole)
        return {form: body for form, body in zip(("streamed", "whole"), both, strict=True) if body is not None}

    def expected(self, api: str) -> Outcome:
        return self.other if api == "responses" and self.other is not None else self.comes_to


HELLO, ENDED = Outcome("Hello."), Outcome(ended=True)
SHOW = Outcome(calls=(CallSeen("show", ARGUMENTS, "app"),))
TWO = Outcome(calls=(CallSeen("show", ARGUMENTS, "app"), CallSeen("show", OTHERS, "app")))
LIST = Outcome(calls=(CallSeen("list_accounts", "{}", "done"),))


def unreadable(*calls: tuple[str, str]) -> Outcome:
    return Outcome(calls=tuple(CallSeen(name, arguments, "unreadable") for name, arguments in calls))


def unknown(name: str) -> Outcome:
    return Outcome(calls=(CallSeen(name, "{}", "unknown_function"),))


# Chat Completions


def part(index: object = 0, id: object = "a", name: object = "show", arguments: object = None, **more: object) -> dict[str, object]:  # noqa: A002
    """A fragment of a call. What is `...` is absent."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not ...}
    head = {"index": index, "id": id, "type": "function", "function": function, **more}
    return {key: value for key, value in head.items() if value is not ...}


def rest(arguments: object, index: object = 0, **more: object) -> dict[str, object]:
    return {key: value for key, value in {**part(index, ..., ..., arguments, type=...), **more}.items() if value is not ...}


def chat(*parts: dict[str, object], finish: object = "tool_calls", end: bool = True) -> bytes:
    """A stream with one fragment in each event."""
    chunks = [chunk({"role": "assistant", "content": None}), *(chunk({"tool_calls": [item]}) for item in parts)]
    return sse(*chunks, *([chunk({}, finish)] if end else []))  # type: ignore[arg-type]  # it is what servers write


def said(*deltas: object, finish: object = "stop") -> bytes:
    return sse(*(chunk(delta) for delta in deltas), chunk({}, finish))  # type: ignore[arg-type]


def chat_whole(*calls: dict[str, object], text: object = None, finish: object = "tool_calls", **message: object) -> bytes:
    """A `chat.completion`, not streamed."""
    listed = {"tool_calls": list(calls)} if calls else {}
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **listed, **message}}
    return json.dumps({"id": "1", "object": "chat.completion", "choices": [choice]}).encode()


def raw(*events: object) -> bytes:
    return sse(*events)


# Responses


def item(
    id: object = "fc_1",  # noqa: A002
    call_id: object = "a",
    name: object = "show",
    arguments: object = ARGUMENTS,
    **more: object,
) -> dict[str, object]:
    head = {"type": "function_call", "id": id, "call_id": call_id, "name": name, "arguments": arguments, **more}
    return {key: value for key, value in head.items() if value is not ...}


def message(text: object = "Hello.", **more: object) -> dict[str, object]:
    return {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": text}], **more}


def event(kind: str, index: object = 0, item_id: object = "fc_1", **more: object) -> dict[str, object]:
    head = {"type": f"response.{kind}", "output_index": index, "item_id": item_id, **more}
    return {key: value for key, value in head.items() if value is not ...}


def added(of: dict[str, object], index: object = 0) -> dict[str, object]:
    return event("output_item.added", index, ..., item=of)


def done(of: dict[str, object], index: object = 0) -> dict[str, object]:
    return event("output_item.done", index, ..., item=of)


def piece(arguments: object, index: object = 0, item_id: object = "fc_1") -> dict[str, object]:
    return event("function_call_arguments.delta", index, item_id, delta=arguments)


def completed(*output: object, **more: object) -> dict[str, object]:
    return {"type": "response.completed", "response": {**response_object("completed", output), **more}}


def stream(*events: dict[str, object], end: dict[str, object] | None = None) -> bytes:
    return b"".join(named(*events, completed() if end is None else end))


def told(of: dict[str, object], index: object = 0) -> list[dict[str, object]]:
    """An item as it is told by the API."""
    begun = {**of, "arguments": ""}
    arguments = str(of.get("arguments", ""))
    return [
        added(begun, index),
        piece(arguments[:4], index, of.get("id", ...)),
        piece(arguments[4:], index, of.get("id", ...)),
        done(of, index),
    ]


def whole(*output: object, **more: object) -> bytes:
    return json.dumps({**response_object("completed", output), **more}).encode()


def text_delta(text: object = "Hello.", **more: object) -> dict[str, object]:
    return {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "m", "delta": text, **more}


_CHUNKS = (chunk({"content": "Hel"}), chunk({"content": "lo."}), chunk({}, "stop"))
_EVENTS = (text_delta("Hel"), text_delta("lo."), completed())
_CHAT_HELLO, _RESPONSES_HELLO = sse(*_CHUNKS), b"".join(named(*_EVENTS))
_A, _B = item(), item("fc_2", "b", arguments=OTHERS)
_LIST = item(name="list_accounts", arguments="{}")


def lines(body: bytes, ending: bytes) -> bytes:
    return body.replace(b"\n", ending)


def dense(body: bytes) -> bytes:
    """One line end between events in the place of an empty line, and no names of events."""
    kept = [line for line in body.split(b"\n") if line.startswith(b"data")]
    return b"\n".join(kept) + b"\n\n"


def by_bytes(name: str, seen: str, change: "object", outcome: Outcome = HELLO) -> Habit:
    """A habit of the stream itself, whatever it says."""
    assert callable(change)
    return Habit(name, seen, outcome, chat=change(_CHAT_HELLO), responses=change(_RESPONSES_HELLO))


STREAMS: Sequence[Habit] = (
    by_bytes("a byte order mark before the first event", "proxies on .NET", lambda body: b"\xef\xbb\xbf" + body),
    by_bytes("lines end with CR LF", "sse-starlette", lambda body: lines(body, b"\r\n")),
    by_bytes("lines end with CR alone", "SSE by its standard", lambda body: lines(body, b"\r")),
    by_bytes("no space behind `data:`", "Spring AI, Go servers", lambda body: body.replace(b"data: ", b"data:")),
    by_bytes("comments between the events", "OpenRouter", lambda body: b": OPENROUTER PROCESSING\n\n" + body),
    by_bytes("empty `data:` as a sign of life", "Cloudflare, gateways", lambda body: b"data:\n\n" + body),
    by_bytes("`id` and `retry` with the events", "Spring AI", lambda body: b"id: 1\nretry: 3000\n" + body),
    by_bytes("one line end between events", "TGI, home-made servers", dense),
    by_bytes(
        "the last event without its empty line",
        "llama.cpp, early",
        lambda body: body.removesuffix(b"data: [DONE]\n\n").rstrip(b"\n"),
    ),
    by_bytes("blanks before the first event", "proxies", lambda body: b"\n\n" + body),
    by_bytes(
        "an error in the stream",
        "vLLM, OpenRouter",
        lambda body: b'data: {"error": {"message": "out of memory", "code": 500}}\n\n',
        ENDED,
    ),
    by_bytes("a page in the place of an answer", "proxies", lambda body: b"<html>Bad gateway</html>", ENDED),
    by_bytes("JSON that is cut off", "proxies", lambda body: body[: len(body) // 3], ENDED),
    by_bytes(
        "a name twice in one object", "home-made servers", lambda body: b'data: {"type":"error","type":"ping"}\n\n' + body, ENDED
    ),
)

TEXTS: Sequence[Habit] = (
    Habit(
        "`finish_reason` is empty until the end",
        "Ollama, SGLang",
        HELLO,
        chat=raw(chunk({"content": "Hello."}, ""), chunk({}, "stop")),
        chat_whole=chat_whole(text="Hello.", finish="stop"),
    ),
    Habit(
        "`finish_reason` in the event of the last text",
        "vLLM",
        HELLO,
        chat=raw(chunk({"content": "Hel"}), chunk({"content": "lo."}, "stop")),
    ),
    Habit(
        "`finish_reason` is `eos_token`",
        "TGI",
        HELLO,
        chat=said({"content": "Hello."}, finish="eos_token"),
        chat_whole=chat_whole(text="Hello.", finish="eos_token"),
    ),
    Habit(
        "`finish_reason` is `end_turn`",
        "LiteLLM",
        HELLO,
        chat=said({"content": "Hello."}, finish="end_turn"),
        chat_whole=chat_whole(text="Hello.", finish="end_turn"),
    ),
    Habit(
        "`finish_reason` in capitals",
        "Gemini's",
        HELLO,
        chat=said({"content": "Hello."}, finish="STOP"),
        chat_whole=chat_whole(text="Hello.", finish="STOP"),
    ),
    Habit(
        "`finish_reason` is `tool_calls`, and there is a text alone",
        "vLLM, llama.cpp",
        HELLO,
        chat=said({"content": "Hello."}, finish="tool_calls"),
        chat_whole=chat_whole(text="Hello."),
    ),
    Habit(
        "`finish_reason` that nobody knows",
        "SGLang (`abort`)",
        ENDED,
        chat=said({"content": "Hello."}, finish="abort"),
        chat_whole=chat_whole(text="Hello.", finish="abort"),
    ),
    Habit(
        "no `finish_reason` before the end",
        "vLLM, now and then",
        ENDED,
        chat=raw(chunk({"content": "Hello."})),
        chat_whole=chat_whole(text="Hello.", finish=None),
    ),
    Habit(
        "the content as a list of parts",
        "Mistral",
        HELLO,
        chat=said({"content": [{"type": "thinking", "thinking": []}, {"type": "text", "text": "Hello."}]}),
        chat_whole=chat_whole(text=[{"type": "text", "text": "Hello."}], finish="stop"),
        responses_whole=whole(message(content="Hello.")),
    ),
    Habit(
        "reasoning beside the text",
        "DeepSeek, vLLM",
        HELLO,
        chat=said({"reasoning_content": "They ask."}, {"content": "Hello."}),
        chat_whole=chat_whole(text="Hello.", finish="stop", reasoning_content="They ask."),
        responses=stream(added({"type": "reasoning", "id": "r"}, 1), text_delta()),
        responses_whole=whole({"type": "reasoning", "id": "r", "summary": []}, message()),
    ),
    Habit(
        "an empty answer",
        "many models, after a call",
        ENDED,
        chat=said({"content": ""}),
        chat_whole=chat_whole(text="", finish="stop"),
        responses=stream(),
        responses_whole=whole(),
    ),
    Habit("choices are empty in the first event", "Azure OpenAI", HELLO, chat=raw(chunk(prompt_filter_results=[]), *_CHUNKS)),
    Habit(
        "the usage in an event without choices",
        "Groq, proxies",
        HELLO,
        chat=raw(*_CHUNKS, {"usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
    ),
    Habit(
        "the usage in each event",
        "vLLM",
        HELLO,
        chat=raw(*({**item, "usage": {"prompt_tokens": 1, "completion_tokens": 2}} for item in _CHUNKS)),
    ),
    Habit(
        "the whole message in the last event again",
        "Perplexity",
        HELLO,
        chat=raw(
            chunk({"content": "Hello."}),
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "message": {"content": "Hello."}}]},
        ),
        responses=stream(text_delta(), end=completed(message())),
    ),
    Habit(
        "another message in the last event",
        "home-made servers",
        ENDED,
        chat=raw(
            chunk({"content": "Hello."}),
            {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "message": {"content": "Goodbye."}}]},
        ),
        responses=stream(text_delta(), end=completed(message("Goodbye."))),
    ),
    Habit(
        "it goes on after its end",
        "home-made servers",
        ENDED,
        chat=raw(*_CHUNKS, *_CHUNKS),
        responses=b"".join(named(*_EVENTS, *_EVENTS)),
    ),
    Habit("a text without its place", "LM Studio", HELLO, responses=stream(text_delta(output_index=None, content_index=None))),
    Habit(
        "the text in the end alone",
        "SGLang's router",
        HELLO,
        responses=stream(end=completed(message())),
        chat=raw({"choices": [{"finish_reason": "stop", "message": {"content": "Hello."}}]}),
    ),
    Habit(
        "the event's kind in its name alone",
        "home-made servers",
        HELLO,
        responses=b'event: response.output_text.delta\ndata: {"delta":"Hello."}\n\n'
        b'event: response.completed\ndata: {"response":{"status":"completed"}}\n\n',
    ),
    Habit(
        "the end without its status",
        "home-made servers",
        HELLO,
        responses=stream(text_delta(), end={"type": "response.completed", "response": {}}),
    ),
)

CALLS: Sequence[Habit] = (
    Habit(
        "all parallel calls under index 0 with ids of their own",
        "NVIDIA Dynamo, Ollama",
        TWO,
        chat=chat(part(0, "a", arguments=ARGUMENTS), part(0, "b", arguments=OTHERS)),
        chat_whole=chat_whole(part(0, "a", arguments=ARGUMENTS), part(0, "b", arguments=OTHERS)),
        responses=stream(*told(_A, 0), *told(_B, 0)),
    ),
    Habit(
        "all parallel calls under index 0, in pieces",
        "NVIDIA Dynamo",
        TWO,
        chat=chat(part(0, "a", arguments=""), rest(ARGUMENTS[:4]), rest(ARGUMENTS[4:]), part(0, "b", arguments=""), rest(OTHERS)),
    ),
    Habit(
        "no index",
        "Gemini, mistral.rs",
        TWO,
        chat=chat(part(..., "a", arguments=ARGUMENTS[:4]), rest(ARGUMENTS[4:], ...), part(..., "b", arguments=OTHERS)),
        chat_whole=chat_whole(part(..., "a", arguments=ARGUMENTS), part(..., "b", arguments=OTHERS)),
        responses=stream(*told(_A, ...), *told(_B, ...)),
        responses_whole=whole(_A, _B),
    ),
    Habit(
        "no index and no ids",
        "GLM by proxies",
        TWO,
        chat=chat(part(..., ..., arguments=ARGUMENTS), part(..., ..., arguments=OTHERS)),
        chat_whole=chat_whole(part(..., ..., arguments=ARGUMENTS), part(..., ..., arguments=OTHERS)),
        responses=stream(*told(item(..., ...), ...), *told(item(..., ..., arguments=OTHERS), ...)),
        responses_whole=whole(item(..., ...), item(..., ..., arguments=OTHERS)),
    ),
    Habit(
        "the index is a text",
        "home-made servers",
        SHOW,
        chat=chat(part("0", arguments=ARGUMENTS)),
        chat_whole=chat_whole(part("0", arguments=ARGUMENTS)),
    ),
    Habit(
        "the index counts from 1, or leaves some out",
        "proxies of Anthropic",
        TWO,
        chat=chat(part(1, "a", arguments=ARGUMENTS), part(7, "b", arguments=OTHERS)),
        responses=stream(*told(_A, 3), *told(_B, 9)),
    ),
    Habit(
        "each fragment under another index, with its call's id",
        "Nebius, Cerebras",
        SHOW,
        chat=chat(part(0, "a", arguments=ARGUMENTS[:4]), rest(ARGUMENTS[4:], 1, id="a")),
        responses=stream(added(item(arguments="")), piece(ARGUMENTS[:4], 1), piece(ARGUMENTS[4:], 2)),
    ),
    Habit(
        "a new id in each fragment",
        "vLLM",
        SHOW,
        chat=chat(part(0, "a", arguments=ARGUMENTS[:4]), rest(ARGUMENTS[4:], id="b")),
        responses=stream(
            added(item(arguments="")),
            piece(ARGUMENTS[:4], item_id="x"),
            piece(ARGUMENTS[4:], item_id="y"),
            done(item("z", "other")),
        ),
    ),
    Habit(
        "ids of a thousand characters",
        "Gemini's thought signatures",
        SHOW,
        chat=chat(part(0, LONG_ID, arguments=ARGUMENTS)),
        chat_whole=chat_whole(part(0, LONG_ID, arguments=ARGUMENTS)),
        responses=stream(*told(item(call_id=LONG_ID))),
        responses_whole=whole(item(call_id=LONG_ID)),
    ),
    Habit(
        "ids with blanks, or of other scripts",
        "home-made servers",
        SHOW,
        chat=chat(part(0, "an id é", arguments=ARGUMENTS)),
        chat_whole=chat_whole(part(0, "an id é", arguments=ARGUMENTS)),
        responses=stream(*told(item(call_id="an id é"))),
        responses_whole=whole(item(call_id="an id é")),
    ),
    Habit(
        "the id is empty, or null",
        "Gemini",
        SHOW,
        chat=chat(part(0, "", arguments=ARGUMENTS)),
        chat_whole=chat_whole(part(0, None, arguments=ARGUMENTS)),
        responses=stream(*told(item(call_id=""))),
        responses_whole=whole(item(call_id=None)),
    ),
    Habit(
        "the id is a number",
        "home-made servers",
        SHOW,
        chat=chat(part(0, 7, arguments=ARGUMENTS)),
        chat_whole=chat_whole(part(0, 7, arguments=ARGUMENTS)),
    ),
    Habit(
        "two calls with one id",
        "llama.cpp, Qwen's parsers",
        unreadable(("show", ARGUMENTS), ("show", OTHERS)),
        chat=chat(part(0, "a", arguments=ARGUMENTS), part(1, "a", arguments=OTHERS)),
        chat_whole=chat_whole(part(0, "a", arguments=ARGUMENTS), part(1, "a", arguments=OTHERS)),
        responses=stream(*told(_A, 0), *told(item("fc_2", "a", arguments=OTHERS), 1)),
        responses_whole=whole(_A, item("fc_2", "a", arguments=OTHERS)),
    ),
    Habit(
        "one call told twice under two indices",
        "SGLang",
        SHOW,
        chat=chat(part(0, "a", arguments=ARGUMENTS), part(1, "a", arguments=ARGUMENTS)),
        chat_whole=chat_whole(part(0, "a", arguments=ARGUMENTS), part(1, "a", arguments=ARGUMENTS)),
        responses=stream(*told(_A, 0), *told(_A, 1)),
        responses_whole=whole(_A, _A),
    ),
    Habit(
        "the whole call again in the last event",
        "Qwen, DashScope",
        SHOW,
        chat=chat(part(0, "a", arguments=ARGUMENTS[:4]), rest(ARGUMENTS[4:]), part(0, "a", arguments=ARGUMENTS)),
        responses=stream(*told(_A), end=completed(item("fc_9", "z"))),
    ),
    Habit(
        "the call in the end alone",
        "SGLang's router",
        SHOW,
        chat=raw({"choices": [{"finish_reason": "tool_calls", "message": {"tool_calls": [part(arguments=ARGUMENTS)]}}]}),
        responses=stream(end=completed(_A)),
    ),
    Habit(
        "`type` is empty in fragments",
        "Qwen, DashScope",
        SHOW,
        chat=chat(part(0, "a", arguments=ARGUMENTS[:4]), rest(ARGUMENTS[4:], type="")),
        chat_whole=chat_whole(part(arguments=ARGUMENTS, type="")),
    ),
    Habit(
        "`type` is missing",
        "Ollama",
        SHOW,
        chat=chat(part(arguments=ARGUMENTS, type=...)),
        chat_whole=chat_whole(part(arguments=ARGUMENTS, type=...)),
    ),
    Habit(
        "a call of another kind",
        "custom tools",
        unreadable(("show", ARGUMENTS)),
        chat=chat(part(function=..., type="custom", custom={"name": "show", "input": ARGUMENTS})),
        chat_whole=chat_whole(part(function=..., type="custom", custom={"name": "show", "input": ARGUMENTS})),
        responses=stream(done(item(arguments=..., type="custom_tool_call", input=ARGUMENTS))),
        responses_whole=whole(item(arguments=..., type="custom_tool_call", input=ARGUMENTS)),
    ),
    Habit(
        "the older `function_call`",
        "older llama.cpp, Azure",
        SHOW,
        chat=said(
            {"function_call": {"name": "show", "arguments": ARGUMENTS[:4]}},
            {"function_call": {"arguments": ARGUMENTS[4:]}},
            finish="function_call",
        ),
        chat_whole=chat_whole(finish="function_call", function_call={"name": "show", "arguments": ARGUMENTS}),
    ),
    Habit(
        "the members of `function` one level up",
        "home-made servers",
        SHOW,
        chat=chat(part(function=..., type=..., name="show", arguments=ARGUMENTS) | {"name": "show", "arguments": ARGUMENTS}),
    ),
    Habit(
        "one call in the place of a list",
        "home-made servers",
        SHOW,
        chat=said({"tool_calls": part(arguments=ARGUMENTS)}, finish="tool_calls"),
        chat_whole=chat_whole(tool_calls=part(arguments=ARGUMENTS)),
    ),
    Habit(
        "the name is empty in later fragments",
        "LM Studio",
        SHOW,
        chat=chat(part(arguments=ARGUMENTS[:4]), part(0, ..., "", ARGUMENTS[4:])),
    ),
    Habit(
        "id and name in each fragment",
        "Mistral, Fireworks",
        SHOW,
        chat=chat(part(arguments=ARGUMENTS[:4]), part(arguments=ARGUMENTS[4:])),
    ),
    Habit(
        "the name comes after the arguments",
        "SGLang",
        SHOW,
        chat=chat(part(0, "a", ..., ARGUMENTS[:4]), part(0, ..., "show", ARGUMENTS[4:])),
        responses=stream(added(item(name=..., arguments="")), piece(ARGUMENTS), done(_A)),
    ),
    Habit(
        "blanks around a name",
        "Llama's parsers",
        SHOW,
        chat=chat(part(name=" show\n", arguments=ARGUMENTS)),
        chat_whole=chat_whole(part(name=" show", arguments=ARGUMENTS)),
        responses=stream(*told(item(name="show "))),
        responses_whole=whole(item(name=" show")),
    ),
    Habit(
        "a dot in a name",
        "gpt-oss (`functions.`)",
        unknown("functions.list_accounts"),
        chat=chat(part(name="functions.list_accounts", arguments="{}")),
        chat_whole=chat_whole(part(name="functions.list_accounts", arguments="{}")),
        responses=stream(*told(item(name="functions.list_accounts", arguments="{}"))),
        responses_whole=whole(item(name="functions.list_accounts", arguments="{}")),
    ),
    Habit(
        "a blank in a name",
        "small models",
        unknown("list accounts"),
        chat=chat(part(name="list accounts", arguments="{}")),
        chat_whole=chat_whole(part(name="list accounts", arguments="{}")),
        responses=stream(*told(item(name="list accounts", arguments="{}"))),
        responses_whole=whole(item(name="list accounts", arguments="{}")),
    ),
    Habit(
        "a name that was not offered",
        "small models",
        unknown("pay_everybody"),
        chat=chat(part(name="pay_everybody", arguments="{}")),
        chat_whole=chat_whole(part(name="pay_everybody", arguments="{}")),
        responses=stream(*told(item(name="pay_everybody", arguments="{}"))),
        responses_whole=whole(item(name="pay_everybody", arguments="{}")),
    ),
    Habit(
        "two names of one call",
        "home-made servers",
        unreadable(("show", ARGUMENTS)),
        chat=chat(part(arguments=ARGUMENTS[:4]), part(0, ..., "hide", ARGUMENTS[4:])),
    ),
    Habit(
        "a call without a name",
        "vLLM's parsers",
        unreadable(("_", ARGUMENTS)),
        chat=chat(part(name=..., arguments=ARGUMENTS)),
        chat_whole=chat_whole(part(name=None, arguments=ARGUMENTS)),
        responses=stream(*told(item(name=""))),
        responses_whole=whole(item(name=...)),
    ),
    Habit(
        "arguments are empty",
        "Claude by proxies",
        LIST,
        chat=chat(part(name="list_accounts", arguments="")),
        chat_whole=chat_whole(part(name="list_accounts", arguments="")),
        responses=stream(added(item(name="list_accounts", arguments="")), done(item(name="list_accounts", arguments=""))),
        responses_whole=whole(item(name="list_accounts", arguments="")),
    ),
    Habit(
        "arguments are null",
        "Azure AI, langroid",
        LIST,
        chat=chat(part(name="list_accounts", arguments=None)),
        chat_whole=chat_whole(part(name="list_accounts", arguments="null")),
        responses=stream(done(item(name="list_accounts", arguments=None))),
        responses_whole=whole(item(name="list_accounts", arguments="null")),
    ),
    Habit(
        "arguments are missing",
        "Ollama",
        LIST,
        chat=chat(part(name="list_accounts", arguments=...)),
        chat_whole=chat_whole(part(name="list_accounts", arguments=...)),
        responses=stream(done(item(name="list_accounts", arguments=...))),
        responses_whole=whole(item(name="list_accounts", arguments=...)),
    ),
    Habit(
        "arguments are an object",
        "Ollama, Mistral",
        Outcome(calls=(CallSeen("show", '{"page": "Zoë"}', "app"),)),
        chat=chat(part(arguments={"page": "Zoë"})),
        chat_whole=chat_whole(part(arguments={"page": "Zoë"})),
        responses=stream(done(item(arguments={"page": "Zoë"}))),
        responses_whole=whole(item(arguments={"page": "Zoë"})),
    ),
    Habit(
        "arguments that are no JSON",
        "small models",
        Outcome(calls=(CallSeen("list_accounts", "{page: 1", "argument"),)),
        chat=chat(part(name="list_accounts", arguments="{page: 1")),
        chat_whole=chat_whole(part(name="list_accounts", arguments="{page: 1")),
        responses=stream(*told(item(name="list_accounts", arguments="{page: 1"))),
        responses_whole=whole(item(name="list_accounts", arguments="{page: 1")),
    ),
    Habit(
        "each fragment repeats the arguments so far",
        "DashScope",
        Outcome(calls=(CallSeen("list_accounts", "{{}", "argument"),)),
        chat=chat(part(name="list_accounts", arguments="{"), rest("{}")),
        responses=stream(added(item(name="list_accounts", arguments="")), piece("{"), piece("{}")),
    ),
    Habit(
        "a character of the arguments cut in two",
        "servers in JavaScript",
        Outcome(calls=(CallSeen("show", '{"page":"\U0001f600"}', "app"),)),
        chat=chat(part(arguments='{"page":"HIGH'), rest('LOW"}')).replace(b"HIGH", rb"\ud83d").replace(b"LOW", rb"\ude00"),
        responses=stream(added(item(arguments="")), piece('{"page":"HIGH'), piece('LOW"}'))
        .replace(b"HIGH", rb"\ud83d")
        .replace(b"LOW", rb"\ude00"),
    ),
    Habit(
        "arguments that are no text",
        "home-made servers",
        unreadable(("list_accounts", '{"a":"\ufffd"}')),
        chat=chat(part(name="list_accounts", arguments='{"a":"\0"}')),
        chat_whole=chat_whole(part(name="list_accounts", arguments='{"a":"\0"}')),
        responses=stream(*told(item(name="list_accounts", arguments='{"a":"\0"}'))),
        responses_whole=whole(item(name="list_accounts", arguments='{"a":"\0"}')),
    ),
    Habit(
        "other arguments in the end",
        "vLLM",
        unreadable(("show", ARGUMENTS)),
        responses=stream(added(item(arguments="")), piece(ARGUMENTS), done(item(arguments=OTHERS))),
    ),
    Habit(
        "calls, and `finish_reason` is `stop`",
        "llama.cpp, Gemini",
        SHOW,
        chat=chat(part(arguments=ARGUMENTS), finish="stop"),
        chat_whole=chat_whole(part(arguments=ARGUMENTS), finish="stop"),
    ),
    Habit(
        "calls that the length cut off",
        "all",
        ENDED,
        chat=chat(part(arguments=ARGUMENTS[:4]), finish="length"),
        chat_whole=chat_whole(part(arguments=ARGUMENTS[:4]), finish="length"),
        responses=stream(
            added(item(arguments=ARGUMENTS[:4])), end={"type": "response.incomplete", "response": response_object("incomplete")}
        ),
        responses_whole=json.dumps(response_object("incomplete", [item(arguments=ARGUMENTS[:4])])).encode(),
    ),
    Habit("arguments of no call", "home-made servers", ENDED, responses=stream(piece(ARGUMENTS))),
    Habit(
        "33 calls in one answer",
        "models in a loop",
        ENDED,
        chat=chat(*(part(index, f"{index}", arguments=ARGUMENTS) for index in range(33))),
        responses_whole=whole(*(item(f"f{index}", f"{index}") for index in range(33))),
    ),
)

HABITS: Sequence[Habit] = (*STREAMS, *TEXTS, *CALLS)
