"""The model's port over the Responses API. Owns the shapes of this API, and nothing of how they are sent.

The items are replayed whole and nothing is stored (`store: false`, never `previous_response_id`): what a server keeps of a thread is not
what we said. Types: `openai.types.responses`. Items that were not asked for, reasoning among them, are dropped.
"""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from openai.types.responses import (
    EasyInputMessageParam,
    FunctionToolParam,
    ResponseFunctionToolCallParam,
    ResponseInputContentParam,
)
from openai.types.responses.response_input_item_param import FunctionCallOutput

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
)
from gateway.runs.replayed import DETAILS, assistant_text, joined, replayable, usage

_Item = EasyInputMessageParam | ResponseFunctionToolCallParam | FunctionCallOutput

_NO_PARAMETERS: Mapping[str, Json] = {"type": "object", "properties": {}}


class Responses:
    """A `Model` over `POST {url}/responses`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        reading, finished = _Reading(), None
        async with contextlib.aclosing(self._exchange.events("/responses", request(prompt))) as events:
            async for event in events:
                for piece in reading.pieces(event):
                    if finished is not None:
                        raise malformed()  # it went on after its end
                    if isinstance(piece, Finished):
                        finished = piece
                    else:
                        yield piece
        if finished is None:
            raise malformed()
        yield finished

    async def close(self) -> None:
        await self._exchange.close()


def request(prompt: Prompt) -> dict[str, object]:
    """The body of the request. What is None is not in it."""
    body: dict[str, object] = {"model": prompt.model, "input": _items(prompt), "stream": True, "store": False}
    if prompt.instructions:
        body["instructions"] = prompt.instructions
    if prompt.functions:
        body["tools"] = [_tool(function) for function in prompt.functions]
        kind, _, name = prompt.tool_choice.partition(":")
        body["tool_choice"] = {"type": "function", "name": name} if name else kind
        if not prompt.parallel:
            body["parallel_tool_calls"] = False
    given = {
        "text": None if prompt.response_format is None else {"format": _format(prompt.response_format)},
        "temperature": prompt.temperature,
        "top_p": prompt.top_p,
        "reasoning": None if prompt.reasoning_effort is None else {"effort": prompt.reasoning_effort},
        "max_output_tokens": prompt.max_completion_tokens,
    }
    return body | {name: value for name, value in given.items() if value is not None}


def _items(prompt: Prompt) -> list[_Item]:
    items: list[_Item] = []
    for item in prompt.items:
        match item:
            case CallTurn(calls):
                items.extend(
                    {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": replayable(call.arguments)}
                    for call, _ in calls
                )
                items.extend({"type": "function_call_output", "call_id": call.id, "output": output} for call, output in calls)
            case MessageTurn("assistant", parts):
                items.append({"role": "assistant", "content": assistant_text(parts)})
            case MessageTurn(_, (TextPart(text),)):
                items.append({"role": "user", "content": text})
            case MessageTurn(_, parts):
                items.append({"role": "user", "content": [_part(part) for part in parts]})
    return items


def _part(part: TextPart | ImagePart) -> ResponseInputContentParam:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    return {"type": "input_image", "image_url": part.url, "detail": DETAILS[part.detail]}


def _tool(offered: OfferedFunction) -> FunctionToolParam:
    # Here an absent `strict` means true, in Assistants and Chat Completions false: it is always said.
    parameters: dict[str, object] = dict(_NO_PARAMETERS if offered.parameters is None else offered.parameters)
    tool: FunctionToolParam = {
        "type": "function",
        "name": offered.name,
        "parameters": parameters,
        "strict": bool(offered.strict),
    }
    if offered.description is not None:
        tool["description"] = offered.description
    return tool


def _format(wanted: Mapping[str, Json]) -> dict[str, Json]:
    """The same format as Assistants spell it, with the schema's members one level up."""
    schema = wanted.get("json_schema")
    return {"type": "json_schema", **schema} if isinstance(schema, dict) else dict(wanted)


_Place = tuple[int, int]
"""Of an item in the output, and of a part in its content; of a call, -1."""


