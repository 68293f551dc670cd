"""What stands in a thread, as items of the Responses API. Pure.

A call that the gateway did is an item `mcp_call` of the server `tellergate`: every client takes that as done, and none does it
again.
Ids are made of those of the thread, so that a stream and a later answer say the same.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gateway.domain.states import StepStatus
from gateway.domain.strict_json import Json
from gateway.runs import tool_calls
from gateway.runs.objects import CONTAINER, Object
from gateway.runs.tool_calls import CODE_INTERPRETER, FILE_SEARCH
from gateway.store.steps import Step, calls_of
from gateway.store.threads import Message

SERVER = "tellergate"

SEARCH_RESULTS, CODE_OUTPUTS = "file_search_call.results", "code_interpreter_call.outputs"
"""In a request's `include`: with the passages that searches found, and with what code printed and drew."""

MESSAGE, SERVER_CALL, SEARCH_CALL, CODE_CALL, APP_CALL, APP_OUTPUT = "msg_", "mcp_", "fs_", "ci_", "fc_", "fco_"
"""Beginnings of ids."""

CALLS_WITHIN = (SERVER_CALL, SEARCH_CALL, CODE_CALL)
"""Of calls that the gateway does."""

_TOOLS = {FILE_SEARCH: SEARCH_CALL, CODE_INTERPRETER: CODE_CALL}


def call_item_id(prefix: str, step: str, index: int) -> str:
    """Of a call: its step, and which of its calls it is."""
    return f"{prefix}{step.removeprefix('step_')}{index:02x}"


def call_of_item(id_: str) -> tuple[str, int] | None:
    """The step and the index in it that such an id names; None: it is no id of a call."""
    for prefix in (*CALLS_WITHIN, APP_CALL):
        digits = id_.removeprefix(prefix)
        if digits != id_ and len(digits) == 26 and all(digit in "0123456789abcdef" for digit in digits):
            return f"step_{digits[:24]}", int(digits[24:], 16)
    return None


def output_text(text: str, annotations: Iterable[Json] = ()) -> dict[str, Json]:
    return {"type": "output_text", "text": text, "annotations": list(annotations), "logprobs": []}


def said(id_: str, status: str, *parts: Json) -> Object:
    """A message of the model."""
    return {"id": id_, "type": "message", "role": "assistant", "status": status, "content": list(parts)}


def annotation(noted: Mapping[str, Any]) -> Json:
    """One of a message of a run. `index`: where its mark begins, in code points of the text, in which the mark stays."""
    what = noted[noted["type"]]
    named = {"filename": what.get("filename", "")} if noted["type"] == "file_citation" else {}
    return {"type": noted["type"], "file_id": what["file_id"], **named, "index": noted["start_index"]}


def app_call(id_: str, call: Mapping[str, Any], status: str = "completed") -> Object:
    """`call`: as a step has it."""
    function = call["function"]
    named = {"name": function["name"], "arguments": function["arguments"]}
    return {"id": id_, "type": "function_call", "call_id": call["id"], **named, "status": status}


def gateway_call(call: Mapping[str, Any], step: str, index: int, included: frozenset[str] = frozenset()) -> Object:
    """A call that the gateway does, as an item. `call`: as a step has it. `included`: what a request asked to be told of it."""
    function = call["function"]
    id_ = call_item_id(_TOOLS.get(function["name"], SERVER_CALL), step, index)
    if function["name"] == FILE_SEARCH:
        return _search_call(id_, call, included)
    if function["name"] == CODE_INTERPRETER:
        return _code_call(id_, call, included)
    return server_call(id_, function["name"], function["arguments"], function["output"], call["tellergate"])


def _search_call(id_: str, call: Mapping[str, Any], included: frozenset[str]) -> Object:
    query, output = tool_calls.query_of(call), call["function"]["output"]
    results: Any = None
    if SEARCH_RESULTS in included and output is not None:
        found: Any = tool_calls.shown(call, with_content=True)
        results = [
            {
                "attributes": None,
                "file_id": item["file_id"],
                "filename": item["file_name"],
                "score": item["score"],
                "text": item["content"][0]["text"],
            }
            for item in found[FILE_SEARCH]["results"]
        ]
    return {
        "id": id_,
        "type": "file_search_call",
        "queries": [] if query is None else [query],
        "status": _status(output, call["tellergate"]),
        "results": results,
        "tellergate": call["tellergate"],
    }


def _code_call(id_: str, call: Mapping[str, Any], included: frozenset[str]) -> Object:
    """The URL of an image is the path of its content at the gateway."""
    output, told = call["function"]["output"], None
    if CODE_OUTPUTS in included and output is not None:
        shown: Any = tool_calls.shown(call)
        told = [
            {"type": "image", "url": f"/v1/files/{item['image']['file_id']}/content"} if item["type"] == "image" else item
            for item in shown[CODE_INTERPRETER]["outputs"]
        ]
    return {
        "id": id_,
        "type": "code_interpreter_call",
        "code": tool_calls.code_of(call),
        "container_id": call.get(CONTAINER, ""),
        "status": _status(output, call["tellergate"]),
        "outputs": told,
        "tellergate": call["tellergate"],
    }


