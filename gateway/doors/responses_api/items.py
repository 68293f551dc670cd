"""What stands in a thread, as items of the Responses API. Pure.

A call that the gateway did is an item `mcp_call` of the server `tellergate`: every client takes that as done, and none does it
again.
Ids are made of those of the thread, so that a stream and a later answer say the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gateway.domain.states import StepStatus
from gateway.domain.strict_json import Json
from gateway.runs.objects import Object
from gateway.store.steps import Step, calls_of
from gateway.store.threads import Message

SERVER = "tellergate"

MESSAGE, SERVER_CALL, APP_CALL, APP_OUTPUT = "msg_", "mcp_", "fc_", "fco_"
"""Beginnings of ids."""


def call_item_id(prefix: str, step: str, index: int) -> str:
    """Of a call: its step, and which of its calls it is."""
    return f"{prefix}{step.removeprefix('step_')}{index:02x}"


def call_of_item(id_: str) -> tuple[str, int] | None:
    """The step and the index in it that such an id names; None: it is no id of a call."""
    for prefix in (SERVER_CALL, APP_CALL):
        digits = id_.removeprefix(prefix)
        if digits != id_ and len(digits) == 26 and all(digit in "0123456789abcdef" for digit in digits):
            return f"step_{digits[:24]}", int(digits[24:], 16)
    return None


def output_text(text: str) -> dict[str, Json]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def said(id_: str, status: str, *texts: str) -> Object:
    """A message of the model."""
    return {"id": id_, "type": "message", "role": "assistant", "status": status, "content": [output_text(text) for text in texts]}


def app_call(id_: str, call: Mapping[str, Any], status: str = "completed") -> Object:
    """`call`: as a step has it."""
    function = call["function"]
    named = {"name": function["name"], "arguments": function["arguments"]}
    return {"id": id_, "type": "function_call", "call_id": call["id"], **named, "status": status}


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
        "status": "in_progress" if output is None else "completed" if (result or {}).get("status") == "done" else "failed",
        "approval_request_id": None,
        "tellergate": result,
    }


def unfinished(item: Object) -> Object:
    """The same in a response that has ended: what has not ended yet is incomplete."""
    return {**item, "status": "incomplete"} if item["status"] == "in_progress" else item


def output_items(messages: Sequence[Message], steps: Sequence[Step]) -> list[Object]:
    """What a response answered, in its order."""
    return [item for _, item in _ordered(messages, steps, with_outputs=False)]


def all_items(messages: Sequence[Message], steps: Sequence[Step]) -> list[Object]:
    """The same of whatever stands in a thread: what was asked, and the app's outputs, too."""
    return [item for _, item in _ordered(messages, steps, with_outputs=True)]


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
        texts = [part["text"]["value"] for part in content if part["type"] == "text"]
        return said(message.id, str(message.body["status"]), *texts) if texts else None
    parts = [part for part in map(_asked, content) if part is not None]
    return {"id": message.id, "type": "message", "role": "user", "status": "completed", "content": parts} if parts else None


def call_items(step: Step, *, with_outputs: bool) -> Iterator[Object]:
    """`with_outputs`: with those that the app gave."""
    outputs = []
    for index, call in enumerate(calls_of(step)):
        function = call["function"]
        if "tellergate" in call:
            id_ = call_item_id(SERVER_CALL, step.id, index)
            item = server_call(id_, function["name"], function["arguments"], function["output"], call["tellergate"])
            yield item if step.body["status"] == StepStatus.IN_PROGRESS else unfinished(item)
            continue
        yield app_call(call_item_id(APP_CALL, step.id, index), call)
        if with_outputs and function["output"] is not None:
            outputs.append(
                {
                    "id": call_item_id(APP_OUTPUT, step.id, index),
                    "type": "function_call_output",
                    "call_id": call["id"],
                    "output": function["output"],
                    "status": "completed",
                }
            )
    yield from outputs


def _ordered(messages: Sequence[Message], steps: Sequence[Step], *, with_outputs: bool) -> list[tuple[Any, Object]]:
    begun = {id_: step.created for step in steps if (id_ := _message_of(step)) is not None}  # what an answer said before its calls
    found = [(begun.get(message.id, message.created), item) for message in messages if (item := message_item(message)) is not None]
    found += [(step.created, item) for step in steps for item in call_items(step, with_outputs=with_outputs)]
    return sorted(found, key=lambda entry: entry[0])


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
