"""The demo, as a command: it holds on a folder that it has used before, tells what was refused, and names a model that does not answer."""

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.commands.demo import story
from gateway.commands.demo.story import AGENTS
from tests.support import forks
from tests.support.databases import sqlite_only
from tests.support.teller import output_of, payment, teller


def demo(folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = forks.command("demo", "--once", "--json", "--data", str(folder))
    known = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "TELLERGATE_"))}
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**known, **environment}, check=False)


def test_the_demo_holds_and_does_so_again_on_the_same_folder(tmp_path: Path) -> None:
    for _ in range(2):
        ended = demo(tmp_path / "data")
        assert ended.returncode == 0, ended.stderr
        story: dict[str, Any] = json.loads(ended.stdout)
        assert story["held"] is story["audit"]["verified"] is True
        held = [call for call in story["calls"] if call["status"] == "held"]
        assert [(call["function"], call["decision"], call["code"]) for call in held] == [
            ("initiate_transfer", "challenge", "confirmation_required")
        ]
        assert [result["status"] for result in story["confirmed"]] == ["done"]
        (refused,) = story["attack"]["tried"]
        assert (refused["status"], refused["decision"], refused["core_saw"]) == ("denied", "deny", None)
        assert refused["reason"] == "not_grounded"
        assert refused["reason"] not in json.dumps(refused["model_saw"])
        assert story["attack"]["funds_before"] == story["attack"]["funds_after"]
        assert story["runs"]["states"] == ["completed", "completed"]


@sqlite_only("the demo keeps its databases in files")
async def test_the_demo_goes_on_where_another_was_interrupted_and_names_what_stands_in_its_way(tmp_path: Path) -> None:
    """An older payment that waits comes first: the demo declines its own, and no other."""
    data = tmp_path / "data"
    for agent, amount, status in ((f"{AGENTS}interrupted", "20.00", 0), ("somebody-else", "21.00", 1)):
        async with teller(data) as asked:
            await asked.say(f"Please pay £{amount} to Harbour Lettings")
            (account, *_) = await asked.accounts()
            listed = output_of(await asked.ask("list_beneficiaries", {"account": account}))["beneficiaries"]
            payee = next(item["beneficiary"] for item in listed if "Harbour" in item["name"])
            left = await asked.ask("initiate_transfer", payment(account, payee, amount), agent=agent)
            assert left.status == "held"
        ended = await asyncio.to_thread(demo, data)
        assert ended.returncode == status, ended.stderr
    assert "confirmation_waits" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_no_two_demos_within_an_hour_pay_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def at(second: int) -> str:
        monkeypatch.setattr("time.time", lambda: second)
        return story._amount(12)

    assert len({at(second) for second in range(1_795_936_000, 1_795_939_600)}) == 3600


def test_a_model_that_does_not_answer_is_named(tmp_path: Path) -> None:
    ended = demo(tmp_path / "data", OPENAI_API_KEY="k" * 40, OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert ended.returncode == 3
    assert "http://127.0.0.1:9/v1" in ended.stderr
    assert "Traceback" not in ended.stderr
