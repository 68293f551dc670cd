"""The clients of today, each put through the same cases over the doors that it speaks: what plays them, and what they are to see.

`CLIENTS` says who they are; the clients' own part is in `tests/peers/NAME/talk.py` (or `.mjs`).
"""

import asyncio
import json
import os
import re
import secrets
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from gateway.domain.request import core_key
from gateway.store.tables import CONVERSATIONS, WORDS
from tests.support import clients, peers
from tests.support.assisted import Assisted, assisted
from tests.support.children import running
from tests.support.models import Answers, Asked, Reply, asks, last_words, outputs, turns
from tests.support.teller import confirmed, executed_keys, payment
from tests.support.waiting import RUNS_S, WAITS_S

CASES = ("balance", "parallel", "app", "streaming", "held")
HELD = "This needs your confirmation before it is done."
_ACCOUNTS = ("Everyday", "London", "Household", "Operating")
"""Of which each customer has one: from it they pay."""


@dataclass(frozen=True)
class Lane:
    """A customer, whom they pay, and the peers that play them, one after the other."""

    customer: str
    payee: str
    peers: tuple[str, ...]


LANES = (
    Lane("alice", "Harbour Lettings", ("agents",)),
    Lane("bruno", "Camden Rooms", ("autogen", "llama_index_llms")),
    Lane("carla", "Fenwick Building Society", ("semantic_kernel",)),
    Lane("northwind", "Tidewater Freight", ("ai_sdk",)),
)


@dataclass(frozen=True)
class Client:
    """What is expected of a client over a door, and so what the guide says of it: it can do all cases. `banking`: how the app names the
    bank's functions; `held`: what the client makes of a payment that waits; `raises`: the error by which it tells of one, where it has
    no other word for it."""

    name: str
    door: str
    peer: str
    banking: str
    held: str
    shows_page: bool = False
    raises: str = ""


_IN_TOOLS = "in `tools`; never asked of it"
_STUBS = "as tools that are never called"
_PAGE, _TEXT = "`tellergate.confirmations` of the answer", "the answer's text; ask `GET /v1/confirmations`"
_META = '`_meta["tellergate/call"].confirm_at` of the tool\'s result'
_CAUGHT = "raises `{}`: catch it, ask `GET /v1/confirmations`, go on"
CHAT, RESPONSES, MCP = "Chat Completions", "Responses", "MCP"
COMPLETED = "Responses, `tellergate.held`"

CLIENTS = (
    Client("`openai` for Python", CHAT, "agents", _IN_TOOLS, _PAGE, shows_page=True),
    Client("`openai` for Python", RESPONSES, "agents", _IN_TOOLS, _PAGE, shows_page=True),
    Client("`openai` for JavaScript", CHAT, "ai_sdk", "as tools of `runTools` that are never called", _PAGE, shows_page=True),
    Client("`openai` for JavaScript", RESPONSES, "ai_sdk", _IN_TOOLS, _PAGE, shows_page=True),
    Client("OpenAI Agents SDK", CHAT, "agents", _STUBS, _TEXT),
    Client("OpenAI Agents SDK", RESPONSES, "agents", _STUBS, _CAUGHT.format("ModelBehaviorError"), raises="ModelBehaviorError"),
    Client("OpenAI Agents SDK", COMPLETED, "agents", _STUBS, _TEXT),
    Client("OpenAI Agents SDK", MCP, "agents", "listed by the server", _TEXT),
    Client("LangChain `create_agent`", CHAT, "agents", _STUBS, _TEXT),
    Client("LangChain `create_agent`", RESPONSES, "agents", _STUBS, _TEXT),
    Client("LangGraph `StateGraph`", CHAT, "agents", _STUBS, _TEXT),
    Client("LangGraph `StateGraph`", RESPONSES, "agents", _STUBS, _TEXT),
    Client("LlamaIndex `FunctionAgent`", CHAT, "llama_index_llms", _STUBS, _TEXT),
    Client("LlamaIndex `FunctionAgent`", RESPONSES, "llama_index_llms", _STUBS, _TEXT),
    Client("AutoGen `AssistantAgent`", CHAT, "autogen", _STUBS, _TEXT),
    Client("Semantic Kernel `ChatCompletionAgent`", CHAT, "semantic_kernel", f"{_STUBS}, without a plugin's name", _TEXT),
    Client(
        "Semantic Kernel `OpenAIResponsesAgent`",
        RESPONSES,
        "semantic_kernel",
        f"{_STUBS}, without a plugin's name",
        _CAUGHT.format("AgentInvokeException"),
        raises="AgentInvokeException",
    ),
    Client("Semantic Kernel `OpenAIResponsesAgent`", COMPLETED, "semantic_kernel", f"{_STUBS}, without a plugin's name", _TEXT),
    Client("Vercel `ai`, `@ai-sdk/openai`", CHAT, "ai_sdk", "as tools without `execute`", _PAGE, shows_page=True),
    Client("Vercel `ai`, `@ai-sdk/openai`", RESPONSES, "ai_sdk", "as tools without `execute`", _PAGE, shows_page=True),
    Client("Vercel `ai`, `@ai-sdk/open-responses`", RESPONSES, "ai_sdk", "as tools without `execute`", _PAGE, shows_page=True),
    Client("Vercel `ai`, `@ai-sdk/mcp`", MCP, "ai_sdk", "listed by the server", _META, shows_page=True),
)


