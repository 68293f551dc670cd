"""Habits of clients of Chat Completions and of Responses, and what is decided for each: taken, or refused with a code that stays.

Of whom a habit is, is known of the clients that the tests drive, and reported of the others. What is taken says nothing for the customer
but `WORD`, which is their newest message; `unsaid`: there is none. Nothing of it is an error of the server.
"""

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

WORD = "What time is it?"
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@dataclass(frozen=True)
class Refused:
    """With this status and code. `at`: the field that is named."""

    status: int
    code: str
    at: str | None = None


@dataclass(frozen=True)
class Sent:
    """`body`: changes to a plain question. `becomes`: None: it is taken. `told`: what the model reads of it, besides."""

    body: Mapping[str, Any] = field(default_factory=dict)
    becomes: Refused | None = None
    told: tuple[str, ...] = ()
    unsaid: bool = False


@dataclass(frozen=True)
class Wire:
    """A habit of the wire, whatever is asked: the body's bytes as they are sent, with which headers, and what follows the path."""

    encoded: Callable[[bytes], bytes] = bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = ""
    becomes: Refused | None = None


@dataclass(frozen=True)
class Habit:
    """None: it does not exist over that API."""

    name: str
    seen: str
    chat: Sent | None = None
    responses: Sent | None = None
    wire: Wire | None = None


_NO_JSON = Refused(400, "invalid_json")


def _chat(*before: Any, last: Any = WORD, **more: Any) -> Sent:
    newest = [] if last is None else [{"role": "user", "content": last}]
    return Sent({"messages": [*before, *newest]}, **more)


def _input(*before: Any, last: Any = WORD, **more: Any) -> Sent:
    newest = [] if last is None else [{"type": "message", "role": "user", "content": last}]
    return Sent({"input": [*before, *newest]}, **more)


def _unsupported(at: str) -> Refused:
    return Refused(400, "unsupported", at)


def _invalid(at: str | None) -> Refused:
    return Refused(400, "invalid_request", at)


def _call(id_: str = "call_1", name: str = "clock", arguments: Any = "{}") -> dict[str, Any]:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def _tool(content: Any = "noon", id_: str = "call_1", **more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id_, "content": content, **more}


def _user(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def _assistant(content: Any = None, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def _item(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content, **more}


def _function(name: str = "clock", **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}, **more}}


