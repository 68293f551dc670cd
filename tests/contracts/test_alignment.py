"""The gateway's tables and the log's are of one moment, or nothing begins on them: on SQLite and on PostgreSQL."""

from pathlib import Path

import pytest
from sqlalchemy import text

from audit.migration import HistoryUnknown
from gateway.app.alignment import refuse_apart
from gateway.app.databases import DatabaseName
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.cli import main
from gateway.store.log_position import Alignment, aligned, watch
from tests.support import databases
from tests.support.asking import by, why
from tests.support.databases import Kept, dump, on_database
from tests.support.restoring import put_back
from tests.support.teller import teller


@pytest.fixture(params=["sqlite", "postgresql"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Kept, "kind", request.param)
    data = tmp_path / "data"
    monkeypatch.setenv("TELLERGATE_DATABASE", databases.url(data))
    return data


async def _begun(folder: Path) -> None:
    async with teller(folder) as asked:
        await asked.ask("list_accounts")


def _aligned(folder: Path) -> Alignment:
    return on_database(folder, DatabaseName.GATEWAY, aligned).alignment


@pytest.mark.parametrize("part", [DatabaseName.GATEWAY, DatabaseName.LOG])
async def test_a_half_that_was_restored_stops_every_start_and_command_and_no_later_write_hides_it(
    folder: Path, part: DatabaseName, capsys: pytest.CaptureFixture[str]
) -> None:
    await _begun(folder)
    backup = dump(folder, part)
    await _begun(folder)
    put_back(folder, part, backup)
    code = "book_behind_log" if part is DatabaseName.GATEWAY else "log_behind_book"
    with pytest.raises(UnsafeSettings) as refused:
        await _begun(folder)
    assert [finding.code.value for finding in refused.value.findings] == [code]
    where = ["--data", str(folder)]
    assert databases.in_a_thread(_told(["audit", "query", *where, *why(folder)])) == 0, (
        "an auditor may still ask, which is on record"
    )
    for command in (
        ["kill", "list"],
        ["kill", "engage", "--global", *by(folder), "--reason", "restored"],
        ["policy", "list"],
        ["audit", "erase", "--customer", "alice", *why(folder, "ada")],
    ):
        assert databases.in_a_thread(_told([*command, *where])) == 2, command
        assert f"RUNBOOK.md, {code}" in capsys.readouterr().err, command
    assert _aligned(folder).value == code


async def _told(command: list[str]) -> int:
    import asyncio

    return await asyncio.to_thread(main, command)


async def test_another_log_of_the_same_length_is_not_taken_for_the_one_that_is_known(folder: Path) -> None:
    await _begun(folder)
    on_database(
        folder,
        DatabaseName.GATEWAY,
        lambda connection: connection.execute(text("update log_position set root = :root"), {"root": b"x" * 32}),
    )
    with pytest.raises(UnsafeSettings, match="another log"):
        await _begun(folder)


async def test_databases_of_the_version_before_are_watched_from_their_upgrade_on(folder: Path) -> None:
    await _begun(folder)

    def before(connection: databases.Connection) -> None:
        on = " on log.head" if connection.dialect.name == "postgresql" else ""
        for trigger in ("log_position_moves", "log_position_begins"):
            connection.execute(text(f"drop trigger {trigger}{on}"))
        connection.execute(text("delete from log_position"))

    on_database(folder, DatabaseName.GATEWAY, before)
    assert _aligned(folder) is Alignment.NOT_WATCHED
    database = databases.places(folder).open(DatabaseName.GATEWAY, name="tests")
    with pytest.raises(HistoryUnknown, match="database upgrade"):
        await refuse_apart(database)
    await database.close()
    assert await _told(["database", "upgrade", "--data", str(folder)]) == 0
    assert on_database(folder, DatabaseName.GATEWAY, watch), "what is watched already is left as it is"
    assert _aligned(folder) is Alignment.TOGETHER
    await _begun(folder)


async def test_two_gateways_and_a_command_that_writes_to_the_log_alone_are_no_false_alarm(folder: Path) -> None:
    await _begun(folder)
    assert await _told(["audit", "query", "--data", str(folder), *why(folder)]) == 0
    assert _aligned(folder) is Alignment.TOGETHER
    if Kept.kind == "postgresql":
        async with teller(folder) as one, teller(folder) as other:
            for asked in (one, other, one):
                await asked.ask("list_accounts")
                assert _aligned(folder) is Alignment.TOGETHER
