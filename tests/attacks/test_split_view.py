"""A bank that cuts its log, restores an old backup or shows two histories: found by a witness and by a monitor, over loopback, by the
commands themselves in processes of their own."""

import contextlib
import io
import json
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from audit.checkpoint import Note, VerifierKey
from gateway.cli import main
from tests.attacks.test_operations_listener import free_port
from tests.doors.conftest import Served, serving
from tests.support import databases
from tests.support.guides import ROOT
from tests.support.options import OPTIONS
from tests.support.processes import started
from tests.support.waiting import WAITS_S
from tests.support.witnessing import NAME, HashLog, log_keys

pytestmark = pytest.mark.skipif(OPTIONS.core == "remote", reason="nothing here asks a core")


def typed(*arguments: str, status: int = 0) -> list[Any]:
    """What a command prints, line by line."""
    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(io.StringIO()) as told:
        assert main([*arguments, "--json"]) == status, printed.getvalue() + told.getvalue()
    return [json.loads(line) for line in printed.getvalue().splitlines()]


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAITS_S
    while not holds():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)


@dataclass
class Watched:
    """A bank's gateway, and somebody else's witness of it."""

    folder: Path
    port: int
    witness_url: str
    vkeys: Sequence[str]

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/tlog"

    def config(self, *, witnessed: bool) -> Path:
        file = self.folder / f"witnessed-{witnessed}.toml"
        place = f'witnesses = ["{self.witness_url} {" ".join(self.vkeys)}"]\nwitness_quorum = 1\n' if witnessed else ""
        file.write_text(f"operations_port = {self.port}\n{place}")
        return file

    def log_vkeys(self) -> list[str]:
        (told,) = typed("keys", "export-public", "--data", str(self.data), "--database", databases.url(self.data))
        return [key["vkey"] for key in told["keys"] if key["purpose"].startswith("log-")]

    def monitor(self, state: Path, *further: str, status: int = 0) -> dict[str, tuple[bool, str]]:
        (seen,) = typed(
            "audit", "monitor", self.url, "--log-key", *self.log_vkeys(), "--state", str(state), "--once", *further, status=status
        )
        assert seen["good"] is (status == 0)
        return {row["check"]: (row["good"], row["what"]) for row in seen["checks"]}

    def size(self, path: str = "checkpoint") -> int:
        """Of the checkpoint that is there; 0 as long as none is."""
        answered = httpx.get(f"{self.url}/{path}", timeout=WAITS_S)
        return int(answered.text.split("\n")[1]) if answered.status_code == 200 else 0

    def cosigned_size(self) -> int:
        return self.size("cosigned/1")


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    state = tmp_path / "witness"
    (made,) = typed("witness", "keygen", "--state", str(state), "--name", NAME)
    with started("witness", "serve", "--state", str(state), "--port", "0", "--json") as (_, said):
        yield Watched(tmp_path, free_port(), said["url"], made["vkeys"])


def call(served: Served) -> None:
    assert served.call("list_accounts", {}, token=served.token())["status"] == "done"


def saved(watched: Watched, name: str) -> Path:
    """A backup of everything, by a bank that stopped its gateway for it."""
    return shutil.copytree(watched.data, watched.folder / name)