def _flat(name: str = "clock", **more: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": {"type": "object", "properties": {}}, **more}


def _same(**changes: Any) -> tuple[Sent, Sent]:
    """Over both, in the same words."""
    return Sent(changes), Sent(changes)


_CALLED, _NOON = {"type": "function_call", "call_id": "call_1", "name": "clock", "arguments": "{}"}, "noon"
_ANSWERED = {"type": "function_call_output", "call_id": "call_1", "output": _NOON}
_SCHEMA = {"type": "object", "properties": {"time": {"type": "string"}}, "required": ["time"], "additionalProperties": False}
_TEXT_PART = {"type": "text", "text": WORD}

HISTORY = (
    Habit(
        "an older question and its answer, resent",
        "all",
        _chat(_user("Pay Eve £900"), _assistant("No."), told=("Pay Eve £900",)),
        _input(_item("user", "Pay Eve £900"), _item("assistant", "No."), told=("Pay Eve £900",)),
    ),
    Habit(
        "`system` late in the history",
        "LangChain, Semantic Kernel",
        _chat(_user("Hi"), _assistant("Hi"), {"role": "system", "content": "Be brief."}, told=("Be brief.",)),
        _input(_item("user", "Hi"), _item("system", "Be brief."), told=("Be brief.",)),
    ),
    Habit(
        "`developer` in the place of `system`",
        "Vercel `ai`, OpenAI Agents SDK",
        _chat({"role": "developer", "content": "Be brief."}, told=("Be brief.",)),
        _input(_item("developer", "Be brief."), told=("Be brief.",)),
    ),
    Habit(
        "a `system` message alone",
        "AutoGen",
        _chat({"role": "system", "content": "Be brief."}, last=None, told=("Be brief.",), unsaid=True),
        _input(_item("system", "Be brief."), last=None, told=("Be brief.",), unsaid=True),
    ),
    Habit(
        "two questions, one after the other",
        "plain chats",
        _chat(_user("Hello."), told=("Hello.",)),
        _input(_item("user", "Hello."), told=("Hello.",)),
    ),
    Habit(
        "the answer's beginning, for the model to go on",
        "LiteLLM (`prefix`)",
        _chat(_user(WORD), _assistant("It is", prefix=True), last=None, told=("It is",)),
        _input(_item("user", WORD), _item("assistant", "It is"), last=None, told=("It is",)),
    ),
    Habit("no message", "", _chat(last=None, becomes=_invalid("messages")), _input(last=None, becomes=_invalid("input"))),
    Habit("`messages` are null", "", Sent({"messages": None}, _invalid("messages")), Sent({"input": None}, _invalid("input"))),
)

CONTENT = (
    Habit(
        'an empty answer (`""`) in the history',
        "LangChain, beside calls",
        _chat(_user("Hi"), _assistant("")),
        _input(_item("user", "Hi"), _item("assistant", "")),
    ),
    Habit("an answer whose content is null", "`openai`", _chat(_user("Hi"), _assistant(None)), None),
    Habit("an answer without content", "AutoGen, beside calls", _chat(_user("Hi"), {"role": "assistant"}), None),
    Habit(
        "an answer whose content is `[]`",
        "Vercel `ai`",
        _chat(_user("Hi"), _assistant([])),
        _input(_item("user", "Hi"), _item("assistant", [])),
    ),
    Habit('a question that is empty (`""`)', "plain chats", _chat(last="", unsaid=True), _input(last="", unsaid=True)),
    Habit("a question that is `[]`", "plain chats", _chat(last=[], unsaid=True), _input(last=[], unsaid=True)),
    Habit(
        "a question that is null",
        "",
        Sent({"messages": [_user(None)]}, _invalid("messages[0].content")),
        Sent({"input": [_item("user", None)]}, _invalid("input[0].content")),
    ),
    Habit(
        "the question in parts",
        "Vercel `ai`, LlamaIndex",
        _chat(last=[_TEXT_PART]),
        _input(last=[{"type": "input_text", "text": WORD}]),
    ),
    Habit(
        "parts of the other API",
        "proxies between both",
        _chat(last=[{"type": "input_text", "text": WORD}], becomes=_unsupported("messages[0].content[0]")),
        _input(last=[_TEXT_PART], becomes=_unsupported("input[0].content[0]")),
    ),
    Habit(
        "an image as `data:`",
        "all with pictures",
        _chat(last=[_TEXT_PART, {"type": "image_url", "image_url": {"url": PIXEL}}]),
        _input(last=[{"type": "input_text", "text": WORD}, {"type": "input_image", "image_url": PIXEL, "detail": "auto"}]),
    ),
    Habit(
        "an image by `http:`",
        "plain chats",
        _chat(
            last=[_TEXT_PART, {"type": "image_url", "image_url": {"url": "http://evil.example/a.png"}}],
            becomes=_invalid("messages[0].content[1].image_url.url"),
        ),
        _input(
            last=[{"type": "input_text", "text": WORD}, {"type": "input_image", "image_url": "http://evil.example/a.png"}],
            becomes=_invalid("input[0].content[1].image_url"),
        ),
    ),
    Habit(
        "an image's URL as a text in the place of an object",
        "Ollama's examples",
        _chat(last=[_TEXT_PART, {"type": "image_url", "image_url": PIXEL}], becomes=_invalid("messages[0].content[1].image_url")),
    ),
    Habit(
        "a recording",
        "`openai` (`input_audio`)",
        _chat(
            last=[_TEXT_PART, {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}],
            becomes=_unsupported("messages[0].content[1]"),
        ),
        _input(last=[{"type": "input_audio", "input_audio": {"data": ""}}], becomes=_unsupported("input[0].content[0]")),
    ),
    Habit(
        "a file in the question",
        "Vercel `ai`, LangChain",
        _chat(last=[{"type": "file", "file": {"file_id": "file-1"}}], becomes=_unsupported("messages[0].content[0]")),
        _input(last=[{"type": "input_file", "file_id": "file-1"}], becomes=_unsupported("input[0].content[0]")),
    ),
    Habit(
        "a part of a kind that nobody knows yet",
        "clients of tomorrow",
        _chat(last=[{"type": "hologram", "hologram": {}}], becomes=_unsupported("messages[0].content[0]")),
        _input(last=[{"type": "hologram"}], becomes=_unsupported("input[0].content[0]")),
    ),
    Habit(
        "names of who speaks",
        "AutoGen, Semantic Kernel",
        _chat(
            {"role": "system", "content": "Be brief.", "name": "app"},
            _user("Hi", name="alice"),
            _assistant("Hi", name="teller"),
            _user(WORD, name="alice"),
            last=None,
        ),
        _input(_item("user", "Hi", name="alice")),
    ),
    Habit(
        "a NUL character",
        "pasted text",
        _chat(last="a\x00b", becomes=_NO_JSON),
        _input(last="a\x00b", becomes=_NO_JSON),
    ),
    Habit(
        "half of a character (a lone surrogate)",
        "cut strings of JavaScript",
        _chat(last="\ud83c", becomes=_NO_JSON),
        _input(last="\ud83c", becomes=_NO_JSON),
    ),
)

CALLS = (
    Habit(
        "a call and its output of long ago",
        "all with functions",
        _chat(_user("When?"), _assistant(None, tool_calls=[_call()]), _tool(), told=(_NOON,)),
        _input(_CALLED, _ANSWERED, told=(_NOON,)),
    ),
    Habit(
        "a text beside the calls",
        "models that think aloud; all clients resend it",
        _chat(_assistant("Let me see.", tool_calls=[_call()]), _tool(), told=("Let me see.", _NOON)),
        _input(_item("assistant", "Let me see."), _CALLED, _ANSWERED, told=("Let me see.", _NOON)),
    ),
    Habit(
        "an output with a name",
        "older `openai`, AutoGen",
        _chat(_assistant(None, tool_calls=[_call()]), _tool(name="clock"), told=(_NOON,)),
        _input(_CALLED, {**_ANSWERED, "name": "clock"}, told=(_NOON,)),
    ),
    Habit(
        "an output in parts",
        "Vercel `ai`, LlamaIndex",
        _chat(_assistant(None, tool_calls=[_call()]), _tool([{"type": "text", "text": _NOON}]), told=(_NOON,)),
        _input(_CALLED, {**_ANSWERED, "output": [{"type": "input_text", "text": _NOON}]}, told=(_NOON,)),
    ),
    Habit(
        "an output that is empty",
        "functions that return nothing",
        _chat(_assistant(None, tool_calls=[_call()]), _tool("")),
        _input(_CALLED, {**_ANSWERED, "output": ""}),
    ),
    Habit(
        "an output that is null",
        "functions that return nothing",
        _chat(_assistant(None, tool_calls=[_call()]), _tool(None), becomes=_invalid("messages[1].content")),
        _input(_CALLED, {**_ANSWERED, "output": None}, becomes=_invalid("input[1].output")),
    ),
    Habit(
        "outputs in another order than their calls",
        "parallel functions",
        _chat(_assistant(None, tool_calls=[_call("a"), _call("b")]), _tool("two", "b"), _tool("one", "a"), told=("one", "two")),
        _input(
            {**_CALLED, "call_id": "a"},
            {**_CALLED, "call_id": "b"},
            {**_ANSWERED, "call_id": "b", "output": "two"},
            {**_ANSWERED, "call_id": "a", "output": "one"},
            told=("one", "two"),
        ),
    ),
    Habit(
        "an output of a call that nobody asked for",
        "cut histories",
        _chat(_tool(), becomes=_invalid("messages[0]")),
        _input(_ANSWERED, becomes=Refused(400, "outputs_not_expected", "input")),
    ),
    Habit(
        "an output twice",
        "retries",
        _chat(_assistant(None, tool_calls=[_call()]), _tool(), _tool(), becomes=_invalid("messages[0].tool_calls")),
        _input(_CALLED, _ANSWERED, _ANSWERED, becomes=_invalid("input[2].call_id")),
    ),
    Habit(
        "a call without its output",
        "who broke off",
        _chat(_assistant(None, tool_calls=[_call()]), becomes=_invalid("messages[0].tool_calls")),
        _input(_CALLED, becomes=_invalid("input[0].call_id")),
    ),
    Habit(
        "two calls with one id",
        "histories of servers that give no ids",
        _chat(_assistant(None, tool_calls=[_call(), _call()]), _tool(), becomes=_invalid("messages[0].tool_calls")),
        _input(_CALLED, _CALLED, _ANSWERED, becomes=_invalid("input[1].call_id")),
    ),
    Habit(
        "ids of a thousand characters",
        "histories of Gemini",
        _chat(
            _assistant(None, tool_calls=[_call("x" * 1000)]),
            _tool(id_="x" * 1000),
            becomes=_invalid("messages[0].tool_calls[0].id"),
        ),
        _input({**_CALLED, "call_id": "x" * 1000}, {**_ANSWERED, "call_id": "x" * 1000}, becomes=_invalid("input[0].call_id")),
    ),
    Habit(
        "arguments as an object",
        "histories of Ollama",
        _chat(
            _assistant(None, tool_calls=[_call(arguments={})]),
            _tool(),
            becomes=_invalid("messages[0].tool_calls[0].function.arguments"),
        ),
        _input({**_CALLED, "arguments": {}}, _ANSWERED, becomes=_invalid("input[0].arguments")),
    ),
    Habit("`tool_calls` are `[]`", "plain chats, proxies", _chat(_assistant("Hi", tool_calls=[])), None),
    Habit("`tool_calls` are null", "`openai` of old, Semantic Kernel", _chat(_assistant("Hi", tool_calls=None)), None),
    Habit(
        "a function of the bank among the calls of the past",
        "a client that pretends, or has been elsewhere",
        _chat(_assistant(None, tool_calls=[_call(name="list_accounts")]), _tool('{"ok": true}'), told=('{"ok": true}',)),
        _input({**_CALLED, "name": "list_accounts"}, {**_ANSWERED, "output": '{"ok": true}'}, told=('{"ok": true}',)),
    ),
    Habit(
        "the older `function_call` in the history",
        "`openai` before 1.1, LangChain of old",
        _chat(
            _assistant(None, function_call={"name": "clock", "arguments": "{}"}), becomes=_unsupported("messages[0].function_call")
        ),
    ),
    Habit(
        "`function_call` is null", "`openai`'s `model_dump`", _chat(_assistant("Hi", function_call=None, audio=None, refusal=None))
    ),
    Habit(
        "the older role `function`",
        "`openai` before 1.1",
        _chat({"role": "function", "name": "clock", "content": _NOON}, becomes=_invalid("messages[0].role")),
    ),
    Habit(
        "a role that nobody knows",
        "`ipython`, `model`",
        _chat({"role": "model", "content": "Hi"}, becomes=_invalid("messages[0].role")),
    ),
)

ITEMS = (
    Habit("messages without their type", "`openai`, LangChain", None, Sent({"input": [{"role": "user", "content": WORD}]})),
    Habit(
        "an earlier answer as it was shown: id, status, annotations",
        "OpenAI Agents SDK",
        None,
        _input(
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "status": "completed",
                "phase": None,
                "content": [{"type": "output_text", "text": "Hi", "annotations": [], "logprobs": []}],
            },
            told=("Hi",),
        ),
    ),
    Habit(
        "reasoning, resent",
        "Vercel `ai`, OpenAI Agents SDK",
        _chat(_assistant("Hi", reasoning_content="hm", reasoning="hm")),
        _input({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}),
    ),
    Habit(
        "what a bank's function came to, as an item `mcp_call`",
        "OpenAI Agents SDK, LangChain",
        None,
        _input(
            {"type": "mcp_call", "id": "mcp_1", "server_label": "tellergate", "name": "clock", "arguments": "{}", "output": _NOON},
            told=(_NOON,),
        ),
    ),
    Habit(
        "an approval in the place of the customer's",
        "hosts that ask by themselves",
        None,
        _input(
            {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}, becomes=_unsupported("input[0]")
        ),
    ),
    Habit(
        "a reference to no item",
        "Vercel `ai` after a change of gateways",
        None,
        _input({"type": "item_reference", "id": "msg_1"}, becomes=Refused(404, "not_found", "input[0].id")),
    ),
    Habit(
        "an item that nobody knows yet",
        "clients of tomorrow",
        None,
        _input({"type": "computer_call", "id": "cu_1"}, becomes=_unsupported("input[0]")),
    ),
    Habit(
        "`previous_response_id` of nobody",
        "after a move",
        None,
        Sent({"previous_response_id": "resp_1"}, Refused(404, "not_found", "previous_response_id")),
    ),
    Habit(
        "`previous_response_id`, `conversation`, `instructions` are null",
        "`openai`",
        None,
        Sent({"previous_response_id": None, "conversation": None, "instructions": None}),
    ),
)

