"""The model's port over the Responses API. Owns the shapes of this API, and nothing of how they are sent.

The items are replayed whole and nothing is stored (`store: false`, never `previous_response_id`): what a server keeps of a thread is not
what we said. Types: `openai.types.responses`. Items that were not asked for, reasoning among them, are dropped.
"""

import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

from openai.types.responses import (
    EasyInputMessageParam,
    FunctionToolParam,
    ResponseFunctionToolCallParam,
    ResponseInputContentParam,
)
from openai.types.responses.response_input_item_param import FunctionCallOutput

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
)
from gateway.runs.replayed import DETAILS, as_arguments, assistant_text, joined, replayable, replayable_name, usage

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
                    {
                        "type": "function_call",
                        "call_id": call.id,
                        "name": replayable_name(call.name),
                        "arguments": replayable(call.arguments),
                    }
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


_CALLS = ("function_call", "custom_tool_call")
_SAID = ("text", "refusal")


@dataclass(slots=True)
class _ItemInProgress:
    """An item of the output as it is told. `number` is ours; `parts` are its texts by their place, `arguments` those of a call."""

    number: int
    id: str | None
    name: str | None = None
    parts: dict[int, str] = field(default_factory=dict)
    arguments: str = ""
    is_call: bool = False
    is_done: bool = False


