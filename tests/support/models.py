"""A model's server of the tests, in their own process: scripted, cheap enough for 200 runs at once, and as hostile as it is told to be.

Speaks Chat Completions and the Responses API, streaming alone. Delays are events of the test's, never times.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson
from aiohttp import web

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"


@dataclass(frozen=True)
class Asked:
    """A call that the model asks for. `id` empty: one of the server's own; None: none."""

    name: str
    arguments: str = "{}"
    id: str | None = ""


def asks(name: str, *, id: str | None = "", **arguments: object) -> Asked:  # noqa: A002
    return Asked(name, json.dumps(arguments), id)


@dataclass(frozen=True)
class Reply:
    """One answer. `finish` is what Chat Completions calls it; None: what follows from the rest. `usage` is (prompt, completion).

    Texts and arguments come in so many `fragments`. `begin` is waited for before the first byte, `go_on` in the middle.
    """

    text: str = ""
    calls: tuple[Asked, ...] = ()
    usage: tuple[int, int] | None = (11, 7)
    finish: str | None = None
    refusal: str = ""
    reasoning: str = ""
    fragments: int = 3
    begin: asyncio.Event | None = None
    go_on: asyncio.Event | None = None


@dataclass(frozen=True)
class Raw:
    """An answer byte by byte. `end`: `whole`, `cut` (the connection breaks off), or `endless` (the last chunk again and again)."""

    chunks: tuple[bytes | asyncio.Event, ...] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/event-stream"}, hash=False)
    end: str = "whole"


Answers = Reply | Raw
Script = Callable[[dict[str, Any]], Answers] | Mapping[str, Answers | Sequence[Answers]]
"""What is answered to a request's body; or by the last words of the user, the n-th of several after n turns of calls since then."""


@dataclass
class Seen:
    """A request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class ScriptedModel:
    """`script` may be changed at any time. `url` is the base URL; `at_once` counts the requests that are open, and one ends with its
    connection."""

    script: Script
    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        self.seen.append(Seen(request.path, {name.lower(): value for name, value in request.headers.items()}, body))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return await _send(request, _chosen(self.script, body))
        finally:
            self.at_once -= 1


@asynccontextmanager
async def model_server(script: Script) -> AsyncIterator[ScriptedModel]:
    """Such a server on loopback."""
    model = ScriptedModel(script)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", model.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    model.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield model
    finally:
        await runner.cleanup()


def last_words(body: Mapping[str, Any]) -> str:
    """Of the user, in a request's body."""
    return next((_text(item["content"]) for item in reversed(_items(body)) if item.get("role") == "user"), "")


def outputs(body: Mapping[str, Any]) -> list[str]:
    """Of the calls since the user spoke last."""
    return [_text(item["content"] if "content" in item else item["output"]) for item in _since(body) if _is_output(item)]


def turns(body: Mapping[str, Any]) -> int:
    """How many turns of calls there were since the user spoke last."""
    since = [_is_output(item) for item in _since(body)]
    return sum(now and not before for before, now in zip([False, *since], since, strict=False))


def in_turn(*answers: Answers) -> Script:
    """One after the other, whatever is asked; the last again and again."""
    left = list(answers)
    return lambda _body: left.pop(0) if len(left) > 1 else left[0]


def _chosen(script: Script, body: dict[str, Any]) -> Answers:
    if callable(script):
        return script(body)
    found = script[last_words(body)]
    return found[turns(body)] if isinstance(found, Sequence) else found


def _items(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = body["messages"] if "messages" in body else body["input"]
    return items


def _since(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    items = _items(body)
    spoken = max((index for index, item in enumerate(items) if item.get("role") == "user"), default=-1)
    return items[spoken + 1 :]


def _is_output(item: Mapping[str, Any]) -> bool:
    return item.get("role") == "tool" or item.get("type") == "function_call_output"


def _text(content: object) -> str:
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content)
    return str(content or "")


async def _send(request: web.Request, answer: Answers) -> web.StreamResponse:
    if isinstance(answer, Raw):
        return await _send_raw(request, answer)
    if answer.begin is not None:
        await answer.begin.wait()
    chunks = _chat(answer) if request.path == CHAT else _responses(answer)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    if answer.go_on is None:
        await response.write(b"".join(chunks))
    else:
        half = len(chunks) // 2
        await response.write(b"".join(chunks[:half]))
        await answer.go_on.wait()
        await response.write(b"".join(chunks[half:]))
    await response.write_eof()
    return response


async def _send_raw(request: web.Request, answer: Raw) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=dict(answer.headers))
    await response.prepare(request)
    transport = request.transport
    assert transport is not None
    for chunk in answer.chunks:
        if isinstance(chunk, asyncio.Event):
            await chunk.wait()
        else:
            await response.write(chunk)
    while answer.end == "endless" and not transport.is_closing():
        last = answer.chunks[-1]
        assert isinstance(last, bytes)
        await response.write(last)
        await asyncio.sleep(0)
    if answer.end == "cut":
        await response.drain()
        transport.close()
    else:
        await response.write_eof()
    return response


