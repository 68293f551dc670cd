"""The stand-in for a model behind the Responses API, for the demo: the rules of `gateway.app.development.scripted_model` over HTTP."""

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI
from starlette.responses import Response, StreamingResponse

from gateway.app.development.scripted_model import MODEL, LastTurn, StandInCall, next_step

Item = Mapping[str, Any]


def standin() -> FastAPI:
    """The HTTP application: POST /v1/responses, whole or as a stream of events."""
    silent = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
    app = FastAPI(title="A stand-in for a model", telemetry=silent)  # type: ignore[arg-type]  # a TypedDict

    @app.post("/v1/responses")
    async def responses(body: dict[str, Any]) -> Response:
        item = _item(next_step(_turn(body["input"])))
        response = {
            "id": f"resp_{secrets.token_hex(8)}",
            "object": "response",
            "created_at": 0,
            "model": MODEL,
            "status": "completed",
            "output": [item],
            "parallel_tool_calls": False,
            "tool_choice": "auto",
            "tools": body.get("tools", []),
        }
        if body.get("stream"):
            return StreamingResponse(_events(item, response), media_type="text/event-stream")
        return Response(json.dumps(response), media_type="application/json")

    return app


def _events(item: Item, response: Item) -> Iterator[str]:
    """The events of a response, as far as a client needs them."""
    at = {"output_index": 0, "item_id": item["id"]}
    told: list[Item] = [{"type": "response.output_item.added", "output_index": 0, "item": {**item, "arguments": ""}}]
    if item["type"] == "message":
        words = re.findall(r"\S+\s*", item["content"][0]["text"])
        told += [{"type": "response.output_text.delta", **at, "content_index": 0, "delta": word} for word in words]
    else:
        told.append({"type": "response.function_call_arguments.delta", **at, "delta": item["arguments"]})
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    told.append({"type": "response.completed", "response": {**response, "usage": usage}})
    for number, answer in enumerate(told):
        yield f"event: {answer['type']}\ndata: {json.dumps({**answer, 'sequence_number': number})}\n\n"


def _turn(items: Sequence[Item]) -> LastTurn:
    last = max(number for number, item in enumerate(items) if item.get("role") == "user")
    names = {item["call_id"]: item["name"] for item in items if item.get("type") == "function_call"}
    outputs = {
        names[item["call_id"]]: json.loads(item["output"]) for item in items[last:] if item.get("type") == "function_call_output"
    }
    return LastTurn(items[last]["content"], outputs, datetime.now(UTC).date())


def _item(step: StandInCall | str) -> Item:
    if isinstance(step, StandInCall):
        return {
            "type": "function_call",
            "id": f"fc_{secrets.token_hex(8)}",
            "call_id": f"call_{secrets.token_hex(8)}",
            "name": step.name,
            "arguments": json.dumps(step.arguments),
            "status": "completed",
        }
    content = [{"type": "output_text", "text": step, "annotations": []}]
    return {"type": "message", "id": f"msg_{secrets.token_hex(8)}", "role": "assistant", "status": "completed", "content": content}
