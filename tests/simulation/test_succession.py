"""An old backup, and a head that somebody kept of what it lacks: two officers let the log go on under another name, and everything goes on.
On SQLite and on PostgreSQL; killed at each step, and run again."""

import asyncio
import json
import multiprocessing
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from audit.cosigning import checkpoint
from gateway.app import log_succession
from gateway.app.clock import utc_now
from gateway.app.databases import DatabaseName
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.cli import main
from tests.simulation.test_restore import folder, lifted, typed
from tests.support.asking import approved, by, why
from tests.support.databases import Kept, dump
from tests.support.options import OPTIONS
from tests.support.restoring import put_back
from tests.support.teller import payment, teller
from tests.support.waiting import WAITS_S

__all__ = ["folder"]

pytestmark = pytest.mark.skipif(OPTIONS.core == "remote", reason="nothing here asks a core")

SECOND = "bank.example/log-2"
Printed = pytest.CaptureFixture[str]


async def lost(data: Path) -> tuple[str, Path]:
    """A folder whose databases are an old backup, what its log was called, and the head that somebody kept of it."""
    async with teller(data) as asked:
        debit, credit = (await asked.accounts())[:2]
        where = await asked.conversation("alice")
        await asked.gateway.log.publish(force=True)
        origin = asked.gateway.log.origin
    parts = (DatabaseName.GATEWAY, DatabaseName.LOG, DatabaseName.KEYS)
    backups: Sequence[tuple[DatabaseName, Any]] = [(part, dump(data, part)) for part in parts]
    async with teller(data) as asked:
        paid = await asked.ask("initiate_transfer", payment(debit, credit, "4.20"), native_id="since", conversation=where)
        assert paid.status == "done"
        await asked.gateway.log.publish(force=True)
        kept = data.parent / "kept.txt"
        kept.write_text(await checkpoint(asked.gateway.log) or "")
    for part, backup in backups:
        put_back(data, part, backup)
    return origin, kept


def asking(kept: Path, request: Path, successor: str = SECOND) -> tuple[str, ...]:
    about = ("--origin", successor, "--reason", "no newer copy is left", "--request", str(request))
    return ("audit", "recover", "--checkpoint", str(kept), *about)


async def test_two_officers_let_the_log_go_on_under_another_name(folder: Path, capsys: Printed) -> None:
    origin, kept = await lost(folder)
    request = folder.parent / "request.json"
    status, asked_for = await typed(capsys, folder, *asking(kept, request), *by(folder, "ada"))
    assert status == 0
    subject = json.loads(asked_for["statement"])["subject"]
    assert (subject["predecessor"], subject["successor"]) == (origin, SECOND)
    assert subject["known_size"] > subject["size"]
    doing = ("audit", "recover", "--approve", str(request))
    status, said = await typed(capsys, folder, *doing, *by(folder, "ada"))
    assert (status, "another officer must approve" in said) == (1, True)
    assert (await typed(capsys, folder, *doing, *by(folder, "eve")))[0] == 1, "an auditor may not"
    status, said = await typed(capsys, folder, *doing, *by(folder, "ben"))
    assert (status, "grew since" in said) == (1, True), "the attempt is a record, so that the request is of another log"
    request.unlink()
    assert (await typed(capsys, folder, *asking(kept, request), *by(folder, "ada")))[0] == 0
    status, done = await typed(capsys, folder, *doing, *by(folder, "ben"))
    assert (status, done["predecessor"], done["successor"], done["new"]) == (0, origin, SECOND, True), done
    assert done["checkpoint"].startswith(SECOND)
    status, again = await typed(capsys, folder, *doing, *by(folder, "ben"))
    assert (status, again["new"], again["record"]) == (0, False, done["record"])
    with pytest.raises(UnsafeSettings, match="newer than its log"):
        async with teller(folder):
            pass
    asked_meanwhile = done["known_size"] - done["size"] + 2 if Kept.kind == "sqlite" else 1
    for _ in range(asked_meanwhile):  # it does not make up for what is lost
        assert (await typed(capsys, folder, "audit", "query", "--kind", "admin", "--limit", "1", *why(folder)))[0] == 0
    assert (await typed(capsys, folder, "database", "recover", *by(folder)))[0] == 2, "not without saying that records are lost"
    status, recovered = await typed(capsys, folder, "database", "recover", *by(folder), "--records-lost")
    assert (status, recovered["alignment"]) == (0, "log_behind_book"), recovered
    await lifted(capsys, folder, recovered["kill_switch"])
    async with teller(folder) as asked:
        assert asked.gateway.log.origin == SECOND
        assert (await asked.ask("list_accounts")).status == "done"
    assert (await typed(capsys, folder, "audit", "verify"))[0] == 0
    records = (await typed(capsys, folder, "audit", "query", "word:log_succeeds", *why(folder)))[1]["records"]
    (facts,) = [item["leaf"]["facts"] for item in records]
    assert (facts["by"], facts["approved_by"], facts["reason"]) == ("ada", "ben", "no newer copy is left")
    assert facts["known_note"] == kept.read_text()
    bundle, trust = folder.parent / "evidence.zip", folder.parent / "trust.json"
    exporting = ("audit", "export", "--out", str(bundle), "--trust-out", str(trust), *why(folder))
    assert (await asyncio.to_thread(approved, folder, *exporting))[0] == 0
    capsys.readouterr()
    assert json.loads(trust.read_text())["predecessors"] == [{"origin": origin, "until": done["size"]}]
    assert (await asyncio.to_thread(verified, capsys, bundle, trust)) == 0
    alone = folder.parent / "alone.json"
    alone.write_text(json.dumps({name: value for name, value in json.loads(trust.read_text()).items() if name != "predecessors"}))
    assert (await asyncio.to_thread(verified, capsys, bundle, alone)) == 1


