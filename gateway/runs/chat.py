"""The model's port over Chat Completions: the reference. Owns the shapes of this API, and nothing of how they are sent.

Types: `openai.types.chat`. What a server adds beyond them, its reasoning among it, is dropped.
"""

import contextlib
from collections.abc import AsyncGenerator, Mapping

from openai.types.chat import (
    ChatCompletionContentPartParam,
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageParam,
    ChatCompletionMessageToolCallUnionParam,
)
from openai.types.shared_params import FunctionDefinition

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
from gateway.runs.replayed import DETAILS, assistant_text, replayable, usage

_FINISHES = {
    "stop": Finish.STOP,
    "length": Finish.LENGTH,
    "tool_calls": Finish.CALLS,
    "content_filter": Finish.FILTERED,
}


class ChatCompletions:
    """A `Model` over `POST {url}/chat/completions`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        finish: Finish | None = None
        counted: Usage | None = None
        async with contextlib.aclosing(self._exchange.events("/chat/completions", request(prompt))) as events:
            async for event in events:
                pieces, ended = _read(event)
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
                    {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": replayable(call.arguments)}}
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


def _read(event: Mapping[str, Json]) -> tuple[list[Piece], Finish | None]:
    """The pieces of one `chat.completion.chunk`, and how it ends the answer, if it does."""
    error = event.get("error")
    if error is not None:
        raise failed(error.get("code") if isinstance(error, dict) else None)
    choices = event.get("choices")
    if not isinstance(choices, list):
        raise malformed()
    if not choices:
        return [], None
    choice = choices[0]
    if len(choices) != 1 or not isinstance(choice, dict) or choice.get("index", 0) != 0:
        raise malformed()  # one was asked for
    delta = choice.get("delta") or {}
    if not isinstance(delta, dict):
        raise malformed()
    reason = choice.get("finish_reason")
    if reason is not None and reason not in _FINISHES:
        raise malformed()  # whether it is whole nobody knows
    return [*_texts(delta), *_calls(delta.get("tool_calls") or [])], None if reason is None else _FINISHES[str(reason)]


def _texts(delta: Mapping[str, Json]) -> list[TextPiece]:
    pieces = []
    for text in (delta.get("content"), delta.get("refusal")):
        if text is not None and not isinstance(text, str):
            raise malformed()
        if text:
            pieces.append(TextPiece(text))
    return pieces


def _calls(fragments: Json) -> list[CallPiece]:
    if not isinstance(fragments, list):
        raise malformed()
    pieces = []
    for fragment in fragments:
        function = fragment.get("function") or {} if isinstance(fragment, dict) else None
        if not isinstance(fragment, dict) or not isinstance(function, dict):
            raise malformed()
        index, native, name, arguments = fragment.get("index"), fragment.get("id"), function.get("name"), function.get("arguments")
        if type(index) is not int or fragment.get("type") not in (None, "function"):
            raise malformed()
        if not all(value is None or isinstance(value, str) for value in (native, name, arguments)):
            raise malformed()
        pieces.append(CallPiece(index, str(native) if native else None, str(name) if name else None, str(arguments or "")))
    return pieces