@dataclass
class Seen:
    """What came of it. `cases`: by client, door and case. `early`, `done`: of each call that was held, how often its payment was done
    before the customer spoke, and in the end. `words`: what counts as said by each customer. `payments`: how many were done in all."""

    cases: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    early: dict[str, int] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    words: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    payments: int = 0
    absent: dict[str, str] = field(default_factory=dict)
    """Peers that are not installed."""
    broken: dict[str, str] = field(default_factory=dict)
    """What peers say that ended by themselves."""


def model(body: dict[str, Any]) -> Answers:
    """Asks for what the words need, and says what it was told: a number in an answer came from the bank."""
    words, told, turn = last_words(body), list(_told(body)), turns(body)
    if words == "What is my balance?":
        if turn == 0:
            return Reply(calls=(_asks("list_accounts"),))
        if turn == 1:
            return Reply(calls=(_asks("get_account_balance", account=_account(told)),))
        return Reply(f"Your balance is {told[-1]['result']['amount']['value']}.")
    if words == "What do I have?":
        if turn == 0:
            return Reply(calls=(_asks("list_accounts"), _asks("list_cards")))
        return Reply(f"You have {_count(told, 'accounts')} accounts and {_count(told, 'cards')} cards.")
    if words == "Show me my payments.":
        if turn == 0:
            return Reply(calls=(_asks("list_accounts"), _asks("show_screen", screen="payments")))
        shown = next(answer["shown"] for answer in told if "shown" in answer)
        return Reply(f"Of {_count(told, 'accounts')} accounts the {shown} are on your screen.")
    if turn == 0:
        return Reply(calls=(_asks("list_accounts"),))
    if turn == 1:
        return Reply(calls=(_asks("list_beneficiaries", account=_account(told)),))
    if turn == 2:
        value, name = re.fullmatch(r"Please pay £([0-9.]+) to (.+)", words).groups()  # type: ignore[union-attr]
        payee = next(item["beneficiary"] for item in told[1]["result"]["beneficiaries"] if item["name"] == name)
        wanted: dict[str, Any] = payment(_account(told), payee, value)
        return Reply(calls=(_asks("initiate_transfer", **wanted),))
    return Reply("It is paid." if told[-1]["ok"] else HELD)


def _asks(name: str, **arguments: Any) -> Asked:
    """Under an id that no other call has: clients remember those of a whole conversation."""
    return asks(name, id=f"call_{secrets.token_hex(8)}", **arguments)