def _status(output: str | None, result: Mapping[str, Any] | None) -> str:
    if output is None:
        return "in_progress"
    return "completed" if (result or {}).get("status") == "done" else "failed"


def server_call(id_: str, name: str, arguments: str, output: str | None, result: Mapping[str, Any] | None) -> Object:
    """`result`: what became of it, for the app's back end."""
    return {
        "id": id_,
        "type": "mcp_call",
        "server_label": SERVER,
        "name": name,
        "arguments": arguments,
        "output": output,
        "error": None,
        "status": _status(output, result),
        "approval_request_id": None,
        "tellergate": result,
    }


def unfinished(item: Object) -> Object:
    """The same in a response that has ended: what has not ended yet is incomplete."""
    return {**item, "status": "incomplete"} if item["status"] == "in_progress" else item


def output_items(messages: Sequence[Message], steps: Sequence[Step], included: frozenset[str] = frozenset()) -> list[Object]:
    """What a response answered, in its order."""
    return _ordered(messages, (pair for step in steps for pair in _at(step, call_items(step, included))), steps)


def all_items(messages: Sequence[Message], steps: Sequence[Step], *, as_functions: bool = False) -> list[Object]:
    """The same of whatever stands in a thread: what was asked, and the app's outputs, too. `as_functions`: as `call_items` has it."""
    made = (pair for step in steps for pair in _at(step, [*call_items(step, as_functions=as_functions), *output_items_of(step)]))
    return _ordered(messages, made, steps)


def calls_made(steps: Sequence[Step]) -> list[Json]:
    """What became of the calls that the gateway was asked for, for the app's back end."""
    return [
        {"function": call["function"]["name"], **call["tellergate"]}
        for step in steps
        for call in calls_of(step)
        if call.get("tellergate") is not None
    ]


def message_item(message: Message) -> Object | None:
    """None: nothing of it is text or an image."""
    content: Any = message.body["content"]
    if message.body["role"] == "assistant":
        texts = [
            output_text(part["text"]["value"], map(annotation, part["text"]["annotations"]))
            for part in content
            if part["type"] == "text"
        ]
        return said(message.id, str(message.body["status"]), *texts) if texts else None
    parts = [part for part in map(_asked, content) if part is not None]
    return {"id": message.id, "type": "message", "role": "user", "status": "completed", "content": parts} if parts else None


def call_items(step: Step, included: frozenset[str] = frozenset(), *, as_functions: bool = False) -> Iterator[Object]:
    """The calls of a step. `as_functions`: all that the gateway did as `mcp_call`, with what the model was told."""
    for index, call in enumerate(calls_of(step)):
        if "tellergate" not in call:
            yield app_call(call_item_id(APP_CALL, step.id, index), call)
            continue
        item = gateway_call(call, step.id, index, included)
        if as_functions:
            function = call["function"]
            item = server_call(item["id"], function["name"], function["arguments"], function["output"], call["tellergate"])
        yield item if step.body["status"] == StepStatus.IN_PROGRESS else unfinished(item)


def output_items_of(step: Step) -> Iterator[Object]:
    """What the app gave for its calls of a step."""
    for index, call in enumerate(calls_of(step)):
        if "tellergate" not in call and call["function"]["output"] is not None:
            yield {
                "id": call_item_id(APP_OUTPUT, step.id, index),
                "type": "function_call_output",
                "call_id": call["id"],
                "output": call["function"]["output"],
                "status": "completed",
            }


def _at(step: Step, items: Iterable[Object]) -> Iterator[tuple[Any, Object]]:
    return ((step.created, item) for item in items)


def _ordered(messages: Sequence[Message], made: Iterable[tuple[Any, Object]], steps: Sequence[Step]) -> list[Object]:
    """Messages and `made` of steps, as they were."""
    begun = {id_: step.created for step in steps if (id_ := _message_of(step)) is not None}  # what an answer said before its calls
    found = [(begun.get(message.id, message.created), item) for message in messages if (item := message_item(message)) is not None]
    return [item for _, item in sorted([*found, *made], key=lambda entry: entry[0])]


def _message_of(step: Step) -> str | None:
    """Which message a step made."""
    details: Any = step.body["step_details"]
    return details["message_creation"]["message_id"] if details["type"] == "message_creation" else None


def _asked(part: Mapping[str, Any]) -> Object | None:
    match part["type"]:
        case "text":
            return {"type": "input_text", "text": part["text"]["value"]}
        case "image_url":
            return {
                "type": "input_image",
                "image_url": part["image_url"]["url"],
                "detail": part["image_url"]["detail"],
                "file_id": None,
            }
        case "image_file":
            return {"type": "input_image", "file_id": part["image_file"]["file_id"], "detail": part["image_file"]["detail"]}
    return None
