"""What a hostile or broken model's server answers, in both APIs, byte by byte. To be a script of `tests.support.models`."""

import gzip
from collections.abc import Mapping

from tests.support.models import CHAT, Raw, call_delta, chunk, named, response_object, sse

Bytes = tuple[bytes, ...]

SECRET = "what the model's server says"
"""Stands in errors of the server: nobody may be told it."""

BOMB = gzip.compress(b"data: " + b"x" * (16 * 1024 * 1024))
_EVENTS = {"Content-Type": "text/event-stream"}


_QUEUED = {"type": "response.completed", "response": response_object("queued")}


def text(api: str, said: str) -> bytes:
    """The beginning of an answer that says this."""
    if api == "chat":
        return sse(chunk({"role": "assistant", "content": said}), done=False)
    return _named({"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": said})


def end(api: str, finish: str = "stop", *, usage: object = None) -> bytes:
    """The end of an answer, as Chat Completions call it."""
    if api == "chat":
        counted = [] if usage is None else [chunk(usage=usage)]
        return sse(chunk({}, finish), *counted)
    return _named({"type": "response.completed", "response": response_object("completed", usage=usage)})


def call(api: str, index: int, native: str | None, name: str | None, *fragments: str) -> bytes:
    """A call of an answer; what is None is absent."""
    if api == "chat":
        begun = chunk(call_delta(index, id=native, name=name, arguments=""))
        return sse(begun, *(chunk(call_delta(index, arguments=fragment)) for fragment in fragments), done=False)
    given = {key: value for key, value in (("call_id", native), ("name", name)) if value is not None}
    item = {"type": "function_call", "id": f"fc_{index}", "arguments": "", **given}
    told = [{"type": "response.function_call_arguments.delta", "output_index": index, "delta": fragment} for fragment in fragments]
    return _named({"type": "response.output_item.added", "output_index": index, "item": item}, *told)


def error(api: str, code: object = "anything") -> bytes:
    """An error inside the stream."""
    if api == "chat":
        return sse({"error": {"message": SECRET, "type": "server_error", "code": code}}, done=False)
    return _named({"type": "error", "message": SECRET, "code": code})


def broken(api: str) -> Mapping[str, Raw]:
    """Answers that are none, by what is wrong with them. Each begins as a good one would."""
    said, whole = text(api, "Hello."), text(api, "Hello.") + end(api)
    odd = {
        "no JSON": b'data: {"choices": [\n\n',
        "no object": b"data: 7\n\n",
        "no number": b'data: {"choices": NaN}\n\n',
        "no UTF-8": b'data: {"choices": [{"index":0,"delta":{"content":"\xf0\x9f"}}]}\n\n',
        "too deep": b"data: " + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"\n\n",
        "a number too long": b'data: {"choices": ' + b"9" * 100_000 + b"}\n\n",
        "an error": error(api),
        "an error by its name": b'event: error\ndata: {"message": "' + SECRET.encode() + b'"}\n\n',
        "ten megabytes in a line": b"data: " + b"x" * (10 * 1024 * 1024),
    }
    return {
        **{name: Raw((said, wrong, end(api))) for name, wrong in (odd | _odd(api)).items()},
        "cut": Raw((said,), end="cut"),
        "without its end": Raw((said,)),
        "with [DONE] alone": Raw((said, b"data: [DONE]\n\n")),
        "with nothing": Raw(),
        "going on after its end": Raw((said, end(api).removesuffix(b"data: [DONE]\n\n"), said, end(api))),
        "a page": Raw((b"<html>" + SECRET.encode(),), headers={"Content-Type": "text/html"}),
        "JSON that is no answer": Raw((b'{"object": "list", "data": []}',), headers={"Content-Type": "application/json"}),
        "JSON that is cut off": Raw((b'{"choices": [',), headers={"Content-Type": "application/json"}),
        "JSON without an end": Raw((b'{"a": "', b"x" * 65536), headers={"Content-Type": "application/json"}, end="endless"),
        "said to be packed": Raw((whole,), headers=_EVENTS | {"Content-Encoding": "gzip"}),
        "packed": Raw((BOMB,), headers=_EVENTS | {"Content-Encoding": "gzip"}),
        "packed, and an error": Raw((BOMB,), 500, {"Content-Type": "application/json", "Content-Encoding": "gzip"}),
        "an endless error": Raw((b"x" * 65536,), 500, {"Content-Type": "application/json"}, end="endless"),
        "no content": Raw((), 204, {}),
        "another success": Raw((whole,), 206),
    } | ({} if api == "chat" else {"ended in another state": Raw((said, _named(_QUEUED)))})


def _odd(api: str) -> dict[str, bytes]:
    if api == "chat":
        choice = {"index": 0, "delta": {"content": "a"}, "finish_reason": None}
        return {
            "no choices at all": sse({"id": "1"}, done=False),
            "choices that are no list": sse({"choices": {}}, done=False),
            "two choices": sse({"choices": [choice, {**choice, "index": 1}]}, done=False),
            "another choice": sse({"choices": [{**choice, "index": 1}]}, done=False),
            "a choice that is none": sse({"choices": ["a"]}, done=False),
            "a delta that is none": sse({"choices": [{**choice, "delta": "a"}]}, done=False),
            "a text that is none": sse(chunk({"content": 7}), done=False),
            "calls that are no list": sse(chunk({"tool_calls": "pay"}), done=False),
            "a call that is none": sse(chunk({"tool_calls": ["pay"]}), done=False),
            "an unknown end": sse(chunk({}, "abort"), done=False),
        }
    at = {"output_index": 0, "content_index": 0}
    item = {"type": "function_call", "call_id": "a", "name": "pay", "arguments": "{}"}
    return {
        "a text that is none": _named({"type": "response.output_text.delta", "delta": 7, **at}),
        "a text that is another in the end": _named({"type": "response.output_text.done", "text": "Goodbye.", **at}),
        "arguments of no call": _named({"type": "response.function_call_arguments.delta", "output_index": 5, "delta": "{}"}),
        "an item that is none": _named({"type": "response.output_item.added", "output_index": 1, "item": "a"}),
        "a name that is none": _named({"type": "response.output_item.added", "output_index": 1, "item": {**item, "name": 7}}),
        "failed": _named({"type": "response.failed", "response": response_object("failed", error={"message": SECRET})}),
    }


def path(api: str) -> str:
    return CHAT if api == "chat" else "/v1/responses"


def _named(*events: Mapping[str, object]) -> bytes:
    return b"".join(named(*events))
