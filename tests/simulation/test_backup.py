"""`tellergate backup` beside a gateway that serves, and `tellergate restore` into an empty place, by the runbook's commands: on SQLite,
and on PostgreSQL by its own tools."""

import shutil
from pathlib import Path

import pytest

from gateway.app.unsafe_settings import UnsafeSettings
from tests.simulation.test_restore import folder, lifted, typed
from tests.support import databases
from tests.support.asking import by, why
from tests.support.databases import Kept
from tests.support.teller import executed_keys, payment, teller, what_does_not_hold

__all__ = ["folder"]  # the fixture


def _emptied(data: Path, elsewhere: Path) -> None:
    """A new place: the key files and the core's own books are there, and no database of ours."""
    for name in ("keys", "audit/secrets", "dev", "bank.sqlite"):
        source, target = data / name, elsewhere / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)


async def test_a_backup_that_was_made_while_calls_ran_is_restored_recovered_and_pays_nothing_twice(
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, keys = tmp_path / "backup", tmp_path / "backup-keys"
    async with teller(folder) as asked:
        debit, credit = (await asked.accounts())[:2]
        assert (await asked.ask("initiate_transfer", payment(debit, credit, "3.10"), native_id="before")).status == "done"
        where = await asked.conversation("alice")
        status, manifest = await typed(capsys, folder, "backup", str(out), "--keys", str(keys))
        assert (status, manifest["log"]["size"] > 0) == (0, True), manifest
        done = executed_keys(asked.gateway)
    assert (await typed(capsys, folder, "backup", str(out)))[0] == 1, "a folder that is not empty"
    assert {path.stat().st_mode & 0o077 for path in (*out.iterdir(), *keys.iterdir())} == {0}

    elsewhere = tmp_path / "elsewhere"
    _emptied(folder, elsewhere)
    monkeypatch.setenv("TELLERGATE_DATABASE", databases.url(elsewhere))
    status, told = await typed(capsys, elsewhere, "restore", str(out), "--keys", str(keys))
    assert (status, told) == (0, manifest)
    assert (await typed(capsys, elsewhere, "restore", str(out), "--keys", str(keys)))[0] == 1, "there are databases now"
    with pytest.raises(UnsafeSettings, match="older than its log"):
        async with teller(elsewhere):
            pass
    status, told = await typed(capsys, elsewhere, "database", "recover", *by(elsewhere))
    assert status == 0, told
    await lifted(capsys, elsewhere, told["kill_switch"])
    async with teller(elsewhere) as asked:
        repeated = await asked.ask("initiate_transfer", payment(debit, credit, "3.10"), native_id="before", conversation=where)
        assert repeated.status == "done"
        assert executed_keys(asked.gateway) == done
        assert await what_does_not_hold(asked.gateway) == []
    assert (await typed(capsys, elsewhere, "audit", "reconcile", *why(elsewhere)))[0] == 0


async def test_a_backup_that_was_changed_or_belongs_to_other_keys_is_not_restored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kept, "kind", "sqlite")
    monkeypatch.delenv("TELLERGATE_DATABASE", raising=False)
    data, out, keys = tmp_path / "data", tmp_path / "backup", tmp_path / "backup-keys"
    async with teller(data) as asked:
        await asked.ask("list_accounts")
    assert (await typed(capsys, data, "backup", str(out), "--keys", str(keys)))[0] == 0
    elsewhere = tmp_path / "elsewhere"
    _emptied(data, elsewhere)
    with (elsewhere / "keys" / "mandates.key").open("ab") as file:
        file.write(b"\n")
    status, why = await typed(capsys, elsewhere, "restore", str(out), "--keys", str(keys))
    assert (status, "keys/mandates.key" in why) == (1, True)
    shutil.copyfile(data / "keys" / "mandates.key", elsewhere / "keys" / "mandates.key")
    status, why = await typed(capsys, elsewhere, "restore", str(out))
    assert (status, "key store" in why) == (1, True)
    with (out / "tellergate.sqlite").open("r+b") as file:
        file.seek(5000)
        file.write(b"x")
    status, why = await typed(capsys, elsewhere, "restore", str(out), "--keys", str(keys))
    assert (status, "not as its manifest says" in why) == (1, True)
    assert not list(elsewhere.rglob("tellergate.sqlite")), "nothing was written"
