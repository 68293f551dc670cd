"""The demo, as a command: it holds on a folder that it has used before, tells what was refused, and names a model that does not answer."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from tests.support import forks


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


def test_a_model_that_does_not_answer_is_named(tmp_path: Path) -> None:
    ended = demo(tmp_path / "data", OPENAI_API_KEY="k" * 40, OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert ended.returncode == 3
    assert "http://127.0.0.1:9/v1" in ended.stderr
    assert "Traceback" not in ended.stderr