def _told(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Outputs since the customer spoke; hosts of the Model Context Protocol wrap what they pass on."""
    for output in outputs(body):
        found: Any = json.loads(output)
        while not _is_answer(found):
            found = found[0] if isinstance(found, list) else found["content"] if "content" in found else json.loads(found["text"])
        yield found


def _is_answer(found: Any) -> bool:
    """Of a function of the bank, or of the app."""
    return isinstance(found, dict) and ("ok" in found or "shown" in found)


def _count(told: list[dict[str, Any]], what: str) -> int:
    return next(len(answer["result"][what]) for answer in told if what in answer.get("result", {}))


def _account(told: list[dict[str, Any]]) -> str:
    return next(str(item["account"]) for item in told[0]["result"]["accounts"] if item["name"] in _ACCOUNTS)


async def play(folder: Path) -> Seen:
    """All of them over one gateway and one model, a customer beside another."""
    seen, commands = Seen(), dict[str, _Command]()
    for peer in (peer for lane in LANES for peer in lane.peers):
        try:
            commands[peer] = await asyncio.to_thread(_command, peer)
        except pytest.skip.Exception as absent:
            seen.absent[peer] = str(absent)
    async with assisted(folder, model, mcp=True) as all_of:
        async with asyncio.TaskGroup() as group:
            for lane in LANES:
                group.create_task(_lane(all_of, lane, commands, seen))
        keys = executed_keys(all_of.gateway)
        seen.payments = len([key for key in keys if key.startswith("tg")])
        said = select(CONVERSATIONS.c.customer, WORDS.c.text).join_from(
            WORDS, CONVERSATIONS, WORDS.c.conversation == CONVERSATIONS.c.id
        )
        for customer, text in await all_of.gateway.book.read(lambda connection: connection.execute(said).all()):
            seen.words[customer][text] += 1
        seen.done = {call: keys.count(core_key(call)) for call in seen.early}
    return seen


async def _lane(all_of: Assisted, lane: Lane, commands: Mapping[str, "_Command"], seen: Seen) -> None:
    place = {
        "url": all_of.url,
        "words": all_of.token(lane.customer),
        "agent": all_of.token(lane.customer, agent="host", scope="function_calls"),
        "model": all_of.model.url,
        "payee": lane.payee,
    }
    for peer in lane.peers:
        if peer in commands:
            command, folder = commands[peer]
            if ended := await _peer(all_of, lane, ([*command, json.dumps(place)], folder), seen):
                seen.broken[peer] = ended


async def _peer(all_of: Assisted, lane: Lane, command: "_Command", seen: Seen) -> str:
    """What it says of its own failure; empty: it has come to its end."""
    pipe = asyncio.subprocess.PIPE
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment |= {"PYTHONPATH": str(clients.PEERS), "OPENAI_API_KEY": "none"}
    how = {"cwd": command[1], "env": environment, "stdin": pipe, "stdout": pipe, "stderr": pipe}
    async with running(*command[0], **how) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        errors = asyncio.create_task(process.stderr.read())
        async with asyncio.timeout(RUNS_S):
            while line := await process.stdout.readline():
                told = json.loads(line)
                if "held" in told:
                    await _customer_confirms(all_of, lane, told["page"], seen)
                    process.stdin.write(b"confirmed\n")
                    await process.stdin.drain()
                elif "case" in told:
                    if "error" in told:  # what it left behind is not the next case's
                        await _customer_confirms(all_of, lane, None, seen)
                    seen.cases[told["client"], told["door"], told["case"]] = told
            failed = (await errors).decode()[-2000:]
            return failed if await process.wait() else ""


_Command = tuple[list[str], Path]
"""What is run, and in which folder."""


def _command(peer: str) -> _Command:
    if (clients.PEERS / peer / "talk.py").exists():
        return [str(clients.environment(peer) / "bin" / "python"), str(clients.PEERS / peer / "talk.py")], clients.PEERS / peer
    return [shutil.which("node") or "node", "talk.mjs"], peers.installed(peer, "@ai-sdk/open-responses", "talk.mjs")


async def _customer_confirms(all_of: Assisted, lane: Lane, page: str | None, seen: Seen) -> None:
    """By what the bank's own app asks: `GET /v1/confirmations`. Nothing is held: the case says so."""
    own = {"authorization": f"Bearer {all_of.token(lane.customer, scope='confirm')}"}
    async with httpx.AsyncClient(base_url=all_of.url, headers=own, timeout=WAITS_S) as app:
        waiting = (await app.get("/v1/confirmations")).json()["data"]
        if not waiting:
            return
        (held,) = waiting
        assert page is None or page.endswith(f"/confirm/{held['id']}"), page
        (call,) = (await app.get(f"/v1/confirmations/{held['id']}")).json()["intent"]["call_ids"]
    seen.early[call] = executed_keys(all_of.gateway).count(core_key(call))
    await confirmed(all_of.gateway, held["id"], lane.customer)
