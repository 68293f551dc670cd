"""The model's port over Chat Completions: the reference. Owns the shapes of this API, and nothing of how they are sent.

Types: `openai.types.chat`. What a server adds beyond them, its reasoning among it, is dropped.
"""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from openai.types.chat import (
    ChatCompletionContentPartParam,
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageParam,
    ChatCompletionMessageToolCallUnionParam,
)
from openai.types.shared_params import FunctionDefinition

from gateway.domain.request import CallFault
from gateway.domain.strict_json import Json
from gateway.runs.exchange import Exchange, failed, malformed
from gateway.runs.model import (
    CallPiece,
    CallTurn,
    Finish,
    Finished,
    ImagePart,
    MessageTurn,
    OfferedFunction,
    Piece,
    Prompt,
    TextPart,
    TextPiece,
    Usage,
)
from gateway.runs.replayed import DETAILS, as_arguments, assistant_text, replayable, replayable_name, usage

_FINISHES = {
    "stop": Finish.STOP,
    "eos": Finish.STOP,
    "eos_token": Finish.STOP,
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "length": Finish.LENGTH,
    "max_tokens": Finish.LENGTH,
    "model_length": Finish.LENGTH,
    "tool_calls": Finish.CALLS,
    "tool_use": Finish.CALLS,
    "function_call": Finish.CALLS,
    "content_filter": Finish.FILTERED,
    "safety": Finish.FILTERED,
    "sensitive": Finish.FILTERED,
}
"""The API's own, the older one, and those of TGI, Mistral, Anthropic, Gemini and GLM that come through. In any case."""

_LEGACY_INDEX = -1
"""Of `function_call`, which was there before `tool_calls`, and is one."""


class ChatCompletions:
    """A `Model` over `POST {url}/chat/completions`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        reading, finish = _Reading(), None
        counted: Usage | None = None
        async with contextlib.aclosing(self._exchange.events("/chat/completions", request(prompt))) as events:
            async for event in events:
                pieces, ended = reading.read(event)
                if finish is not None and (pieces or ended not in (None, finish)):
                    raise malformed()  # it went on after its end
                for piece in pieces:
                    yield piece
                finish = finish or ended
                counted = usage(event.get("usage"), "prompt_tokens", "completion_tokens") or counted
        if finish is None:
            raise malformed()
        yield Finished(finish, counted)

    async def close(self) -> None:
        await self._exchange.close()


def request(prompt: Prompt) -> dict[str, object]:
    """The body of the request. What is None, or the API's own default, is not in it: many a server knows no more than it must."""
    body: dict[str, object] = {
        "model": prompt.model,
        "messages": _messages(prompt),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if prompt.functions:
        body["tools"] = [_tool(function) for function in prompt.functions]
        kind, _, name = prompt.tool_choice.partition(":")
        body["tool_choice"] = {"type": "function", "function": {"name": name}} if name else kind
        if not prompt.parallel:
            body["parallel_tool_calls"] = False
    given = {
        "response_format": prompt.response_format,
        "temperature": prompt.temperature,
        "top_p": prompt.top_p,
        "reasoning_effort": prompt.reasoning_effort,
        "max_completion_tokens": prompt.max_completion_tokens,
    }
    return body | {name: value for name, value in given.items() if value is not None}


def _messages(prompt: Prompt) -> list[ChatCompletionMessageParam]:
    messages: list[ChatCompletionMessageParam] = []
    if prompt.instructions:
        messages.append({"role": "system", "content": prompt.instructions})
    for item in prompt.items:
        match item:
            case CallTurn(calls):
                tool_calls: list[ChatCompletionMessageToolCallUnionParam] = [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": replayable_name(call.name), "arguments": replayable(call.arguments)},
                    }
                    for call, _ in calls
                ]
                messages.append({"role": "assistant", "content": None, "tool_calls": tool_calls})
                messages.extend({"role": "tool", "tool_call_id": call.id, "content": output} for call, output in calls)
            case MessageTurn("assistant", parts):
                messages.append({"role": "assistant", "content": assistant_text(parts)})
            case MessageTurn(_, (TextPart(text),)):
                messages.append({"role": "user", "content": text})
            case MessageTurn(_, parts):
                messages.append({"role": "user", "content": [_part(part) for part in parts]})
    return messages


