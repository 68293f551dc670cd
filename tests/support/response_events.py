"""The events of a response: their order as the published description of streaming has it, and their shape as the Open Responses
specification has it, by the models that others generate from it (`openresponses-types`)."""

from collections.abc import Mapping, Sequence
from typing import Any

from openresponses_types import types as specification
from pydantic import BaseModel, TypeAdapter

ENDS = ("response.completed", "response.incomplete", "response.failed")
_PART = ("response.content_part.added", "response.output_text.delta", "response.output_text.done", "response.content_part.done")


def _name(model: type[BaseModel]) -> str:
    """The event's, as the enumeration of one that each has for its type."""
    names: Any = model.model_fields["type"].annotation
    (name,) = names
    return str(name.value)


_EVENTS: dict[str, TypeAdapter[Any]] = {
    _name(model): TypeAdapter(model) for name, model in vars(specification).items() if name.endswith("StreamingEvent")
}
OF_OPENAI = ("response.mcp_call", "response.file_search_call", "response.code_interpreter_call", "response.output_text.annotation")
"""How events of calls within begin, and those of what they found: the specification has none for them, and leaves room for others'."""

_WITHIN = ("mcp_call", "file_search_call", "code_interpreter_call")


def specified(event: Mapping[str, Any]) -> None:
    """ValidationError where the event, or the response that it shows, is not as the specification has it."""
    kind = event["type"]
    if kind.startswith(OF_OPENAI) or event.get("item", {}).get("type") in _WITHIN:
        return
    plain = _without_citations(event)
    _EVENTS[kind].validate_python({**plain, "response": _without_calls_within(plain["response"])} if "response" in plain else plain)


def specified_response(response: Mapping[str, Any]) -> None:
    """The same for a response that is not streamed."""
    specification.ResponseResource.model_validate(_without_calls_within(response))


def _without_calls_within(response: Mapping[str, Any]) -> Mapping[str, Any]:
    """With functions alone: the specification has no other tools."""
    plain = _without_citations(response)
    chosen = (
        {"tool_choice": "auto"} if plain["tool_choice"] in [{"type": kind} for kind in ("file_search", "code_interpreter")] else {}
    )
    tools = [tool for tool in plain["tools"] if tool["type"] == "function"]
    return {**plain, **chosen, "tools": tools, "output": [item for item in plain["output"] if item["type"] not in _WITHIN]}


def _without_citations(value: Any) -> Any:
    """Without annotations of files: the specification has those of addresses alone."""
    if isinstance(value, Mapping):
        return {name: [] if name == "annotations" else _without_citations(it) for name, it in value.items()}
    return [_without_citations(it) for it in value] if isinstance(value, list) else value


def in_order(events: Sequence[Mapping[str, Any]]) -> None:
    """AssertionError where an event is missing, comes twice, or does not say what others say; ValidationError as `specified`."""
    for event in events:
        specified(event)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert [event["type"] for event in events if event["type"] in ENDS] == [events[-1]["type"]]
    begun: dict[int, dict[str, Any]] = {}
    said: dict[int, str] = {}
    ended: dict[int, dict[str, Any]] = {}
    for event in events[2:-1]:
        kind = event["type"]
        if kind == "response.in_progress":
            continue
        at = event["output_index"]
        if kind == "response.output_item.added":
            assert at == len(begun), "items begin one after the other"
            assert all(begun[other]["type"] != "message" for other in begun.keys() - ended.keys()), (
                "a message ends before what follows"
            )
            begun[at], said[at] = {**event["item"], "seen": [], "noted": []}, ""
            continue
        assert at in begun.keys() - ended.keys(), f"{kind} of an item that has not begun, or has ended"
        item = begun[at]
        if kind == "response.output_item.done":
            assert event["item"]["id"] == item["id"]
            assert event["item"]["status"] != "in_progress"
            _whole(item, said[at], event["item"])
            ended[at] = event["item"]
            continue
        assert event["item_id"] == item["id"]
        if kind == "response.output_text.annotation.added":
            assert event["annotation_index"] == len(item["noted"])
            item["noted"].append(event["annotation"])
            continue
        if kind.endswith(("arguments.delta", "_code.delta")) or kind == "response.output_text.delta":
            said[at] += event["delta"]
        if not item["seen"] or item["seen"][-1] != kind:
            item["seen"].append(kind)
    assert begun.keys() == ended.keys(), "every item ends"
    assert [ended[at] for at in sorted(ended)] == list(events[-1]["response"]["output"])


def _whole(begun: Mapping[str, Any], said: str, item: Mapping[str, Any]) -> None:
    """Of one item: its events in their order, and in sum what it says at its end."""
    seen = list(begun["seen"])
    if item["type"] == "message":
        assert seen == list(_PART)
        assert said == item["content"][0]["text"]
        assert begun["noted"] == item["content"][0]["annotations"]
        return
    kind = item["type"]
    if kind == "file_search_call":
        _done_within(item, seen, [f"response.{kind}.in_progress", f"response.{kind}.searching"])
        return
    if kind == "code_interpreter_call":
        written = [f"response.{kind}_code.delta"] if said else []
        doing = [f"response.{kind}_code.done", f"response.{kind}.interpreting"]
        _done_within(item, seen, [f"response.{kind}.in_progress", *written, *doing])
        assert said == item["code"]
        return
    wanted = [f"response.{kind}_arguments.delta", f"response.{kind}_arguments.done"]
    if kind == "mcp_call":
        wanted = ["response.mcp_call.in_progress", *wanted]
        wanted += [] if item["status"] == "incomplete" else [f"response.mcp_call.{item['status']}"]
    if not said:
        wanted.remove(f"response.{kind}_arguments.delta")
    assert seen == wanted
    assert item["arguments"] == (said or "{}")


def _done_within(item: Mapping[str, Any], seen: Sequence[str], doing: Sequence[str]) -> None:
    """A call of a tool of the gateway's own. One that was not done may end before it was told all of this."""
    match item["status"]:
        case "completed":
            assert seen == [*doing, f"response.{item['type']}.completed"]
        case "failed":
            assert seen == doing
        case _:
            assert seen == doing[: len(seen)]
