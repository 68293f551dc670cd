"""The demo, as a command: it holds on a folder that it has used before, tells what was refused, and names a model that does not answer."""

import asyncio
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.app.development.scripted_model import MODEL
from gateway.app.kept_settings import NO_CODE_INTERPRETER
from gateway.commands.demo import story
from gateway.commands.demo.means import ToolMeans, tool_means
from gateway.commands.demo.servers import ModelEndpoint, gateway_server, scripted_model_server
from gateway.commands.demo.story import AGENTS, DemoConversation
from gateway.commands.demo.terms import LOST_CARD
from gateway.commands.demo.tools import CHART, FIBONACCI, TERMS, ToolStory
from tests.support import forks
from tests.support.databases import sqlite_only
from tests.support.teller import output_of, payment, teller

FIRST_20 = [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597, 2584, 4181]


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
        assert story["tools"]["missing"] == list(tool_means().missing)
        told(story["tools"]["scenes"], tool_means())


def told(scenes: Sequence[Mapping[str, Any]], means: ToolMeans) -> None:
    """Each of the three did what it is for, as far as there are means."""
    by_words = {scene["said"]: scene for scene in scenes}
    assert list(by_words) == [FIBONACCI, CHART, TERMS]
    assert all(scene["held"] and scene["state"] == "completed" for scene in scenes)
    assert str(FIRST_20) in by_words[FIBONACCI]["answer"]
    chart = by_words[CHART]
    assert [call["function"] for call in chart["calls"]] == ["list_accounts", "get_spending_summary", "code_interpreter"]
    totals = [group["total"] for group in chart["calls"][1]["model_saw"]["result"]["groups"]]
    spent = [str(float(total["value"])) for total in totals if total["currency"] == totals[0]["currency"]]
    assert len(spent) > 3
    assert all(value in chart["calls"][2]["core_saw"]["code"] for value in spent), "the bank's figures went into the program"
    if means.tier == "python":
        picture, table = chart["files"]
        assert (picture["type"], table["name"], table["type"]) == ("image/png", "spending.csv", "text/plain")
        assert picture["size"] > 5_000
    else:
        assert (chart["files"], "###" in chart["answer"]) == ([], True)
    terms = by_words[TERMS]
    (cited,) = terms["cited"]
    assert cited["file"] == ("everyday-terms.pdf" if means.documents else "everyday-terms.txt")
    assert cited["mark"] in terms["answer"]
    assert LOST_CARD in " ".join(cited["passage"].split())
    assert "closing" not in cited["passage"], "one passage, not the whole"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the client: it says so of assistants
def test_the_tools_are_told_as_far_as_a_host_has_them(tmp_path: Path) -> None:
    """Without a sandbox code is arithmetic, and the terms are plain text."""
    means = ToolMeans(files=True, documents=False, tier="compute")
    with scripted_model_server() as url:
        model = ModelEndpoint(f"{url}/v1", MODEL, "none", None)
        with gateway_server(tmp_path / "data", model, means) as running:
            conversation = DemoConversation(running, tmp_path / "data", model)
            told([scene.as_json() for scene in ToolStory(conversation, means).scenes()], means)
            nothing = ToolMeans(files=False, documents=False, tier=NO_CODE_INTERPRETER)
            assert list(ToolStory(conversation, nothing).scenes()) == []


@pytest.mark.parametrize(
    ("absent", "problem", "has", "says"),
    [
        ((), None, (True, True, "python"), []),
        (("puremagic",), None, (False, False, "off"), ["tellergate[files]"]),
        (("pypdf",), None, (True, False, "python"), ["tellergate[documents]"]),
        (("pandas",), None, (True, True, "compute"), ["tellergate[code]"]),
        (("pandas", "pydantic_monty"), None, (True, True, "off"), ["tellergate[code]"]),
        ((), "no bwrap", (True, False, "compute"), ["no sandbox (no bwrap)"]),
        (("pydantic_monty",), "no bwrap", (True, False, "off"), ["no sandbox (no bwrap)", "tellergate[code]"]),
        (("pandas", "pypdf"), None, (True, False, "compute"), ["tellergate[documents]", "tellergate[code]"]),
    ],
)
def test_what_is_missing_is_said_with_how_to_have_it(
    absent: Sequence[str], problem: str | None, has: object, says: Sequence[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.commands.demo.means.is_installed", lambda module: module not in absent)
    monkeypatch.setattr("gateway.code.jailed.refusal", lambda: problem)
    means = tool_means()
    assert (means.files, means.documents, means.tier) == has
    assert len(means.missing) == len(says)
    assert all(said in sentence for said, sentence in zip(says, means.missing, strict=True))


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
