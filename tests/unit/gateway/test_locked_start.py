"""A start on a database that somebody holds, or that takes nothing, says so, and serves nothing."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.cli import main
from tests.support import databases
from tests.support.databases import Kept, administer, in_a_thread
from tests.support.teller import teller


async def _begun(folder: Path) -> None:
    async with teller(folder):
        pass


def test_a_database_whose_lock_somebody_holds_stops_the_start_with_status_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kept, "kind", "sqlite")
    monkeypatch.delenv("TELLERGATE_DATABASE", raising=False)
    monkeypatch.setattr("audit.database.LOCK_WAIT_S", 0.1)
    data = tmp_path / "data"
    in_a_thread(_begun(data))
    with closing(sqlite3.connect(data / "tellergate.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert main(["serve", "--dev", "--data", str(data), "--port", "0"]) == 3
    said = capsys.readouterr().err
    assert "hold its locks" in said
    assert "Traceback" not in said


def test_a_database_that_takes_no_writes_stops_the_start_with_status_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kept, "kind", "postgresql")
    data = tmp_path / "data"
    address = databases.url(data)
    monkeypatch.setenv("TELLERGATE_DATABASE", address)
    in_a_thread(_begun(data))
    name = address.rsplit("/", 1)[1]
    administer(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')  # as a standby has it
    assert main(["serve", "--dev", "--data", str(data), "--port", "0"]) == 3
    assert "standby" in capsys.readouterr().err
