"""Every command and every example of the README and of the guides runs, in order, in an empty home."""

import contextlib
import io
import re
from functools import cache
from pathlib import Path

import pytest

from gateway.cli import main
from tests.support import settings_reference
from tests.support.guides import ROOT, blocks, commands, reader

GUIDES = ("README.md", *(f"{folder}/README.md" for folder in ("gateway", "policies", "audit", "adapters", "deploy", "tests")))
FURTHER = (
    *("gateway/THREATMODEL.md", "gateway/TRANSFERS.md", "gateway/CLIENTS.md", "deploy/RUNBOOK.md"),
    *("deploy/CHANGELOG.md", "deploy/SECURITY.md"),
)
QUICK_START = frozenset(block.text.strip() for block in blocks(ROOT / "README.md") if block.text.startswith("python3 -m venv"))
"""Both lines are run by `.ci/run`, each in a fresh clone."""


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_can_be_followed_from_top_to_bottom(guide: str, tmp_path: Path) -> None:
    with reader(tmp_path) as somebody:
        assert somebody.follow(ROOT / guide, without=QUICK_START) > 0


def test_the_readme_is_short_and_its_quick_start_is_two_lines() -> None:
    text = (ROOT / "README.md").read_text()
    assert text.count("\n") <= 130
    assert len(QUICK_START) == 2


@cache
def is_a_command(*verb: str) -> bool:
    """Whether `tellergate VERB --help` is answered."""
    with contextlib.redirect_stdout(io.StringIO()), pytest.raises(SystemExit) as ended:
        main([*verb, "--help"])
    return ended.value.code == 0


@pytest.mark.parametrize("guide", GUIDES)
def test_a_block_that_is_not_run_says_why_and_every_command_exists(guide: str) -> None:
    for block in blocks(ROOT / guide):
        assert block.is_run or len(block.note) > len("skip: ") + 5, block.line
        for command in commands(block) if block.language == "sh" else ():
            words = command.split()
            for at, word in enumerate(words):
                if word == "tellergate" and (at == 0 or not words[at - 1].startswith("-")):
                    verb = [item for item in words[at + 1 : at + 3] if item.replace("-", "").isalpha() and not item.startswith("-")]
                    assert is_a_command(*verb[:1]), command


@pytest.mark.parametrize("guide", [*GUIDES, *FURTHER])
def test_every_link_and_every_path_of_a_guide_leads_somewhere(guide: str) -> None:
    text = (ROOT / guide).read_text()
    for target in re.findall(r"\]\((?!https?://|#)([^)#\s]+)", text):
        assert ((ROOT / guide).parent / target).exists(), target


def test_the_reference_of_settings_is_complete_and_as_the_code_says() -> None:
    text = settings_reference.GUIDE.read_text()
    assert settings_reference.renewed(text) == text, "run: python -m tests.support.settings_reference --write"
    for name in settings_reference.texts():
        assert name == "development" or f"| `{name}` |" in text
