"""A restored gateway knows again what the bank granted and ended since the backup: nobody gets back what was taken from them."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.app.databases import DatabaseName
from gateway.cli import main
from gateway.domain.mandate import Mandate
from tests.support import databases
from tests.support.asking import by
from tests.support.databases import dump
from tests.support.restoring import put_back
from tests.support.teller import Teller, teller


async def mandate_of(asked: Teller, customer: str) -> Mandate:
    found = await asked.gateway.granted.of(customer)
    assert found is not None
    return found


async def test_what_the_bank_ended_since_the_backup_stays_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data"
    monkeypatch.setenv("TELLERGATE_DATABASE", databases.url(folder))
    async with teller(folder):
        pass
    backup = dump(folder, DatabaseName.GATEWAY)
    async with teller(folder) as asked:
        await asked.gateway.granted.end("bruno", "bank-system")
        before = await mandate_of(asked, "carla")
        restricted = replace(before, version=before.version + 1, restrictions=("reads_only",))
        await asked.gateway.granted.put(restricted, "bank-system")
        ended = await mandate_of(asked, "bruno")
    put_back(folder, DatabaseName.GATEWAY, backup)

    assert await asyncio.to_thread(main, ["database", "recover", *by(folder), "--data", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["put_back"]["mandates"] == 2
    async with teller(folder) as asked:
        assert (await mandate_of(asked, "bruno")).canonical() == ended.canonical()
        assert (await mandate_of(asked, "carla")).restrictions == ("reads_only",)
