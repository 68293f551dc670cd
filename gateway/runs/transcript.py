"""A thread's messages, and the calls of its runs, as the model is told them. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from gateway.runs.images import FILE
from gateway.runs.model import CallTurn, ImagePart, Item, MessageTurn, TextPart, ToolCall
from gateway.store.steps import Step, calls_of
from gateway.store.threads import Message

UNANSWERED = '{"ok":false,"error":{"code":"temporarily_unavailable","message":"This call was not answered."}}'
"""What the model reads of a call that its run did not live to see answered."""


def items_of(messages: Sequence[Message], steps: Sequence[Step]) -> list[tuple[datetime, Item]]:
    """In the order in which they were. A call without an output is told as unanswered, so that none stands alone."""
    items = [*((message.created, _said(message)) for message in messages), *_turns(steps)]
    return sorted(((at, item) for at, item in items if item is not None), key=lambda entry: entry[0])


def _said(message: Message) -> MessageTurn | None:
    content: Any = message.body["content"]
    parts = tuple(_parts(content))
    role: Any = message.body["role"]
    return MessageTurn(role, parts) if parts else None


def _parts(content: Sequence[Mapping[str, Any]]) -> Iterator[TextPart | ImagePart]:
    for part in content:
        if part["type"] == "text" and part["text"]["value"]:
            yield TextPart(part["text"]["value"])
        elif part["type"] == "image_url":
            yield ImagePart(part["image_url"]["url"], part["image_url"]["detail"])
        elif part["type"] == "image_file":
            yield ImagePart(FILE + part["image_file"]["file_id"], part["image_file"]["detail"])


def _turns(steps: Sequence[Step]) -> Iterator[tuple[datetime, CallTurn]]:
    for step in steps:
        if calls := calls_of(step):
            yield step.created, CallTurn(tuple((_call(call), _output(call)) for call in calls))


def _output(call: Mapping[str, Any]) -> str:
    output: str | None = call["function"]["output"]
    return UNANSWERED if output is None else output  # an empty one is an output: what it says was done is not to be done again


def _call(call: Mapping[str, Any]) -> ToolCall:
    return ToolCall(call["id"], call["function"]["name"], call["function"]["arguments"])