def test_an_old_backup_of_everything_is_found_by_the_witness_at_the_start_and_by_the_monitor(watched: Watched) -> None:
    if databases.Kept.kind != "sqlite":
        pytest.skip("the backup is one of files")
    config, state = watched.config(witnessed=True), watched.folder / "kept.txt"
    with serving(watched.data, "--config", str(config)) as served:
        call(served)
        typed("witness", "add-log", *watched.log_vkeys(), "--state", str(watched.folder / "witness"))
        until(lambda: watched.cosigned_size() > 0)
    saved(watched, "old")
    with serving(watched.data, "--config", str(config)) as served:
        before = watched.cosigned_size()
        for _ in range(3):
            call(served)
        until(lambda: watched.cosigned_size() > before + 2)
        by = ("--witness", *watched.vkeys)
        assert all(good for good, _ in watched.monitor(state, *by).values())
        note = Note.parse(httpx.get(f"{watched.url}/cosigned/1", timeout=WAITS_S).content)
        assert [item.name for item in note.signatures].count(NAME) == 2
        kept = state.read_bytes()
    shutil.rmtree(watched.data)
    shutil.copytree(watched.folder / "old", watched.data)
    with contextlib.redirect_stderr(io.StringIO()) as told:
        status = main(["serve", "--dev", "--data", str(watched.data), "--port", "0", "--config", str(config)])
    assert status == 2
    assert "the witness witness.example.com/w1 contradicts: it cosigned" in told.getvalue()
    with serving(watched.data, "--config", str(watched.config(witnessed=False))) as served:  # a bank that goes on all the same
        call(served)
        until(lambda: watched.size() > 0)
        seen = watched.monitor(state, status=1)
        assert not seen["history"][0]
        assert seen["signatures"][0]
        assert state.read_bytes() == kept, "what was seen is not forgotten"
        while watched.size() <= int(kept.split(b"\n")[1]):
            call(served)
        assert "two versions" in watched.monitor(state, status=1)["history"][1], "nor is it, once the log is as long again"


def test_a_log_shown_in_two_versions_gets_one_of_them_cosigned(watched: Watched) -> None:
    log = HashLog().grow(*(f"leaf {number}" for number in range(20)))
    typed("witness", "add-log", *(key.key.encode() for key in log.keys), "--state", str(watched.folder / "witness"))
    shown = log.forked(12, *(f"other {number}" for number in range(9)))
    with httpx.Client(base_url=watched.witness_url, timeout=WAITS_S) as http:

        def asked(of: HashLog, old: int, size: int | None = None) -> int:
            return http.post("/add-checkpoint", content=of.submission(old, size).encode()).status_code

        assert asked(log, 0, 15) == 200
        assert asked(shown, 15) == 422
        assert asked(shown, 0) == 409
        assert asked(shown, 15, 15) == 409
        assert asked(log, 15) == 200
        assert asked(log, 20, 20) == 200


def test_a_witness_that_is_away_stops_neither_start_nor_calls_and_a_monitor_of_nobody_says_so(watched: Watched) -> None:
    watched.witness_url = f"http://127.0.0.1:{free_port()}"
    state = watched.folder / "kept.txt"
    assert watched_monitor_unreachable(watched, state) == 3
    with serving(watched.data, "--config", str(watched.config(witnessed=True))) as served:
        call(served)
        until(lambda: watched.size() > 0)
        seen = watched.monitor(state, "--witness", *watched.vkeys, status=1)
        assert {name for name, (good, _) in seen.items() if not good} == {"witnesses"}
        assert state.exists()
        strangers = [key.key.encode() for key in log_keys(VerifierKey.parse(watched.log_vkeys()[0]).name)]
        with contextlib.redirect_stderr(io.StringIO()):
            misused = ["audit", "monitor", watched.url, "--once", "--state", str(state)]
            assert main([*misused, "--log-key", *strangers]) == 2, "the state is of other keys"
            assert main([*misused, "--log-key", "x"]) == 2
            assert main([*misused, "--log-key", *watched.log_vkeys(), "--witness-quorum", "1"]) == 2
            assert main([*misused, "--log-key", *watched.log_vkeys(), "--every", "0"]) == 2
            assert main(["audit", "monitor", "http://bank.example/tlog", *misused[3:], "--log-key", *watched.log_vkeys()]) == 2


def watched_monitor_unreachable(watched: Watched, state: Path) -> int:
    with contextlib.redirect_stdout(io.StringIO()):
        keys = [key.key.encode() for key in log_keys()]
        return main(["audit", "monitor", watched.url, "--log-key", *keys, "--state", str(state), "--once"])


