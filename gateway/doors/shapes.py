"""The shapes in which a model's function calls arrive, and in which their outputs go back. Doors look them up by name.

Field names are those of the `openai` package's types. What a model's API adds to an item beyond them is ignored.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from gateway.calls.output import output_text
from gateway.domain.request import NativeCall
from gateway.domain.stages import Recorded
from gateway.domain.strict_json import Json, Parsed

NativeId = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=128, pattern=r"^[!-~]+$")]


class _Item(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class NamedCall(_Item):
    """`function` of an Assistants or Chat Completions tool call."""

    name: Name
    arguments: str


class ToolCallItem(_Item):
    """An item of `required_action.submit_tool_outputs.tool_calls` or of a chat message's `tool_calls`."""

    id: NativeId
    type: Literal["function"]
    function: NamedCall

    def native(self) -> NativeCall:
        return NativeCall(self.id, self.function.name, self.function.arguments)


class ResponsesCallItem(_Item):
    """An item `function_call` of the Responses API; `arguments` is JSON text."""

    type: Literal["function_call"]
    call_id: NativeId
    name: Name
    arguments: str

    def native(self) -> NativeCall:
        return NativeCall(self.call_id, self.name, self.arguments)


class AgentsCallItem(_Item):
    """An item `function_call` of the Agents beta; `arguments` is an object."""

    type: Literal["function_call"]
    call_id: NativeId
    name: Name
    arguments: dict[str, object]

    def native(self) -> NativeCall:
        arguments: Mapping[str, Parsed] = self.arguments  # type: ignore[assignment]  # strict_json made it: nothing but Json
        return NativeCall(self.call_id, self.name, arguments)


Item = ToolCallItem | ResponsesCallItem | AgentsCallItem


@dataclass(frozen=True, slots=True)
class WireShape:
    """How one API writes a call, and reads the output of one (answered call, turn id)."""

    item: type[Item]
    output: Callable[[Recorded, str], dict[str, Json]]


def _assistants(answered: Recorded, _turn_id: str) -> dict[str, Json]:
    return {"tool_call_id": answered.native_id, "output": output_text(answered)}


def _chat(answered: Recorded, _turn_id: str) -> dict[str, Json]:
    return {"role": "tool", "tool_call_id": answered.native_id, "content": output_text(answered)}


def _responses(answered: Recorded, _turn_id: str) -> dict[str, Json]:
    return {"type": "function_call_output", "call_id": answered.native_id, "output": output_text(answered)}


def _agents(answered: Recorded, turn_id: str) -> dict[str, Json]:
    done = answered.output is not None
    return {
        "type": "agent.session.input.tool_result",
        "call_id": answered.native_id,
        "turn_id": turn_id,
        "success": done,
        "output" if done else "error": output_text(answered),
    }


SHAPES: Mapping[str, WireShape] = {
    "assistants": WireShape(ToolCallItem, _assistants),
    "chat": WireShape(ToolCallItem, _chat),
    "responses": WireShape(ResponsesCallItem, _responses),
    "agents": WireShape(AgentsCallItem, _agents),
}