def verified(capsys: Printed, bundle: Path, trust: Path) -> int:
    status = main(["audit", "verify", str(bundle), "--trust", str(trust)])
    capsys.readouterr()
    return status


async def test_a_request_that_is_old_changed_or_of_nothing_lost_does_nothing(
    tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kept, "kind", "sqlite")
    folder = tmp_path / "data"
    _, kept = await lost(folder)
    before, request = await typed(capsys, folder, "audit", "verify"), tmp_path / "request.json"
    ours = tmp_path / "ours.txt"
    ours.write_text((await typed(capsys, folder, "audit", "checkpoint"))[1]["checkpoint"])
    told: Mapping[tuple[str, ...], tuple[int, str]] = {
        asking(ours, request): (1, "nothing is lost"),
        asking(kept, request, "No Name"): (1, "no name"),
        asking(tmp_path / "absent", request): (2, "cannot read"),
        (*asking(kept, request), "--approve", str(request)): (2, "stands alone"),
        ("audit", "recover", "--checkpoint", str(kept)): (2, "give --checkpoint"),
        ("audit", "recover", "--approve", str(kept)): (2, "no request"),
    }
    for words, (wanted, text) in told.items():
        status, said = await typed(capsys, folder, *words, *by(folder, "ada"))
        assert (status, text in said) == (wanted, True), said
    assert (await typed(capsys, folder, *asking(kept, request), *by(folder, "ada")))[0] == 0
    assert (await typed(capsys, folder, *asking(kept, request), *by(folder, "ada")))[0] == 2, "a request is not written over"
    made = json.loads(request.read_text())
    changed = tmp_path / "changed.json"
    for change in (
        {"statement": made["statement"].replace(SECOND, "other.example/log")},
        {"signature": "AAAA"},
        {"officer_key_sha256": "00" * 32},
        {"note": ours.read_text()},
        {"note": "x"},
    ):
        changed.write_text(json.dumps({**made, **change}))
        assert (await typed(capsys, folder, "audit", "recover", "--approve", str(changed), *by(folder, "ben")))[0] == 1, change
    with monkeypatch.context() as later:
        later.setattr("gateway.commands.log_succession.utc_now", lambda: utc_now() + timedelta(hours=25))
        status, said = await typed(capsys, folder, "audit", "recover", "--approve", str(request), *by(folder, "ben"))
        assert (status, "was good until" in said) == (1, True)
    monkeypatch.setenv("TELLERGATE_LOG_ORIGIN", "third.example/log")
    assert (await typed(capsys, folder, "audit", "recover", "--approve", str(request), *by(folder, "ben")))[0] == 2
    monkeypatch.delenv("TELLERGATE_LOG_ORIGIN")
    assert await typed(capsys, folder, "audit", "verify") == before
    assert timedelta(hours=24) == log_succession.LASTS
    monkeypatch.setenv("TELLERGATE_LOG_ORIGIN", SECOND)
    assert (await typed(capsys, folder, "audit", "recover", "--approve", str(request), *by(folder, "ben")))[0] == 0


POINTS = (
    "gateway.app.log_succession.lose_records",  # within the transaction
    "audit.database.SqliteLane.commit",  # before it is committed
    "gateway.app.log_succession._ended",  # after it
)


def dies(point: str, words: Sequence[str]) -> int | None:
    """The status of a process that runs this command and is gone, as by SIGKILL, once it comes to this function."""

    def run() -> None:
        with patch(point, lambda *_given, **_named: os._exit(9)):
            os._exit(main([*words]))

    process = multiprocessing.get_context("fork").Process(target=run, daemon=True)
    process.start()
    process.join(WAITS_S)
    return process.exitcode


def test_killed_at_any_step_it_is_done_or_not_and_run_again_it_is(
    tmp_path: Path, capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kept, "kind", "sqlite")
    folder = tmp_path / "data"
    origin, kept = asyncio.run(lost(folder))
    request = tmp_path / "request.json"
    at = ("--data", str(folder), "--json")
    assert main([*asking(kept, request), *by(folder, "ada"), *at]) == 0
    doing = ["audit", "recover", "--approve", str(request), *by(folder, "ben"), *at]
    for point in POINTS:
        assert dies(point, doing) == 9, point
        assert main(["audit", "verify", *at]) == 0
    capsys.readouterr()
    assert main(doing) == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["predecessor"], done["new"]) == (origin, False), "the last one died after it was done"
    assert main(["audit", "verify", *at]) == 0
    assert main(["database", "recover", *by(folder), "--records-lost", *at]) == 0