def section(name: str) -> str:
    """What the runbook says under this heading."""
    text = (ROOT / "deploy" / "RUNBOOK.md").read_text()
    return re.split(r"^###? ", text.split(f"### {name}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


@dataclass
class Runbook:
    """The commands of a section of the runbook, typed as they stand there, with the names of this place in the place of its own."""

    commands: list[list[str]]
    values: dict[str, str]

    @classmethod
    def of(cls, name: str, **values: str) -> "Runbook":
        fenced = re.findall(r"```sh[^\n]*\n(.*?)```", section(name), re.DOTALL)
        return cls([shlex.split(line, comments=True) for block in fenced for line in block.splitlines()], values)

    def next(self, verb: str, status: int = 0) -> list[Any]:
        words = [self.values.get(word, word) for word in self.commands.pop(0)]
        assert words[0] == "tellergate"
        assert " ".join(words[1:]).startswith(verb), words
        return typed(*[part for word in words[1:] for part in word.split("\n")], status=status)


def test_after_a_loss_that_a_witness_saw_two_officers_let_the_log_go_on_by_the_runbook(watched: Watched) -> None:
    if databases.Kept.kind != "sqlite":
        pytest.skip("the backup is one of files")
    config, data, witness = watched.config(witnessed=True), str(watched.data), str(watched.folder / "witness")
    old_state, new_state, kept = (watched.folder / name for name in ("old.txt", "new.txt", "kept.note"))
    with serving(watched.data, "--config", str(config)) as served:
        call(served)
        old_keys = watched.log_vkeys()
        typed("witness", "add-log", *old_keys, "--state", witness)
        until(lambda: watched.cosigned_size() > 0)
    saved(watched, "old")
    with serving(watched.data, "--config", str(config)) as served:
        before = watched.cosigned_size()
        call(served)
        until(lambda: watched.cosigned_size() > before)
        watched.monitor(old_state)
        kept.write_bytes(httpx.get(f"{watched.url}/cosigned/1", timeout=WAITS_S).content)
    shutil.rmtree(watched.data)
    shutil.copytree(watched.folder / "old", watched.data)
    with contextlib.redirect_stderr(io.StringIO()) as told:
        assert main(["serve", "--dev", "--data", data, "--port", "0", "--config", str(config)]) == 2
    assert "tellergate audit recover" in told.getvalue()
    files = {name: str(watched.folder / name) for name in ("request.json", "evidence.zip", "trust.json")}
    keys = {f"{name}.key": str(watched.data / "dev" / "officers" / f"{name}.key") for name in ("ada", "ben", "eve")}
    book = Runbook.of("witness_contradicts", DATA=data, WITNESS=witness, **{"kept.note": str(kept), **files, **keys})
    book.next("audit recover --checkpoint")
    same = ["audit", "recover", "--approve", files["request.json"], "--officer-key", keys["ada.key"], "--data", data]
    with contextlib.redirect_stderr(io.StringIO()) as refused:
        assert main(same) == 1
    assert "another officer" in refused.getvalue()
    (done,) = book.next("audit recover --approve")
    assert done["predecessor"] != done["successor"] == "log.bank.example/assistants-2"
    with contextlib.redirect_stderr(io.StringIO()):
        assert main(["serve", "--dev", "--data", data, "--port", "0", "--config", str(config)]) == 2
    (recovered,) = book.next("database recover")
    for officer in ("ada", "ben"):
        words = [
            "kill",
            "lift",
            recovered["kill_switch"],
            "--officer-key",
            keys[f"{officer}.key"],
            "--reason",
            "recovered",
            "--data",
            data,
        ]
        typed(*words)
    vkeys = watched.log_vkeys()
    assert vkeys != old_keys
    book.values["NEW-VKEYS"] = "\n".join(vkeys)
    book.next("witness add-log")
    with serving(watched.data, "--config", str(config)) as served:
        call(served)
        until(lambda: watched.cosigned_size() > done["size"])
        assert all(good for good, _ in watched.monitor(new_state, "--witness", *watched.vkeys).values())
        (ended,) = typed("audit", "monitor", watched.url, "--log-key", *old_keys, "--state", str(old_state), "--once", status=1)
        assert not ended["good"]
        held = {log["origin"]: log["size"] for log in typed("witness", "status", "--state", witness)[0]["logs"]}
        assert held[done["predecessor"]] == done["known_size"]
        assert held[done["successor"]] > done["size"]
    assert not book.commands
