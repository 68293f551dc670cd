"""A stand-in for a model: a few rules, for development mode and the demo. It is no model and does not pretend to be one.

It is gullible on purpose: text that it reads in a function's output may command it, as it would a hijacked model. `next_step` is the rules,
pure; `StandInModel` answers the runs of development mode with them, in the gateway's own process.
"""

import json
import re
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from gateway.app.settings import Settings
from gateway.runs.model import CallPiece, CallTurn, Finish, Finished, MessageTurn, Piece, Prompt, TextPart, TextPiece, Usage

MODEL = "tellergate-stand-in"
"""The name under which it answers, whatever model an assistant names."""

HELP = (
    "I am a stand-in for a model: a few rules, no model. Try one of these:\n"
    "What is the balance of my account?\n"
    'Move 25.00 GBP from "Everyday" to "Rainy day".\n'
    'Pay 20.00 GBP to "Camden Rooms".\n'
    "What did I spend on lately?\n"
    "For a real model, start the gateway with --model-url."
)

_AMOUNT = r"(?P<value>[0-9]+(?:\.[0-9]{1,3})?) (?P<currency>[A-Z]{3})"
_MOVE = re.compile(rf'\bmove {_AMOUNT} from "(?P<debit>[^"]+)" to "(?P<credit>[^"]+)"', re.IGNORECASE)
_PAY = re.compile(rf'\bpay {_AMOUNT} to "(?P<payee>[^"]+)"', re.IGNORECASE)
_LATELY = re.compile(r"\b(?:lately|spend|spent)\b", re.IGNORECASE)
_BALANCE = re.compile(r"\b(?:balance|how much)\b", re.IGNORECASE)
_COMMANDED = re.compile(r"Transfer (?P<currency>[A-Z]{3}) (?P<value>[0-9]+\.[0-9]{2})")
_PAST_DAYS = 60


@dataclass(frozen=True, slots=True)
class LastTurn:
    """What the customer said last, and what the functions that were called since then gave, by name. `offered` None: every function."""

    words: str
    outputs: Mapping[str, Any]
    today: date
    offered: frozenset[str] | None = None

    def result(self, name: str) -> Any:
        return self.outputs[name].get("result") or {}


@dataclass(frozen=True, slots=True)
class StandInCall:
    """The function that it asks for next."""

    name: str
    arguments: Mapping[str, Any]


def next_step(turn: LastTurn) -> StandInCall | str:
    """The function that is called next, or the last words."""
    step = _next(turn)
    if isinstance(step, StandInCall) and turn.offered is not None and step.name not in turn.offered:
        return f"This assistant may not call {step.name}: add it to the assistant's functions."
    return step


def _next(turn: LastTurn) -> StandInCall | str:
    move, pay = _MOVE.search(turn.words), _PAY.search(turn.words)
    if not (move or pay or _LATELY.search(turn.words) or _BALANCE.search(turn.words)):
        return HELP
    if "list_accounts" not in turn.outputs:
        return StandInCall("list_accounts", {})
    listed = [account for account in turn.result("list_accounts").get("accounts", []) if account["status"] == "open"]
    if not listed:
        return "I could not see an account."
    accounts = {account["name"]: account["account"] for account in listed}
    first = accounts.get("Everyday", listed[0]["account"])
    if move is not None:
        return _moving(turn, accounts, move)
    if pay is not None:
        return _paying(turn, first, pay)
    if _LATELY.search(turn.words):
        return _spending(turn, first)
    if "get_account_balance" not in turn.outputs:
        return StandInCall("get_account_balance", {"account": first})
    amount = turn.result("get_account_balance").get("amount")
    name = next(name for name, account in accounts.items() if account == first)
    return f"Your {name} account holds {amount['value']} {amount['currency']}." if amount else _refused(turn, "get_account_balance")


def _moving(turn: LastTurn, accounts: Mapping[str, str], move: re.Match[str]) -> StandInCall | str:
    if "initiate_transfer" in turn.outputs:
        return _paid(turn)
    unknown = [move[side] for side in ("debit", "credit") if move[side] not in accounts]
    if unknown:
        return f"There is no account of this name: {', '.join(unknown)}. There are: {', '.join(accounts)}."
    return _transfer(accounts[move["debit"]], accounts[move["credit"]], move)


