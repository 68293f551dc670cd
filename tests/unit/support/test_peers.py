"""A peer that says nothing holds nobody up for ever."""

import sys
from pathlib import Path

import pytest

from tests.support import peers

HANGS_ONCE = """
import pathlib, time
mark = pathlib.Path("mark")
if not mark.exists():
    mark.touch()
    time.sleep(600)
print('{"url": "there"}', flush=True)
time.sleep(600)
"""


def test_one_that_hangs_while_it_starts_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "STARTS_S", 1.0)
    with peers.served([sys.executable, "-S", "-c", HANGS_ONCE], tmp_path, {}) as said:
        assert said == {"url": "there"}
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize(("program", "told"), [("import time; time.sleep(600)", "said nothing, 3 times"), ("", "ended before")])
def test_one_that_never_says_anything_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, told: str) -> None:
    monkeypatch.setattr(peers, "STARTS_S", 0.1 if program else 20.0)
    with pytest.raises(AssertionError, match=told), peers.served([sys.executable, "-S", "-c", program], tmp_path, {}):
        pass