def sse(*events: object, done: bool = True) -> bytes:
    """Server-sent events of these JSON values, and `[DONE]`; a string is written as it is."""
    lines = [
        f"data: {event}\n\n".encode() if isinstance(event, str) else b"data: " + orjson.dumps(event) + b"\n\n" for event in events
    ]
    return b"".join(lines) + (b"data: [DONE]\n\n" if done else b"")


def chunk(delta: Mapping[str, object] | None = None, finish: str | None = None, **more: object) -> dict[str, object]:
    """A `chat.completion.chunk`. Without a delta and an end it has no choice."""
    choice = {"index": 0, "delta": delta or {}, "logprobs": None, "finish_reason": finish}
    choices = [] if delta is None and finish is None else [choice]
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted", "choices": choices, **more}


def call_delta(index: int, *, id: str | None = None, name: str | None = None, arguments: str | None = None) -> dict[str, object]:  # noqa: A002
    """The delta with a fragment of a call; what is None is absent."""
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    call = {"index": index, "function": function, **({} if id is None else {"id": id, "type": "function"})}
    return {"tool_calls": [call]}


def _cut(text: str, fragments: int) -> list[str]:
    size = -(-len(text) // fragments)
    return [text[start : start + size] for start in range(0, len(text), size)] if text else []


def _native(call: Asked, index: int) -> str | None:
    return f"native_{index}" if call.id == "" else call.id


@lru_cache(maxsize=256)
def _chat(reply: Reply) -> list[bytes]:
    events = [chunk({"role": "assistant", "content": "" if reply.text else None})]
    events += [chunk({"reasoning_content": item}) for item in _cut(reply.reasoning, reply.fragments)]
    events += [chunk({"content": item}) for item in _cut(reply.text, reply.fragments)]
    events += [chunk({"refusal": item}) for item in _cut(reply.refusal, reply.fragments)]
    for index, call in enumerate(reply.calls):
        events.append(chunk(call_delta(index, id=_native(call, index), name=call.name, arguments="")))
        events += [chunk(call_delta(index, arguments=item)) for item in _cut(call.arguments, reply.fragments)]
    events.append(chunk({}, reply.finish or ("tool_calls" if reply.calls else "stop")))
    if reply.usage is not None:
        prompt, completion = reply.usage
        counted = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
        events.append(chunk(usage=counted))
    return [*(sse(event, done=False) for event in events), sse()]


def response_object(status: str, output: Sequence[object] = (), **more: object) -> dict[str, object]:
    """A `response` of the Responses API."""
    return {"id": "resp_1", "object": "response", "created_at": 1, "model": "scripted", "status": status, "output": output, **more}


def named(*events: Mapping[str, object]) -> list[bytes]:
    """Events of the Responses API, each under its own name and with its number."""
    return [
        b"event: " + str(event["type"]).encode() + b"\ndata: " + orjson.dumps({**event, "sequence_number": number}) + b"\n\n"
        for number, event in enumerate(events)
    ]


@lru_cache(maxsize=256)
def _responses(reply: Reply) -> list[bytes]:
    items: list[dict[str, object]] = []
    events: list[dict[str, object]] = [{"type": "response.created", "response": response_object("in_progress")}]
    if reply.reasoning:
        events += _item(items, {"type": "reasoning", "id": "rs_1", "summary": []}, [])
    for kind, name, text in (("output_text", "text", reply.text), ("refusal", "refusal", reply.refusal)):
        if text:
            delta = f"response.{kind}.delta"
            at = {"output_index": len(items), "content_index": 0, "item_id": f"msg_{kind}"}
            told = [{"type": delta, "delta": entry, **at} for entry in _cut(text, reply.fragments)]
            told.append({"type": f"response.{kind}.done", name: text, **at})
            content = [{"type": kind, name: text, "annotations": []}]
            item: dict[str, object] = {
                "type": "message",
                "id": f"msg_{kind}",
                "role": "assistant",
                "status": "completed",
                "content": content,
            }
            events += _item(items, item, told)
    for number, call in enumerate(reply.calls):
        at = {"output_index": len(items), "item_id": f"fc_{number}"}
        told = [
            {"type": "response.function_call_arguments.delta", "delta": entry, **at}
            for entry in _cut(call.arguments, reply.fragments)
        ]
        told.append({"type": "response.function_call_arguments.done", "arguments": call.arguments, **at})
        native = {} if (native_id := _native(call, number)) is None else {"call_id": native_id}
        item = {"type": "function_call", "id": f"fc_{number}", "name": call.name, "arguments": call.arguments, **native}
        events += _item(items, item, told)
    usage = None if reply.usage is None else {"input_tokens": reply.usage[0], "output_tokens": reply.usage[1]}
    cut = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(reply.finish or "")
    status = "completed" if cut is None else "incomplete"
    ended = response_object(status, items, usage=usage, incomplete_details=None if cut is None else {"reason": cut})
    return named(*events, {"type": f"response.{status}", "response": ended})


def _item(items: list[dict[str, object]], item: dict[str, object], told: Sequence[Mapping[str, object]]) -> list[dict[str, object]]:
    """The events of one item, which joins the items."""
    index = len(items)
    items.append(item)
    begun = {**item, **({"arguments": ""} if "arguments" in item else {}), **({"content": []} if "content" in item else {})}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": begun},
        *(dict(event) for event in told),
        {"type": "response.output_item.done", "output_index": index, "item": item},
    ]
