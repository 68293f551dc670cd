"""A person is erased, last week's backup is restored, the gateway starts: no byte of theirs is in any store, and every old proof holds."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audit import verify
from audit.disclosure import value_of
from audit.inspection import verify_store
from audit.keys import KeyDestroyed
from audit.opening import NotSealed, open_sealed
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.cli import main
from tests.support.asking import approved, by, why
from tests.support.databases import Kept
from tests.support.teller import Teller, payment, teller

WORDS = "please pay my aunt Zwetschgendatschi-417 for the plums"
BOOKS_OF_THE_BANK = ("bank.sqlite",)
"""What the bank knows of its customers itself."""


async def opened_values(asked: Teller) -> set[str]:
    """Every text and number of some length that the trail keeps sealed of anybody, opened while it can be."""
    found: set[str] = set()
    log = asked.gateway.log
    for index in range(log.size()):
        try:
            opened = await open_sealed(log, index)
        except (NotSealed, KeyDestroyed):
            continue
        for text in opened.values():
            found |= set(texts_in(value_of(text)))
    return found


def texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from texts_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
    elif isinstance(value, str) and len(value) >= 12 and any(character.isdigit() for character in value):
        yield value


def stores_of(folder: Path) -> dict[str, bytes]:
    """Each file of the gateway's folder, whole: databases with their free pages and journals, keys, files."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(BOOKS_OF_THE_BANK)
    }


def typed(folder: Path, *command: str) -> int:
    return main([*command, "--data", str(folder), "--json"])


async def test_no_byte_of_who_was_erased_is_left_after_last_week_s_backup_was_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Kept, "kind", "sqlite")
    monkeypatch.setenv("TELLERGATE_DATABASE", "")
    folder, bundle, trust = tmp_path / "data", tmp_path / "before.zip", tmp_path / "trust.json"
    async with teller(folder) as asked:
        await asked.say(WORDS)
        debit, credit = (await asked.accounts())[:2]
        assert (await asked.ask("initiate_transfer", payment(debit, credit, "4.17"))).status == "done"
        await asked.gateway.log.publish(force=True)
        mine = {WORDS, "Zwetschgendatschi-417", *await opened_values(asked)}
    assert len(mine) > 10
    before = stores_of(folder)
    assert any(WORDS.encode() in content for content in before.values()), "the search can find it"
    exporting = ("audit", "export", "--out", str(bundle), "--trust-out", str(trust), *why(folder))
    assert (await asyncio.to_thread(approved, folder, *exporting, database=""))[0] == 0
    saved, saved_keys = tmp_path / "saved", tmp_path / "saved-keys"
    assert await asyncio.to_thread(typed, folder, "backup", str(saved), "--keys", str(saved_keys)) == 0
    erasing = ("audit", "erase", "--customer", "alice", "--legal-minimum", "none", *why(folder, "ada"))
    assert (await asyncio.to_thread(approved, folder, *erasing, database=""))[0] == 0
    assert left(folder, mine) == {}, "erased"

    elsewhere = tmp_path / "elsewhere"  # the databases as they were, beside the key store as it is
    shutil.copytree(folder, elsewhere, ignore=shutil.ignore_patterns("tellergate.sqlite*", "gateway.lock"))
    assert await asyncio.to_thread(typed, elsewhere, "restore", str(saved)) == 0
    assert left(elsewhere, mine), "the backup brings them back"
    with pytest.raises(UnsafeSettings):
        async with teller(elsewhere):
            pass
    capsys.readouterr()
    assert await asyncio.to_thread(typed, elsewhere, "database", "recover", *by(elsewhere), "--records-lost") == 0
    switch = json.loads(capsys.readouterr().out)["kill_switch"]
    for officer in ("ada", "ben"):
        lifting = ("kill", "lift", switch, *by(elsewhere, officer), "--reason", "recovered")
        assert await asyncio.to_thread(typed, elsewhere, *lifting) == 0
    assert left(elsewhere, mine) == {}, "restored and recovered"
    async with teller(elsewhere) as asked:
        known = await asked.gateway.book.facts("alice", "assistant", await asked.conversation("alice"), asked.gateway.door.clock())
        assert known is not None
        assert known.customer.mandate is not None
        seeded = {account for account in mine if account in known.customer.mandate.accounts}
        assert await asked.gateway.log.subject_of("alice") is None
        assert await verify_store(asked.gateway.log) == []
    assert left(elsewhere, mine - seeded) == {}, "and started: development mode grants its made-up customers their mandates anew"
    report = verify.verify(bundle, trust=trust.read_bytes())
    assert report.good, report.findings


def left(folder: Path, values: set[str]) -> dict[str, list[str]]:
    """Which of these stand where, as text or as JSON has it."""
    found: dict[str, list[str]] = {}
    for name, content in stores_of(folder).items():
        here = [value for value in sorted(values) if value.encode() in content or json.dumps(value)[1:-1].encode() in content]
        if here:
            found[name] = here
    return found
