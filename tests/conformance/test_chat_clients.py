"""Agents over Chat Completions that nobody here wrote: Vercel's AI SDK, and OpenAI's own client for JavaScript with its tool runner."""

import asyncio
from pathlib import Path
from typing import Any

from tests.simulation.test_runs import WORDS, results
from tests.support.assisted import assisted
from tests.support.clients import drive
from tests.support.models import Answers, Reply, asks, last_words, turns
from tests.support.node_peers import driven
from tests.support.teller import confirmed, executed_keys, payment

GREETING, BOTH, SCREEN = "Good day. How can I help?", "Two accounts and a card.", "Your payments are on the screen."
HELD = "This needs your confirmation before it is done."


def model(body: dict[str, Any]) -> Answers:
    words, told, turn = last_words(body), results(body), turns(body)
    if words == "What do I have?":
        return Reply(BOTH) if turn else Reply(calls=(asks("list_accounts"), asks("list_cards")))
    if words == "Show me my payments.":
        return Reply(SCREEN) if turn else Reply(calls=(asks("show_screen", screen="payments"),))
    if words == "Hello.":
        return Reply(GREETING)
    if turn == 0:
        return Reply(calls=(asks("list_accounts"),))
    debit = next(item["account"] for item in told[0]["result"]["accounts"] if (item["currency"], item["status"]) == ("GBP", "open"))
    if turn == 1:
        return Reply(calls=(asks("list_beneficiaries", account=debit),))
    payee = next(item["beneficiary"] for item in told[1]["result"]["beneficiaries"] if "Harbour" in item["name"])
    value = "21.00" if "21" in words else "20.00"
    wanted: dict[str, Any] = payment(debit, payee, value)
    return Reply(calls=(asks("initiate_transfer", **wanted),))


async def test_agents_in_javascript_ask_use_their_own_functions_and_pay(tmp_path: Path) -> None:
    async with assisted(tmp_path / "data", model) as all_of:
        paid_before: list[int] = []

        def paid() -> int:
            return len([key for key in executed_keys(all_of.gateway) if key.startswith("tg")])

        async def confirming(page: str) -> None:
            paid_before.append(paid())
            await confirmed(all_of.gateway, page.rsplit("/", 1)[1])

        saw = await driven(confirming, all_of.url, all_of.token(), WORDS, peer="ai_sdk", package="ai")
        vercel, own = saw["vercel"], saw["own"]
        assert (vercel["parallel"], vercel["app"], vercel["asked"]) == (BOTH, SCREEN, ["payments"] * 2)
        assert vercel["streamed"] == {"heard": SCREEN, "inPieces": True}
        assert own["parallel"] == [BOTH, [["list_accounts", "done"], ["list_cards", "done"]]]
        assert (own["app"], own["asked"], own["streamed"]) == (SCREEN, ["payments"], {"heard": GREETING, "inPieces": True})
        assert (vercel["held"], own["held"]) == (HELD, HELD)
        assert (paid_before, paid()) == ([0, 1], 2)


async def test_agents_in_python_ask_and_use_their_own_functions(tmp_path: Path) -> None:
    """OpenAI's Agents SDK over both doors, and LangChain's `create_agent`."""
    async with assisted(tmp_path / "data", model, mcp=True) as all_of:
        agent = all_of.token(agent="host", scope="function_calls")
        saw = await asyncio.to_thread(drive, "agents", all_of.url, all_of.token(), agent)
        assert saw["chat"] == {"balance": BOTH, "app": SCREEN, "streamed": SCREEN}
        assert saw["langchain"] == {"balance": BOTH, "app": SCREEN, "streamed": BOTH}
        assert saw["mcp"] == {"tools": len(await all_of.gateway.door.offered("alice")), "ok": True}
        assert saw["shown"] == {"agents": ["payments"] * 2, "langchain": ["payments"]}, "the bank's own is never asked of them"