@dataclass(slots=True)
class _Reading:
    """The events of one answer. What was told in fragments is told again whole: it must be the same, and counts once."""

    _told: dict[_Place, list[str]] = field(default_factory=dict)
    _calls: set[int] = field(default_factory=set)

    def pieces(self, event: Mapping[str, Json]) -> list[Piece]:
        match event.get("type"):
            case "response.output_text.delta" | "response.refusal.delta":
                return self._text(_place(event), _string(event, "delta"))
            case "response.output_text.done":
                return self._whole_text(_place(event), _string(event, "text"))
            case "response.refusal.done":
                return self._whole_text(_place(event), _string(event, "refusal"))
            case "response.output_item.added":
                return self._begun(_index(event), _mapping(event, "item"))
            case "response.function_call_arguments.delta":
                return self._arguments(_index(event), _string(event, "delta"))
            case "response.function_call_arguments.done":
                return self._whole_arguments(_index(event), _string(event, "arguments"))
            case "response.output_item.done":
                return self._done(_index(event), _mapping(event, "item"))
            case "response.completed" | "response.incomplete" | "response.failed":
                return [self._ended(_mapping(event, "response"))]
            case "error":
                raise failed(event.get("code"))
        return []

    def _text(self, place: _Place, text: str) -> list[Piece]:
        self._told.setdefault(place, []).append(text)
        return [TextPiece(text)] if text else []

    def _whole_text(self, place: _Place, text: str) -> list[Piece]:
        return self._text(place, self._untold(place, text))

    def _begun(self, index: int, item: Mapping[str, Json]) -> list[Piece]:
        if item.get("type") != "function_call":
            return []
        native, name, arguments = item.get("call_id"), item.get("name"), item.get("arguments") or ""
        if not (isinstance(native, str | None) and isinstance(name, str | None) and isinstance(arguments, str)):
            raise malformed()
        self._calls.add(index)
        self._told.setdefault((index, -1), []).append(arguments)
        return [CallPiece(index, native or None, name or None, arguments)]

    def _arguments(self, index: int, fragment: str) -> list[Piece]:
        if index not in self._calls:
            raise malformed()
        self._told[index, -1].append(fragment)
        return [CallPiece(index, None, None, fragment)] if fragment else []

    def _whole_arguments(self, index: int, arguments: str) -> list[Piece]:
        return self._arguments(index, self._untold((index, -1), arguments))

    def _done(self, index: int, item: Mapping[str, Json]) -> list[Piece]:
        pieces: list[Piece] = []
        if item.get("type") == "function_call":
            pieces += self._begun(index, {**item, "arguments": ""})  # it may have begun here; else it is the same call
            return pieces + self._whole_arguments(index, _string(item, "arguments"))
        content = item.get("content") if item.get("type") == "message" else None
        for number, part in enumerate(content if isinstance(content, list) else []):
            text = part.get("text", part.get("refusal")) if isinstance(part, dict) else None
            if isinstance(text, str):
                pieces += self._whole_text((index, number), text)
        return pieces

    def _untold(self, place: _Place, whole: str) -> str:
        earlier = "".join(self._told.get(place, ()))
        if earlier and joined(earlier) != joined(whole):
            raise malformed()
        return "" if earlier else whole

    def _ended(self, response: Mapping[str, Json]) -> Finished:
        status = response.get("status")
        counted = usage(response.get("usage"), "input_tokens", "output_tokens")
        if status == "completed":
            return Finished(Finish.CALLS if self._calls else Finish.STOP, counted)
        if status == "incomplete":
            details = response.get("incomplete_details")
            filtered = isinstance(details, dict) and details.get("reason") == "content_filter"
            return Finished(Finish.FILTERED if filtered else Finish.LENGTH, counted)
        error = response.get("error")
        raise failed(error.get("code") if isinstance(error, dict) else None)


def _mapping(event: Mapping[str, Json], key: str) -> dict[str, Json]:
    value = event.get(key)
    if not isinstance(value, dict):
        raise malformed()
    return value


def _string(event: Mapping[str, Json], key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str):
        raise malformed()
    return value


def _index(event: Mapping[str, Json], key: str = "output_index") -> int:
    value = event.get(key)
    if type(value) is not int:
        raise malformed()
    return value


def _place(event: Mapping[str, Json]) -> _Place:
    return _index(event), _index(event, "content_index")
