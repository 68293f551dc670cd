"""What a client gives as input, as a thread keeps it. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from gateway.domain.errors import MESSAGES, Code, Fault, RequestFault
from gateway.doors.assistants_api.schemas import ImageContent, ImageFile, ImageFileContent, ImageUrl, NewMessage, TextContent
from gateway.doors.resent import AnsweredCall, Entry
from gateway.doors.responses_api.items import CALLS_WITHIN
from gateway.doors.responses_api.schemas import (
    InputCodeCall,
    InputFunctionCall,
    InputFunctionOutput,
    InputImage,
    InputMessage,
    InputRefusal,
    InputSearchCall,
    InputServerCall,
    InputText,
    ItemReference,
    ResponseRequest,
)
from gateway.runs.objects import Object
from gateway.runs.tool_calls import CODE_INTERPRETER, FILE_SEARCH
from gateway.runs.transcript import UNANSWERED
from gateway.store.threads import Message

HELD = orjson.dumps(
    {"ok": False, "error": {"code": Code.CONFIRMATION_REQUIRED.value, "message": MESSAGES[Code.CONFIRMATION_REQUIRED]}}
).decode()
"""What the model reads, in another thread, of a call that waits for the customer."""

Parts = list[TextContent | ImageContent | ImageFileContent]


@dataclass(frozen=True, slots=True)
class GivenInput:
    """`entries`: in their order, without what is empty. `newest_word`: which of them is the newest user message; None: there is none.
    `instructions`: of system and developer messages. `loose`: outputs of calls that are not in the input, by their ids."""

    entries: tuple[Entry, ...]
    newest_word: int | None
    instructions: tuple[str, ...]
    loose: Mapping[str, str]

    @property
    def outputs(self) -> Mapping[str, str]:
        """What a run may wait for: those whose calls are not here, or those with which the input ends."""
        last = self.entries[-1] if self.entries else ()
        if self.loose or isinstance(last, NewMessage):
            return self.loose
        return {call.id: call.output for call in last if not call.id.startswith(CALLS_WITHIN)}

    def without_resent(self, stand: Sequence[Message]) -> "GivenInput":
        """Without what it begins with, up to the last of its user messages that are the newest of those that `stand` in the thread."""
        known = [_stored(message.body["content"]) for message in stand if message.body["role"] == "user"]
        places = [at for at, entry in enumerate(self.entries) if isinstance(entry, NewMessage) and entry.role == "user"]
        told = [_told(self.entries[at]) for at in places]
        most = next((most for most in range(min(len(told), len(known)), 0, -1) if told[:most] == known[-most:]), 0)
        if not most:
            return self
        begin = places[most - 1] + 1
        newest = None if self.newest_word is None or self.newest_word < begin else self.newest_word - begin
        return replace(self, entries=self.entries[begin:], newest_word=newest)


def references_of(request: ResponseRequest) -> frozenset[str]:
    """Ids of items that are referred to."""
    return frozenset() if isinstance(request.input, str) else frozenset(i.id for i in request.input if isinstance(i, ItemReference))


def given_input(request: ResponseRequest, referenced: Mapping[str, Object | None]) -> GivenInput:
    """`referenced`: the items of ours that it refers to; None: it stands in the thread already. RequestFault."""
    reading = _Reading()
    if isinstance(request.input, str):
        if request.input:
            reading.message("user", [TextContent(type="text", text=request.input)])
    else:
        for number, item in enumerate(request.input):
            reading.item(item, f"input[{number}]", referenced)
    return reading.whole()


@dataclass(slots=True)
class _Reading:
    entries: list[Entry] = field(default_factory=list)
    newest: int | None = None
    instructions: list[str] = field(default_factory=list)
    loose: dict[str, str] = field(default_factory=dict)
    calls: dict[str, tuple[InputFunctionCall, str]] = field(default_factory=dict)
    """Without their outputs yet, with the fields in which they stand."""
    answered: list[AnsweredCall] = field(default_factory=list)
    """One after the other, without a message between."""
    known: set[str] = field(default_factory=set)

    def item(self, item: Any, where: str, referenced: Mapping[str, Object | None]) -> None:
        match item:
            case InputMessage(role="system" | "developer"):
                self.instructions += [part.text for part in _parts(item, where) if isinstance(part, TextContent)]
            case InputMessage():
                self.message(item.role, _parts(item, where))
            case InputFunctionCall():
                self.called(item, where)
            case InputFunctionOutput():
                self.output(item.call_id, _text(item), where)
            case InputServerCall():
                self.answered.append(AnsweredCall(item.id, item.name, item.arguments, _answer(item.output)))
            case InputSearchCall():
                asked = orjson.dumps({"query": "\n".join(item.queries)}).decode()
                self.answered.append(AnsweredCall(item.id, FILE_SEARCH, asked, _found(item)))
            case InputCodeCall():
                asked = orjson.dumps({"code": item.code or ""}).decode()
                self.answered.append(AnsweredCall(item.id, CODE_INTERPRETER, asked, _printed(item)))
            case ItemReference():
                self.refer(item.id, where, referenced)

    def message(self, role: Any, parts: Parts) -> None:
        if not parts:
            return
        self.flush()
        if role == "user":
            self.newest = len(self.entries)
        self.entries.append(NewMessage(role=role, content=parts))

    def called(self, call: InputFunctionCall, where: str) -> None:
        if call.call_id in self.known:
            raise _wrong(f"{where}.call_id", "each call stands there once")
        if not self.calls:
            self.flush()  # calls that are answered already were of an earlier turn
        self.known.add(call.call_id)
        self.calls[call.call_id] = call, where

    def output(self, call_id: str, output: str, where: str) -> None:
        if call_id in self.calls:
            call, _ = self.calls.pop(call_id)
            self.answered.append(AnsweredCall(call_id, call.name, call.arguments, output))
        elif call_id in self.known or call_id in self.loose:
            raise _wrong(f"{where}.call_id", "each output stands there once")
        else:
            self.loose[call_id] = output

    def refer(self, id_: str, where: str, referenced: Mapping[str, Object | None]) -> None:
        if id_ not in referenced:
            raise RequestFault(Fault.NOT_FOUND, f"{where}.id: no such item", param=f"{where}.id")
        item: Any = referenced[id_]
        match item:
            case {"type": "message"}:
                texts = [part["text"] for part in item["content"] if part.get("text")]
                self.flush()  # what is referred to is nobody's new word
                if texts:
                    self.entries.append(NewMessage(role=item["role"], content=[TextContent(type="text", text=t) for t in texts]))
            case {"type": "function_call"}:
                named = {name: item[name] for name in ("type", "call_id", "name", "arguments")}
                self.called(InputFunctionCall.model_construct(**named), where)
            case {"type": "mcp_call"}:
                self.answered.append(AnsweredCall(id_, item["name"], item["arguments"], _answer(item["output"])))

    def flush(self) -> None:
        """What was called before stands as one turn. RequestFault for a call without its output."""
        for _, where in self.calls.values():
            raise _wrong(f"{where}.call_id", "needs a function_call_output with this call_id before the next message")
        if self.answered:
            self.entries.append(tuple(self.answered))
            self.answered.clear()

    def whole(self) -> GivenInput:
        self.flush()
        return GivenInput(tuple(self.entries), self.newest, tuple(self.instructions), self.loose)


def _told(message: Entry) -> list[str]:
    """What a message says: texts, and where its images are."""
    if isinstance(message, tuple):
        return []
    if isinstance(message.content, str):
        return [message.content]
    return [_place(part.model_dump()) for part in message.content]


def _stored(content: Any) -> list[str]:
    """The same of a message of a thread."""
    return [_place({**part, "text": part["text"]["value"]} if part["type"] == "text" else part) for part in content]


def _place(part: Mapping[str, Any]) -> str:
    return str(part["text"] if part["type"] == "text" else part[part["type"]].get("url") or part[part["type"]].get("file_id"))


def _answer(output: str | None) -> str:
    return UNANSWERED if output is None else output  # an empty one is an output


def _found(item: InputSearchCall) -> str:
    """What a search found, as the client says."""
    if item.results is None:
        return _answer(None)
    return orjson.dumps({"results": [result.model_dump(exclude_none=True) for result in item.results]}).decode()


def _printed(item: InputCodeCall) -> str:
    """What code printed, as the client says."""
    if item.outputs is None:
        return _answer(None)
    return orjson.dumps({"logs": "\n".join(output.logs for output in item.outputs if output.logs)}).decode()


def _text(item: InputFunctionOutput) -> str:
    return item.output if isinstance(item.output, str) else "\n".join(part.text for part in item.output)


def _parts(message: InputMessage, where: str) -> Parts:
    """Without what is empty. RequestFault."""
    if isinstance(message.content, str):
        return [TextContent(type="text", text=message.content)] if message.content else []
    made: Parts = []
    for number, part in enumerate(message.content):
        match part:
            case InputText(text=text) | InputRefusal(refusal=text):
                made += [TextContent(type="text", text=text)] if text else []
            case InputImage():
                made.append(_image(part, f"{where}.content[{number}]"))
    return made


def _image(part: InputImage, where: str) -> ImageContent | ImageFileContent:
    detail = part.detail or "auto"
    if part.image_url is not None and part.file_id is None:
        return ImageContent(type="image_url", image_url=ImageUrl(url=part.image_url, detail=detail))
    if part.file_id is not None and part.image_url is None:
        return ImageFileContent(type="image_file", image_file=ImageFile(file_id=part.file_id, detail=detail))
    raise _wrong(where, "either image_url or file_id")


def _wrong(field_: str, why: str) -> RequestFault:
    return RequestFault(Fault.INVALID_REQUEST, f"{field_}: {why}", param=field_)


def history_of(items: Sequence[Object]) -> tuple[Entry, ...]:
    """Items of a thread, as another thread is told them: nobody's word. A call that has no output is told as unanswered."""
    entries: list[Entry] = []
    outputs = {item["call_id"]: item["output"] for item in items if item["type"] == "function_call_output"}
    output: Any
    id_: Any
    for item in items:
        match item["type"]:
            case "message":
                texts = [TextContent(type="text", text=part["text"]) for part in item["content"] if part.get("text")]
                if texts:
                    entries.append(NewMessage(role=item["role"], content=list(texts)))
            case "function_call" | "mcp_call":
                output = outputs.get(item["call_id"]) if item["type"] == "function_call" else item["output"]
                id_ = item.get("call_id", item["id"])
                is_held = item["type"] == "mcp_call" and item["status"] == "in_progress"
                entries.append((AnsweredCall(id_, item["name"], item["arguments"], HELD if is_held else _answer(output)),))
    return tuple(entries)
