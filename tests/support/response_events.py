"""The order of the events of a response, as the published description of streaming has it."""

from collections.abc import Mapping, Sequence
from typing import Any

ENDS = ("response.completed", "response.incomplete", "response.failed")
_PART = ("response.content_part.added", "response.output_text.delta", "response.output_text.done", "response.content_part.done")


def in_order(events: Sequence[Mapping[str, Any]]) -> None:
    """AssertionError where an event is missing, comes twice, or does not say what others say."""
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
            begun[at], said[at] = {**event["item"], "seen": []}, ""
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
        if kind.endswith("arguments.delta") or kind == "response.output_text.delta":
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
        return
    kind = item["type"]
    wanted = [f"response.{kind}_arguments.delta", f"response.{kind}_arguments.done"]
    if kind == "mcp_call":
        wanted = ["response.mcp_call.in_progress", *wanted]
        wanted += [] if item["status"] == "incomplete" else [f"response.mcp_call.{item['status']}"]
    if not said:
        wanted.remove(f"response.{kind}_arguments.delta")
    assert seen == wanted
    assert item["arguments"] == (said or "{}")
