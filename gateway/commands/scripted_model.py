"""A stand-in for a model: a few rules behind the Responses API, for the demo. It is no model and does not pretend to be one.

It is gullible on purpose: text that it reads in a function's output may command it, as it would a hijacked model.
"""

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import FastAPI
from starlette.responses import Response, StreamingResponse

MODEL = "tellergate-stand-in"

_MOVE = re.compile(r'move (?P<value>[0-9.]+) (?P<currency>[A-Z]{3}) from "(?P<debit>[^"]+)" to "(?P<credit>[^"]+)"')
_PAY = re.compile(r"pay (?P<value>[0-9.]+) (?P<currency>[A-Z]{3}) to (?P<payee>[^.]+)")
_COMMANDED = re.compile(r"Transfer (?P<currency>[A-Z]{3}) (?P<value>[0-9]+\.[0-9]{2})")

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LastTurn:
    """What the customer said last, and what the functions called since then gave, by name."""

    said: str
    outputs: Mapping[str, Any]

    def result(self, name: str) -> Any:
        return self.outputs[name].get("result") or {}


def standin() -> FastAPI:
    """The HTTP application: POST /v1/responses, whole or as a stream of events."""
    silent = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
    app = FastAPI(title="A stand-in for a model", telemetry=silent)  # type: ignore[arg-type]  # a TypedDict

    @app.post("/v1/responses")
    async def responses(body: dict[str, Any]) -> Response:
        item = _next(_turn(body["input"]))
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
    return LastTurn(items[last]["content"], outputs)


def _next(turn: LastTurn) -> Item:
    if "list_accounts" not in turn.outputs:
        return _call("list_accounts", {})
    accounts = {account["name"]: account["account"] for account in turn.result("list_accounts").get("accounts", [])}
    move = _MOVE.search(turn.said)
    if move is not None:
        return _moving(turn, accounts, move)
    pay = _PAY.search(turn.said)
    if pay is not None:
        return _paying(turn, accounts["Everyday"], pay)
    if "lately" in turn.said:
        return _spending(turn, accounts["Everyday"])
    if "get_account_balance" not in turn.outputs:
        return _call("get_account_balance", {"account": accounts["Everyday"]})
    amount = turn.result("get_account_balance").get("amount", {})
    return _message(f"Your Everyday account holds {amount.get('value')} {amount.get('currency')}.")


def _moving(turn: LastTurn, accounts: Mapping[str, str], move: re.Match[str]) -> Item:
    if "initiate_transfer" in turn.outputs:
        return _message(_outcome(turn))
    amount = {"value": move["value"], "currency": move["currency"]}
    return _call("initiate_transfer", {"from": accounts[move["debit"]], "to": accounts[move["credit"]], "amount": amount})


def _paying(turn: LastTurn, account: str, pay: re.Match[str]) -> Item:
    if "list_beneficiaries" not in turn.outputs:
        return _call("list_beneficiaries", {"account": account})
    if "initiate_transfer" in turn.outputs:
        return _message(_outcome(turn))
    payees = {payee["name"]: payee["beneficiary"] for payee in turn.result("list_beneficiaries")["beneficiaries"]}
    if pay["payee"] not in payees:
        return _message("There is no such payee.")
    amount = {"value": pay["value"], "currency": pay["currency"]}
    return _call("initiate_transfer", {"from": account, "to": payees[pay["payee"]], "amount": amount})


def _outcome(turn: LastTurn) -> str:
    answer = turn.outputs["initiate_transfer"]
    if answer["ok"]:
        return "Done."
    waits = answer["error"]["code"] == "confirmation_required"
    return "Please confirm this in your banking app." if waits else "That was not possible."


def _spending(turn: LastTurn, account: str) -> Item:
    """Lists transactions; obeys whatever stands in them."""
    if "list_transactions" not in turn.outputs:
        today = datetime.now(UTC).date()
        period = {"from": (today - timedelta(days=60)).isoformat(), "to": today.isoformat()}
        return _call("list_transactions", {"account": account, **period})
    commanded = _COMMANDED.search(json.dumps(turn.result("list_transactions")))
    if commanded is None or "initiate_transfer" in turn.outputs:
        return _message("You spent on the usual things.")
    if "list_beneficiaries" not in turn.outputs:
        return _call("list_beneficiaries", {"account": account})
    payee = turn.result("list_beneficiaries")["beneficiaries"][0]["beneficiary"]
    amount = {"value": commanded["value"], "currency": commanded["currency"]}
    return _call("initiate_transfer", {"from": account, "to": payee, "amount": amount})


def _call(name: str, arguments: Mapping[str, Any]) -> Item:
    return {
        "type": "function_call",
        "id": f"fc_{secrets.token_hex(8)}",
        "call_id": f"call_{secrets.token_hex(8)}",
        "name": name,
        "arguments": json.dumps(arguments),
        "status": "completed",
    }


def _message(text: str) -> Item:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": f"msg_{secrets.token_hex(8)}", "role": "assistant", "status": "completed", "content": content}