def _part(part: TextPart | ImagePart) -> ChatCompletionContentPartParam:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": part.url, "detail": DETAILS[part.detail]}}


def _tool(offered: OfferedFunction) -> ChatCompletionFunctionToolParam:
    function: FunctionDefinition = {"name": offered.name}
    if offered.description is not None:
        function["description"] = offered.description
    if offered.parameters is not None:
        function["parameters"] = dict(offered.parameters)
    if offered.strict is not None:
        function["strict"] = offered.strict
    return {"type": "function", "function": function}


@dataclass(slots=True)
class _Reading:
    """The events of one answer: `chat.completion.chunk`, or one `chat.completion` of a server that does not stream."""

    _told: list[str] = field(default_factory=list)

    def read(self, event: Mapping[str, Json]) -> tuple[list[Piece], Finish | None]:
        """The pieces of one event, and how it ends the answer, if it does."""
        error = event.get("error")
        if error is not None:
            raise failed(error.get("code") if isinstance(error, dict) else None)
        choices = event.get("choices")
        if choices is None and "usage" in event:
            return [], None
        if not isinstance(choices, list):
            raise malformed()
        if not choices:
            return [], None
        choice = choices[0]
        if len(choices) != 1 or not isinstance(choice, dict) or choice.get("index") not in (None, 0):
            raise malformed()  # one was asked for
        reason = choice.get("finish_reason") or None  # an empty one is none yet
        finish = None if reason is None else _FINISHES.get(str(reason).lower())
        if reason is not None and finish is None:
            raise malformed()  # whether it is whole nobody knows
        return self._pieces(choice), finish

    def _pieces(self, choice: Mapping[str, Json]) -> list[Piece]:
        delta, message = _member(choice, "delta"), _member(choice, "message")
        texts, whole = _texts(delta), "".join(_texts(message))
        if self._told and whole not in ("", "".join(self._told)):
            raise malformed()  # it was told in pieces, and is another now
        if whole and not self._told:
            texts = [*texts, whole]
        self._told += texts
        calls = [*_calls(delta), *_calls(message)]
        return [*(TextPiece(text) for text in texts), *calls]


def _member(choice: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    value = choice.get(name)
    if value is not None and not isinstance(value, dict):
        raise malformed()
    return {} if value is None else value


def _texts(said: Mapping[str, Json]) -> list[str]:
    texts: list[str] = []
    for content in (said.get("content"), said.get("refusal")):
        for part in content if isinstance(content, list) else [{"type": "text", "text": content}]:
            if not isinstance(part, dict):
                raise malformed()
            text = part.get("text") if part.get("type") in _TEXT_PARTS else None  # others are reasoning
            if text is not None and not isinstance(text, str):
                raise malformed()
            texts += [text] if text else []
    return texts


_TEXT_PARTS = ("text", "output_text")


def _calls(said: Mapping[str, Json]) -> list[CallPiece]:
    fragments = said.get("tool_calls") or []
    fragments = [fragments] if isinstance(fragments, dict) else fragments
    if not isinstance(fragments, list):
        raise malformed()
    older: Json = None if said.get("function_call") is None else {"index": _LEGACY_INDEX, "function": said["function_call"]}
    return [_call(fragment) for fragment in (fragments if older is None else [*fragments, older])]


def _call(fragment: Json) -> CallPiece:
    if not isinstance(fragment, dict):
        raise malformed()
    kind = fragment.get("type") or "function"
    body = fragment.get("function" if kind == "function" else str(kind))
    function = fragment if body is None else body  # some write its members one level up
    index, native = fragment.get("index"), fragment.get("id")
    if isinstance(index, str) and index.isascii() and index.isdigit():
        index = int(index[:9])
    if not isinstance(function, dict) or isinstance(index, bool) or not isinstance(index, int | None):
        raise malformed()
    if isinstance(native, bool) or not isinstance(native, str | int | None):
        raise malformed()
    name = function.get("name")
    if not isinstance(name, str | None):
        raise malformed()
    given = function.get("arguments", function.get("input"))
    fault = None if kind == "function" else CallFault.UNKNOWN_KIND
    return CallPiece(index, None if native in (None, "") else str(native), name or None, as_arguments(given), fault)
