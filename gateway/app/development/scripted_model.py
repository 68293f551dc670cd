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
    "Draw my spending of the last year.\n"
    "Calculate the first 20 Fibonacci numbers.\n"
    "What do the terms say about a lost card?\n"
    "For a real model, start the gateway with --model-url."
)

_AMOUNT = r"(?P<value>[0-9]+(?:\.[0-9]{1,3})?) (?P<currency>[A-Z]{3})"
_MOVE = re.compile(rf'\bmove {_AMOUNT} from "(?P<debit>[^"]+)" to "(?P<credit>[^"]+)"', re.IGNORECASE)
_PAY = re.compile(rf'\bpay {_AMOUNT} to "(?P<payee>[^"]+)"', re.IGNORECASE)
_LATELY = re.compile(r"\b(?:lately|spend|spent)\b", re.IGNORECASE)
_BALANCE = re.compile(r"\b(?:balance|how much)\b", re.IGNORECASE)
_DRAW = re.compile(r"\b(?:draw|plot|chart)\b.*\b(?:spend|spent|spending)\b", re.IGNORECASE)
_FIBONACCI = re.compile(r"\bfirst (?P<count>[0-9]{1,2}) fibonacci\b", re.IGNORECASE)
_LOOK_UP = re.compile(r"\b(?:terms|documents?|files?|attached|attachment)\b", re.IGNORECASE)
_COMMANDED = re.compile(r"Transfer (?P<currency>[A-Z]{3}) (?P<value>[0-9]+\.[0-9]{2})")
_PAST_DAYS = 60
_QUERY_MOST = 1000
_PASSAGE_MOST = 400
"""Characters of a passage that it repeats."""

_FIBONACCI_CODE = """\
a, b, numbers = 0, 1, []
for _ in range({count}):
    numbers.append(a)
    a, b = b, a + b
print(numbers)
"""
_DRAWING_CODE = """\
spent = {spent}
try:
    import matplotlib.pyplot as plt
except ImportError:
    plt = None
if plt is None:
    most = max(spent.values()) or 1
    for name, value in spent.items():
        print(name, "#" * round(30 * value / most), value)
else:
    plt.barh(list(spent)[::-1], list(spent.values())[::-1])
    plt.title("Spent in the last 12 months, {currency}")
    plt.tight_layout()
    plt.show()
    with open("/mnt/data/spending.csv", "w") as table:
        table.writelines(f'"{{name}}",{{value}}\\n' for name, value in spent.items())
"""
"""A picture; in figures where there are no packages."""


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
    step = _with_tools(turn) or _next(turn)
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


def _with_tools(turn: LastTurn) -> StandInCall | str | None:
    """What a tool of the gateway answers, or is asked; None where none is wanted."""
    if fibonacci := _FIBONACCI.search(turn.words):
        code = _FIBONACCI_CODE.format(count=fibonacci["count"])
        if "code_interpreter" not in turn.outputs:
            return StandInCall("code_interpreter", {"code": code})
        return _computed(turn, f"The first {fibonacci['count']} Fibonacci numbers: ")
    if _DRAW.search(turn.words):
        return _drawing(turn)
    if _LOOK_UP.search(turn.words):
        return _looking_up(turn)
    return None


def _drawing(turn: LastTurn) -> StandInCall | str:
    """The bank's own sums, which code draws."""
    if "list_accounts" not in turn.outputs:
        return StandInCall("list_accounts", {})
    if "get_spending_summary" not in turn.outputs:
        listed = turn.result("list_accounts").get("accounts", [])
        accounts = [account["account"] for account in listed if account["status"] == "open"]
        if not accounts:
            return "I could not see an account."
        return StandInCall("get_spending_summary", {"accounts": accounts, "period": "last_12_months", "group_by": "category"})
    if not turn.outputs["get_spending_summary"].get("ok"):
        return _refused(turn, "get_spending_summary")
    groups = [group for group in turn.result("get_spending_summary").get("groups", []) if group.get("total")]
    if not groups:
        return "I see nothing that was spent."
    if "code_interpreter" not in turn.outputs:
        currency = groups[0]["total"]["currency"]
        spent = {
            str(group.get("group") or "other").replace("_", " "): float(group["total"]["value"])
            for group in groups
            if group["total"]["currency"] == currency
        }
        return StandInCall("code_interpreter", {"code": _DRAWING_CODE.format(spent=json.dumps(spent), currency=currency)})
    return _computed(turn, "This is what you spent in the last 12 months, by category.\n")


def _computed(turn: LastTurn, before: str) -> str:
    """What code printed, behind these words, and links to the files that it made."""
    if not turn.outputs["code_interpreter"].get("ok"):
        return _refused(turn, "code_interpreter")
    result = turn.result("code_interpreter")
    printed = _text(result.get("logs") or result.get("document_logs") or "")
    files = [f"[{file['path'].rsplit('/', 1)[1]}]({file['path']})" for file in result.get("files", []) if not file["image"]]
    return "\n".join([f"{before}{printed}".strip(), *([result["note"]] if result.get("ending") != "done" else []), *files])


def _looking_up(turn: LastTurn) -> StandInCall | str:
    """The passage that fits best, in its own words, and where it stands."""
    if "file_search" not in turn.outputs:
        return StandInCall("file_search", {"query": turn.words[:_QUERY_MOST]})
    if not turn.outputs["file_search"].get("ok"):
        return _refused(turn, "file_search")
    results = turn.result("file_search").get("results", [])
    if not results:
        return "I found nothing about this in your documents."
    passage = " ".join(_text(results[0]["text"]).split())
    cut = passage if len(passage) <= _PASSAGE_MOST else passage[:_PASSAGE_MOST].rsplit(" ", 1)[0] + " …"
    return f"Your documents say: “{cut}” {results[0]['cite']}"


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