@dataclass(slots=True)
class _Reading:
    """The events of one answer, or a whole one. What was told in fragments is told again whole: it must be the same, and counts once.

    Servers do not all keep to `output_index` and to the ids of items: an item is known by its id, else by its index, else it is the last.
    """

    _items: list[_ItemInProgress] = field(default_factory=list)
    _by_id: dict[str, _ItemInProgress] = field(default_factory=dict)
    _by_index: dict[int, _ItemInProgress] = field(default_factory=dict)

    def pieces(self, event: Mapping[str, Json]) -> list[Piece]:
        match event.get("type"):
            case "response.output_text.delta" | "response.refusal.delta":
                return self._text(self._item_of(event), _number(event, "content_index"), _string(event, "delta"))
            case "response.output_text.done":
                return self._whole_text(self._item_of(event), _number(event, "content_index"), _string(event, "text"))
            case "response.refusal.done":
                return self._whole_text(self._item_of(event), _number(event, "content_index"), _string(event, "refusal"))
            case "response.output_item.added":
                item = _mapping(event, "item")
                return self._begun(self._added(event, item), item)
            case "response.function_call_arguments.delta":
                return self._arguments(self._call_of(event), as_arguments(event.get("delta")))
            case "response.function_call_arguments.done":
                return self._whole_arguments(self._call_of(event), as_arguments(event.get("arguments")))
            case "response.output_item.done":
                return self._done(event, _mapping(event, "item"))
            case "response.completed" | "response.incomplete" | "response.failed" as kind:
                return self._ended(_mapping(event, "response"), str(kind).removeprefix("response."))
            case "error":
                raise failed(event.get("code"))
            case None:
                return self._ended(event, None)  # whole, of a server that does not stream
        return []

    def _item_of(self, event: Mapping[str, Json]) -> _ItemInProgress:
        """Of an event about an item that has begun, or begins with it."""
        index = _number(event, "output_index")
        found = self._by_id.get(str(event.get("item_id")))
        if found is None:
            found = self._by_index.get(index) if index is not None else next(reversed(self._items), None)
        return found or self._new(event.get("item_id"), index)

    def _call_of(self, event: Mapping[str, Json]) -> _ItemInProgress:
        item = self._item_of(event)
        if not item.is_call:
            raise malformed()
        return item

    def _new(self, id_: Json, index: int | None) -> _ItemInProgress:
        item = _ItemInProgress(len(self._items), str(id_) if id_ else None)
        self._items.append(item)
        if item.id is not None:
            self._by_id[item.id] = item
        if index is not None:
            self._by_index[index] = item
        return item

    def _added(self, event: Mapping[str, Json], item: Mapping[str, Json]) -> _ItemInProgress:
        """A new one, unless the very same is told twice: there are servers that have one index for all."""
        known = self._by_id.get(str(item.get("id")))
        again = known is not None and not known.is_done and known.name in (None, item.get("name"))
        return known if known is not None and again else self._new(item.get("id"), _number(event, "output_index"))

    def _told_before(self, event: Mapping[str, Json], item: Mapping[str, Json]) -> _ItemInProgress:
        """The item that is done: by its id or its index, else by what it asks for, whatever call id it has now; else it begins here."""
        index, name = _number(event, "output_index"), item.get("name") or None
        at_index = None if index is None else self._by_index.get(index)
        given = as_arguments(item.get("arguments", item.get("input")))
        alike = next((known for known in self._items if known.is_call and not known.is_done and known.arguments == given), None)
        for known in (self._by_id.get(str(item.get("id"))), at_index, alike):
            if known is not None and not known.is_done and (known.name is None or name in (None, known.name)):
                return known
        return self._new(item.get("id"), index)

    def _begun(self, known: _ItemInProgress, item: Mapping[str, Json]) -> list[Piece]:
        if item.get("type") not in _CALLS:
            return []
        native, name = item.get("call_id"), item.get("name")
        if not (isinstance(native, str | None) and isinstance(name, str | None)):
            raise malformed()
        given = as_arguments(item.get("arguments", item.get("input")))
        fault = None if item["type"] == "function_call" else CallFault.UNKNOWN_KIND
        known.is_call, known.name, known.arguments = True, known.name or name or None, known.arguments + given
        return [CallPiece(known.number, native or None, name or None, given, fault)]

    def _text(self, item: _ItemInProgress, part: int | None, text: str) -> list[Piece]:
        item.parts[part or 0] = item.parts.get(part or 0, "") + text
        return [TextPiece(text)] if text else []

    def _whole_text(self, item: _ItemInProgress, part: int | None, text: str) -> list[Piece]:
        earlier = item.parts.get(part or 0)
        if earlier and joined(earlier) != joined(text):
            raise malformed()
        return [] if earlier else self._text(item, part, text)

    def _arguments(self, item: _ItemInProgress, fragment: str) -> list[Piece]:
        item.arguments += fragment
        return [CallPiece(item.number, None, None, fragment)] if fragment else []

    def _whole_arguments(self, item: _ItemInProgress, arguments: str) -> list[Piece]:
        if not item.arguments:
            return self._arguments(item, arguments)
        is_same = not arguments or joined(item.arguments) == joined(arguments)
        return [] if is_same else [CallPiece(item.number, None, None, "", CallFault.TWO_ARGUMENTS)]

    def _done(self, event: Mapping[str, Json], item: Mapping[str, Json]) -> list[Piece]:
        known = self._told_before(event, item)
        known.is_done = True
        if item.get("type") in _CALLS:
            native = {"call_id": None} if known.is_call else {}  # it has one: what it is called now changes nothing
            pieces = self._begun(known, {**item, **native, "arguments": "", "input": ""})
            return pieces + self._whole_arguments(known, as_arguments(item.get("arguments", item.get("input"))))
        return [piece for number, text in enumerate(_texts(item)) for piece in self._whole_text(known, number, text)]

    def _ended(self, response: Mapping[str, Json], kind: str | None) -> list[Piece]:
        status = response.get("status") or kind
        counted = usage(response.get("usage"), "input_tokens", "output_tokens")
        if status == "completed":
            untold = self._untold(response.get("output"))
            return [*untold, Finished(Finish.CALLS if any(item.is_call for item in self._items) else Finish.STOP, counted)]
        if status == "incomplete":
            details = response.get("incomplete_details")
            filtered = isinstance(details, dict) and details.get("reason") == "content_filter"
            return [*self._untold(response.get("output")), Finished(Finish.FILTERED if filtered else Finish.LENGTH, counted)]
        error = response.get("error")
        raise failed(error.get("code") if isinstance(error, dict) else None)

    def _untold(self, output: Json) -> list[Piece]:
        """What stands in the whole output alone: a call that was told counts once, by what it asks for, whatever its ids are now."""
        told = Counter((item.name, item.arguments.strip() or "{}") for item in self._items if item.is_call)
        said = joined("".join(text for item in self._items for text in item.parts.values()))
        listed = [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []
        text = joined("".join(text for item in listed for text in _texts(item)))
        if said and text and said != text:
            raise malformed()
        pieces = [] if said else self._text(self._new(None, None), 0, text)
        for item in listed:
            if item.get("type") in _CALLS:
                asked = str(item.get("name")), joined(as_arguments(item.get("arguments", item.get("input")))).strip() or "{}"
                if told[asked] > 0:
                    told[asked] -= 1
                else:
                    pieces += self._begun(self._new(None, None), item)
        return pieces


def _texts(item: Mapping[str, Json]) -> list[str]:
    """The texts of a message's parts, in their order; what has none is empty."""
    content = item.get("content") if item.get("type") == "message" else None
    if isinstance(content, str):
        return [content]
    parts = [part if isinstance(part, dict) else {} for part in content] if isinstance(content, list) else []
    return [str(next((part[name] for name in _SAID if isinstance(part.get(name), str)), "")) for part in parts]


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


def _number(event: Mapping[str, Json], key: str) -> int | None:
    value = event.get(key)
    if isinstance(value, bool) or not isinstance(value, int | None):
        raise malformed()
    return value