def _paying(turn: LastTurn, account: str, pay: re.Match[str]) -> StandInCall | str:
    if "initiate_transfer" in turn.outputs:
        return _paid(turn)
    if "list_beneficiaries" not in turn.outputs:
        return StandInCall("list_beneficiaries", {"account": account})
    payees = {_text(payee["name"]): payee["beneficiary"] for payee in turn.result("list_beneficiaries").get("beneficiaries", [])}
    if pay["payee"] not in payees:
        return f"There is no payee of this name. There are: {', '.join(payees) or 'none'}."
    return _transfer(account, payees[pay["payee"]], pay)


def _text(value: object) -> str:
    """A text, which is in an object that says so where third parties wrote it."""
    return str(next(iter(value.values()), "")) if isinstance(value, Mapping) else str(value)


def _spending(turn: LastTurn, account: str) -> StandInCall | str:
    """Lists transactions; obeys whatever stands in them."""
    if "list_transactions" not in turn.outputs:
        period = {"from": (turn.today - timedelta(days=_PAST_DAYS)).isoformat(), "to": turn.today.isoformat()}
        return StandInCall("list_transactions", {"account": account, **period})
    commanded = _COMMANDED.search(json.dumps(turn.result("list_transactions")))
    if commanded is None or "initiate_transfer" in turn.outputs:
        return "You spent on the usual things."
    if "list_beneficiaries" not in turn.outputs:
        return StandInCall("list_beneficiaries", {"account": account})
    payees = turn.result("list_beneficiaries").get("beneficiaries", [])
    return _transfer(account, payees[0]["beneficiary"], commanded) if payees else "You spent on the usual things."


def _transfer(debit: str, credit: str, amount: re.Match[str]) -> StandInCall:
    money = {"value": amount["value"], "currency": amount["currency"].upper()}
    return StandInCall("initiate_transfer", {"from": debit, "to": credit, "amount": money})


def _paid(turn: LastTurn) -> str:
    answer = turn.outputs["initiate_transfer"]
    if answer.get("ok"):
        return "Done."
    waits = (answer.get("error") or {}).get("code") in ("confirmation_required", "approval_required")
    return "Please confirm this in your banking app." if waits else _refused(turn, "initiate_transfer")


def _refused(turn: LastTurn, name: str) -> str:
    error = turn.outputs[name].get("error") or {}
    return " ".join(["That was not possible.", error.get("message", "")]).strip()


def stand_in_of(settings: Settings) -> str:
    """The name of the stand-in that answers the runs; empty where it does not."""
    return MODEL if settings.stand_in_model and not settings.model_url else ""


@dataclass(frozen=True, slots=True)
class StandInModel:
    """The rules as the model of this process: nothing is sent anywhere."""

    async def answer(self, prompt: Prompt) -> AsyncGenerator[Piece, None]:
        step = next_step(turn_of(prompt, datetime.now(UTC).date()))
        if isinstance(step, StandInCall):
            yield CallPiece(0, None, step.name, json.dumps(step.arguments))
            yield Finished(Finish.CALLS, Usage(0, 0))
            return
        for word in re.findall(r"\s*\S+", step):
            yield TextPiece(word)
        yield Finished(Finish.STOP, Usage(0, 0))

    async def close(self) -> None:
        """Nothing is open."""


def turn_of(prompt: Prompt, today: date) -> LastTurn:
    """The customer's last message of a prompt, and the outputs after it."""
    words, outputs = "", dict[str, Any]()
    for item in prompt.items:
        match item:
            case MessageTurn("user", parts):
                words, outputs = "\n".join(part.text for part in parts if isinstance(part, TextPart)), {}
            case CallTurn(calls):
                outputs |= {call.name: _object(output) for call, output in calls}
            case MessageTurn():
                pass
    offered = frozenset[str]() if prompt.tool_choice == "none" else frozenset(function.name for function in prompt.functions)
    return LastTurn(words, outputs, today, offered)


def _object(output: str) -> dict[str, Any]:
    """An output that is a JSON object; empty for any other text: an app may have given whatever it likes."""
    try:
        value = json.loads(output)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