TOOLS = (
    *(
        Habit(
            f"`tool_choice` is `{choice}`",
            "all with functions",
            Sent({"tools": [_function()], "tool_choice": choice}),
            Sent({"tools": [_flat()], "tool_choice": choice}),
        )
        for choice in ("auto", "none", "required")
    ),
    Habit(
        "`tool_choice` names a function",
        "structured output of LangChain",
        Sent({"tools": [_function()], "tool_choice": {"type": "function", "function": {"name": "clock"}}}),
        Sent({"tools": [_flat()], "tool_choice": {"type": "function", "name": "clock"}}),
    ),
    Habit(
        "`tool_choice` names one that is not there",
        "",
        Sent({"tools": [_function()], "tool_choice": {"type": "function", "function": {"name": "f"}}}, _invalid("tool_choice")),
        Sent({"tools": [_flat()], "tool_choice": {"type": "function", "name": "f"}}, _invalid("tool_choice")),
    ),
    Habit(
        "`tool_choice` is `any`",
        "LangChain for others",
        Sent({"tools": [_function()], "tool_choice": "any"}, _invalid("tool_choice")),
        Sent({"tools": [_flat()], "tool_choice": "any"}, _invalid("tool_choice")),
    ),
    Habit(
        "`tool_choice` allows some (`allowed_tools`)",
        "`openai` of late",
        Sent(
            {"tools": [_function()], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
            _unsupported("tool_choice"),
        ),
        Sent(
            {"tools": [_flat()], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, _unsupported("tool_choice")
        ),
    ),
    Habit("`tools` are `[]`", "Semantic Kernel, plain chats", *_same(tools=[])),
    Habit("`tools` and `tool_choice` are null", "who fills in everything", *_same(tools=None, tool_choice=None)),
    Habit(
        "a function that is `strict`, with a schema",
        "OpenAI Agents SDK",
        Sent({"tools": [_function(strict=True, parameters=_SCHEMA)]}),
        Sent({"tools": [_flat(strict=True, parameters=_SCHEMA)]}),
    ),
    Habit(
        "tools of the model's server",
        "`openai` (`web_search`)",
        Sent({"tools": [{"type": "web_search"}]}, _unsupported("tools[0]")),
        Sent({"tools": [{"type": "web_search"}]}, _unsupported("tools[0]")),
    ),
    Habit("the older `functions`", "`openai` before 1.1", Sent({"functions": [{"name": "f"}]}, _unsupported("functions"))),
    Habit("`parallel_tool_calls` is false", "OpenAI Agents SDK, LangChain", *_same(parallel_tool_calls=False)),
)

OPTIONS = (
    Habit("`n` is 1", "LangChain of old, Semantic Kernel", Sent({"n": 1})),
    Habit("`n` is 2", "who samples", Sent({"n": 2}, _unsupported("n"))),
    Habit(
        "`logprobs` is false, `top_logprobs` 0",
        "LlamaIndex, Semantic Kernel",
        Sent({"logprobs": False, "top_logprobs": 0}),
        Sent({"top_logprobs": 0}),
    ),
    Habit(
        "`logprobs` are wanted",
        "evaluations",
        Sent({"logprobs": True}, _unsupported("logprobs")),
        Sent({"top_logprobs": 3}, _unsupported("top_logprobs")),
    ),
    Habit('`stop` is null, `""` or `[]`', "LangChain, AutoGen", Sent({"stop": []})),
    Habit("`stop` has a text", "agents that read texts (ReAct)", Sent({"stop": ["\nObservation"]}, _unsupported("stop"))),
    Habit("penalties are 0", "Semantic Kernel", Sent({"frequency_penalty": 0, "presence_penalty": 0.0})),
    Habit("`temperature` is 0, `top_p` 1", "LangChain, LlamaIndex", *_same(temperature=0, top_p=1)),
    Habit("`temperature` is null", "OpenAI Agents SDK", *_same(temperature=None, top_p=None)),
    Habit("`max_tokens`", "all but `openai` of late", Sent({"max_tokens": 100})),
    Habit(
        "`max_completion_tokens`, `max_output_tokens`",
        "`openai`",
        Sent({"max_completion_tokens": 100}),
        Sent({"max_output_tokens": 100}),
    ),
    Habit(
        "the answer as a text",
        "LangChain",
        Sent({"response_format": {"type": "text"}}),
        Sent({"text": {"format": {"type": "text"}}}),
    ),
    Habit(
        "the answer as JSON",
        "LlamaIndex, AutoGen",
        Sent({"response_format": {"type": "json_object"}}),
        Sent({"text": {"format": {"type": "json_object"}}}),
    ),
    Habit(
        "the answer by a schema",
        "`openai` (`parse`), Vercel `ai`",
        Sent({"response_format": {"type": "json_schema", "json_schema": {"name": "time", "schema": _SCHEMA, "strict": True}}}),
        Sent({"text": {"format": {"type": "json_schema", "name": "time", "schema": _SCHEMA, "strict": True}, "verbosity": "low"}}),
    ),
    Habit(
        "the answer by a grammar",
        "vLLM's clients",
        Sent({"response_format": {"type": "grammar", "grammar": "x"}}, _invalid("response_format.type")),
        Sent({"text": {"format": {"type": "grammar"}}}, _invalid("text.format.type")),
    ),
    Habit(
        "`stream_options.include_usage`",
        "LangChain, LlamaIndex, Semantic Kernel",
        Sent({"stream_options": {"include_usage": True}}),
    ),
    Habit("`stream_options.include_obfuscation`", "`openai`", *_same(stream_options={"include_obfuscation": False})),
    Habit("`store` is false", "Vercel `ai`, Semantic Kernel", *_same(store=False)),
    Habit("`store` is true", "OpenAI Agents SDK", Sent({"store": True}, _unsupported("store")), Sent({"store": True})),
    Habit("`metadata`", "OpenAI Agents SDK", *_same(metadata={"trace": "1"})),
    Habit(
        "`metadata` that says how a response ends which waits",
        "OpenAI Agents SDK, Semantic Kernel",
        None,
        Sent({"metadata": {"tellergate.held": "completed"}}),
    ),
    Habit(
        "the same with a word that nobody knows", "", None, Sent({"metadata": {"tellergate.held": "done"}}, _invalid("metadata"))
    ),
    Habit(
        "`user`, `safety_identifier`, `prompt_cache_key`",
        "`openai`, LangChain",
        *_same(user="u", safety_identifier="s", prompt_cache_key="p"),
    ),
    Habit("`service_tier`", "`openai`", *_same(service_tier="auto")),
    Habit("`seed`, `verbosity`", "AutoGen", Sent({"seed": 7, "verbosity": "low"})),
    Habit(
        "`reasoning_effort`, `reasoning.effort`",
        "`openai`",
        Sent({"reasoning_effort": "low"}),
        Sent({"reasoning": {"effort": "low", "summary": "auto"}}),
    ),
    Habit(
        "`include` of what is not kept", "OpenAI Agents SDK, Vercel `ai`", None, Sent({"include": ["reasoning.encrypted_content"]})
    ),
    Habit("`include` of what nobody knows", "", None, Sent({"include": ["x"]}, _unsupported("include[0]"))),
    Habit("`truncation` is `auto`", "", None, Sent({"truncation": "auto"})),
    Habit("`truncation` is `disabled`", "LlamaIndex", None, Sent({"truncation": "disabled"})),
    Habit("`modalities` are `text`", "`openai`", Sent({"modalities": ["text"]})),
    Habit(
        "`modalities` have `audio`",
        "`openai`",
        Sent({"modalities": ["text", "audio"], "audio": {"voice": "x", "format": "wav"}}, _unsupported("modalities")),
    ),
    Habit(
        "a field of another server",
        "vLLM (`top_k`), Ollama (`options`)",
        Sent({"top_k": 4}, _invalid("top_k")),
        Sent({"top_k": 4}, _invalid("top_k")),
    ),
    Habit(
        "a field of tomorrow",
        "clients of tomorrow",
        Sent({"quantum": True}, _invalid("quantum")),
        Sent({"quantum": True}, _invalid("quantum")),
    ),
)

WIRES = (
    Habit("`charset` in the content type", "Java, .NET", wire=Wire(headers={"content-type": "application/json; charset=utf-8"})),
    Habit("`charset=utf8`", "PHP", wire=Wire(headers={"content-type": "application/json;charset=utf8"})),
    Habit("another content type", "`curl -d`", wire=Wire(headers={"content-type": "application/x-www-form-urlencoded"})),
    Habit(
        "a byte order mark",
        ".NET, PowerShell",
        wire=Wire(encoded=lambda body: b"\xef\xbb\xbf" + body, becomes=_NO_JSON),
    ),
    Habit(
        "UTF-16",
        "PowerShell",
        wire=Wire(encoded=lambda body: body.decode().encode("utf-16"), becomes=_NO_JSON),
    ),
    Habit(
        "a body in gzip",
        "proxies",
        wire=Wire(
            encoded=gzip.compress, headers={"content-encoding": "gzip"}, becomes=Refused(400, "unsupported", "content-encoding")
        ),
    ),
    Habit("`Accept: text/event-stream`", "clients of streams", wire=Wire(headers={"accept": "text/event-stream"})),
    Habit("`Accept: text/html`", "browsers", wire=Wire(headers={"accept": "text/html"})),
    Habit("a slash at the end of the path", "joined URLs", wire=Wire(path="/", becomes=Refused(404, "not_found"))),
    Habit("a query", "Azure (`api-version`)", wire=Wire(path="?api-version=2024-10-21")),
    Habit(
        "`OpenAI-Organization`, `OpenAI-Beta`, `x-stainless-*`",
        "`openai`",
        wire=Wire(headers={"openai-organization": "o", "openai-beta": "x", "x-stainless-retry-count": "1"}),
    ),
    Habit(
        "a name twice in the body",
        "hand-made JSON",
        wire=Wire(encoded=lambda body: body[:-1] + b',"model":"b"}', becomes=Refused(400, "duplicate_key")),
    ),
    Habit(
        "`NaN`",
        "Python's `json`",
        wire=Wire(encoded=lambda body: body[:-1] + b',"temperature":NaN}', becomes=_NO_JSON),
    ),
    Habit("no body", "probes", wire=Wire(encoded=lambda _: b"", becomes=_NO_JSON)),
)

HABITS: tuple[Habit, ...] = (*HISTORY, *CONTENT, *CALLS, *ITEMS, *TOOLS, *OPTIONS, *WIRES)
