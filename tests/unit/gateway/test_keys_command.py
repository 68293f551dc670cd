"""`tellergate keys`, on a folder in which a gateway has worked, and beside one that runs."""

import asyncio
import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from audit.checkpoint import VerifierKey
from audit.inspection import verify_store
from audit.key_files import FileKeys
from audit.keys import CUSTOMERS
from audit.leaf import RecordKind
from audit.log import Log
from audit.query import Why, reveal
from audit.store.find import Filter, find
from audit.store.reads import StoredLeaf
from gateway.app.keys import GATEWAY_PURPOSES, PURPOSES, REFERENCES, RUNS, WEBHOOK, file_keys
from gateway.cli import main
from gateway.commands.keys_line import PURPOSE_NAMES
from tests.support.databases import places
from tests.support.options import OPTIONS
from tests.support.production import private
from tests.support.softhsm import MODULE, PIN, new_token
from tests.support.teller import teller

WHY = Why(auditor="auditor-1", purpose="tests", case_id="case-1")
Keys = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase costs little here."""
    monkeypatch.setattr("audit.key_format.Passphrase.chosen", lambda _self: (b"salt" * 4, 10))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def keys(data: Path, capsys: pytest.CaptureFixture[str]) -> Keys:
    """Runs a verb with `--json`: its status, and what it printed."""

    def run(*arguments: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        database = ["--database", places(data).url] if arguments[0] in ("rotate", "retire", "make", "export-public") else []
        key = ["--officer-key", str(data / "dev" / "officers" / "ada.key")] if arguments[0] in ("rotate", "retire", "make") else []
        status = main(["keys", *arguments, "--data", str(data), *database, *key, "--json"])
        printed = capsys.readouterr()
        return status, json.loads(printed.out) if printed.out else {"why": printed.err}

    return run


async def beside(keys: Keys, *arguments: str) -> tuple[int, dict[str, Any]]:
    """A command has a loop of its own."""
    return await asyncio.to_thread(keys, *arguments)


async def worked(data: Path) -> None:
    async with teller(data) as asked:
        assert (await asked.ask("list_accounts")).status == "done"


async def stored_of(log: Log, *kinds: RecordKind) -> Sequence[StoredLeaf]:
    return await log.read_long(lambda reads: find(reads.connection, Filter(kinds=kinds), 2**62, -1, 500))


async def recorded(log: Log, *kinds: RecordKind) -> list[dict[str, Any]]:
    return [json.loads(item.leaf)["facts"] for item in await stored_of(log, *kinds)]


def in_state(listed: dict[str, Any], purpose: str) -> dict[str, str]:
    return {key["state"]: key["id"] for key in listed["keys"] if key["purpose"] == purpose}


def test_the_command_knows_the_purposes_of_the_code() -> None:
    assert [purpose.name for purpose in PURPOSES] == list(PURPOSE_NAMES)
    assert [purpose.name for purpose in GATEWAY_PURPOSES] == list(PURPOSE_NAMES[5:])


async def test_every_purpose_is_rotated_while_the_gateway_runs_and_what_was_made_before_holds(data: Path, keys: Keys) -> None:
    async with teller(data) as asked:
        (account, *_) = await asked.accounts()
        made: dict[str, str] = {}
        # A core behind HTTP is given the file of permit keys by its operator, before the next one begins
        purposes = [name for name in PURPOSE_NAMES if name != "permits" or OPTIONS.core == "embedded"]
        for name in ("log", *purposes[2:]):
            status, told = await beside(keys, "rotate", name, "--lead", "3")
            assert (status, told["recorded"]) == (0, True), name
            made |= {item["purpose"]: item["new"] for item in told["rotated"]}
        status, listed = await beside(keys, "list")
        assert status == 0
        assert all(made[name] in in_state(listed, name).values() and len(in_state(listed, name)) == 2 for name in purposes)
        await asked.gateway.keys.take_over(asked.gateway.log)
        await asked.gateway.log.publish(force=True)
        await asyncio.sleep(5)
        status, later = await beside(keys, "list")
        assert all(in_state(later, name)["active"] == made[name] for name in purposes)
        read = await asked.ask("get_account_balance", {"account": account})
        assert read.status == "done", "a reference by the older key resolves"
        assert (await asked.transfer("1.00")).status in ("done", "confirmation_required")
        assert await asked.gateway.log.publish(force=True)
        assert await verify_store(asked.gateway.log) == []
        facts = await recorded(asked.gateway.log, RecordKind.KEY_ROTATE)
        assert sorted(item["purpose"] for item in facts) == sorted(purposes)
        assert {item["purpose"] for item in facts if "statement" in item} == {
            purpose.name for purpose in PURPOSES if purpose.kind.signs and purpose.name in purposes
        }
    async with teller(data) as asked:
        assert (await asked.ask("list_accounts")).status == "done", "and another start knows mandates of both keys"
        assert await verify_store(asked.gateway.log) == []
        assert len(await recorded(asked.gateway.log, RecordKind.KEY_ROTATE)) == len(purposes)


async def test_all_are_rotated_by_one_command_up_to_one_that_is_refused(data: Path, keys: Keys) -> None:
    await worked(data)
    assert (await beside(keys, "rotate", "runs", "--lead", "500"))[0] == 0
    status, _ = await beside(keys, "rotate", "all", "--lead", "1")
    assert status == 2
    status, listed = await beside(keys, "list")
    rotated = [purpose for purpose in PURPOSE_NAMES if len([key for key in listed["keys"] if key["purpose"] == purpose]) == 2]
    assert (status, rotated) == (0, [*PURPOSE_NAMES[: PURPOSE_NAMES.index("runs") + 1]])
    async with teller(data) as asked:
        facts = await recorded(asked.gateway.log, RecordKind.KEY_ROTATE)
        assert sorted(item["purpose"] for item in facts) == sorted(rotated), "each is on record once"
        assert await verify_store(asked.gateway.log) == []


async def test_a_key_is_retired_once_the_next_one_has_begun_and_customers_records_open_on(data: Path, keys: Keys) -> None:
    await worked(data)
    _, listed = await beside(keys, "list")
    old = in_state(listed, "customers")["active"]
    status, why = await beside(keys, "retire", "customers", old)
    assert (status, "in use" in why["why"]) == (2, True)
    await beside(keys, "rotate", "customers", "--lead", "1")
    await asyncio.sleep(2.1)
    status, told = await beside(keys, "retire", "customers", old)
    assert status == 0
    assert told["wrapped_again"] >= 2, "nobody's and alice's"
    assert (await beside(keys, "retire", "customers", "00" * 8))[0] == 2
    assert (await beside(keys, "retire", "customers", "zz"))[0] == 2
    assert len(file_keys(data).load(CUSTOMERS)) == 1
    async with teller(data) as asked:
        assert (await asked.ask("list_accounts")).status == "done"
        log = asked.gateway.log
        (index, *_) = [item.idx for item in await stored_of(log, RecordKind.READ)]
        assert (await reveal(log, index, WHY)).values, "what was sealed before opens"
        retired = [item for item in await recorded(log, RecordKind.ADMIN) if item.get("action") == "key.retire"]
        assert retired == [{"action": "key.retire", "purpose": "customers", "key": old}]
        assert await verify_store(log) == []


async def test_sealing_is_for_every_file_and_a_wrong_passphrase_opens_none(
    data: Path, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await worked(data)
    words, other = tmp_path / "words", tmp_path / "other"
    for path, text in ((words, "correct horse battery"), (other, "another horse battery")):
        path.write_text(text)
        path.chmod(0o600)
    assert (await beside(keys, "seal"))[0] == 2
    status, told = await beside(keys, "seal", "--passphrase-file", str(words))
    assert (status, told["sealed"]) == (0, list(PURPOSE_NAMES))
    status, listed = await beside(keys, "list")
    assert (status, len(listed["wrong"])) == (1, len(PURPOSES)), "nobody gave the passphrase"
    monkeypatch.setenv("TELLERGATE_KEY_PASSPHRASE_FILE", str(other))
    status, listed = await beside(keys, "list")
    assert (status, {"another passphrase" in item["why"] for item in listed["wrong"]}) == (1, {True})
    monkeypatch.setenv("TELLERGATE_KEY_PASSPHRASE_FILE", str(words))
    status, listed = await beside(keys, "list")
    assert (status, {key["sealed"] for key in listed["keys"]}) == (0, {True})
    await worked(data)
    assert (await beside(keys, "rotate", "references", "--lead", "1"))[0] == 0
    assert file_keys(data).is_sealed(REFERENCES), "what follows is sealed as well"
    assert (await beside(keys, "seal", "--passphrase-file", str(other)))[0] == 0
    assert (await beside(keys, "seal", "--passphrase-file", str(other)))[0] == 0, "again, where it stopped"
    monkeypatch.delenv("TELLERGATE_KEY_PASSPHRASE_FILE")
    credentials = tmp_path / "credentials"
    credentials.mkdir(mode=0o700)
    other.replace(credentials / "tellergate-keys")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert (await beside(keys, "list"))[0] == 0
    await worked(data)


async def test_what_is_wrong_with_a_file_is_named_and_a_lost_key_can_be_begun_anew(data: Path, keys: Keys) -> None:
    await worked(data)
    storage = FileKeys(data)
    storage.path(RUNS).unlink()
    storage.path(REFERENCES).chmod(0o644)
    status, listed = await beside(keys, "list")
    assert status == 1
    assert {item["purpose"]: item["why"] for item in listed["wrong"]} == {
        "references": "references.key: others may read or write it (chmod 600)",
        "runs": "runs.key is not there: restore it from where the keys are kept safe",
    }
    storage.path(REFERENCES).chmod(0o600)
    assert (await beside(keys, "make", "references"))[0] == 1
    status, told = await beside(keys, "make", "runs")
    assert (status, told["lost"]) == (0, RUNS.lost)
    assert (await beside(keys, "list"))[0] == 0
    async with teller(data) as asked:
        told_of = await recorded(asked.gateway.log, RecordKind.ADMIN)
        assert [item["action"] for item in told_of if "action" in item][:1] == ["key.make"]
        assert ("signed", "keys.make", "ada") in [(item.get("word"), item.get("duty"), item.get("by")) for item in told_of]


async def test_public_keys_are_exported_with_names_and_no_secret_is_ever_printed(
    data: Path, keys: Keys, capsys: pytest.CaptureFixture[str]
) -> None:
    await worked(data)
    secrets = [base64.b64encode(kept.secret).decode() for purpose in PURPOSES for kept in FileKeys(data)._entries(purpose)]
    assert len(secrets) == len(PURPOSES)
    status, told = await beside(keys, "export-public")
    assert status == 0
    signing = [purpose.name for purpose in PURPOSES if purpose.kind.signs]
    assert [key["purpose"] for key in told["keys"]] == signing
    for key in told["keys"]:
        assert base64.b64encode(VerifierKey.parse(key["vkey"]).public).decode() == key["public"]
    printed = json.dumps(told)
    for verb in (["list"], ["export-public"], ["rotate", "webhook"], ["seal"]):
        database = ["--database", places(data).url] if verb[0] in ("rotate", "export-public") else []
        key = ["--officer-key", str(data / "dev" / "officers" / "ada.key")] if verb[0] == "rotate" else []
        await asyncio.to_thread(main, ["keys", *verb, "--data", str(data), *database, *key])
        printed += capsys.readouterr().out
    assert not [secret for secret in secrets if secret in printed]


async def test_nothing_is_made_where_no_gateway_has_worked(tmp_path: Path, data: Path, keys: Keys) -> None:
    (data / "keys").mkdir(parents=True)
    for verb in (("rotate", "log"), ("make", "runs"), ("export-public",)):
        status, told = await beside(keys, *verb)
        assert (status, "there is no log" in told["why"]) == (2, True)
    assert list((data / "keys").iterdir()) == []
    assert (await beside(keys, "list"))[0] == 1


async def test_a_key_in_the_token_that_no_file_names_is_listed_and_destroyed_unless_the_file_is_an_older_copy(
    data: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = private(data.parent / "pin", f"{PIN}\n")
    token = {"key_storage": "pkcs11", "pkcs11_module": MODULE, "pkcs11_token": new_token(), "pkcs11_pin_file": pin}
    async with teller(data, **token) as asked:
        assert (await asked.ask("list_accounts")).status == "done"
    for name, value in token.items():
        monkeypatch.setenv(f"TELLERGATE_{name.upper()}", str(value))
    with monkeypatch.context() as stopped:
        stopped.setattr("audit.key_files.replace_file", lambda *_: (_ for _ in ()).throw(OSError("stopped here")))
        assert (await beside(keys, "rotate", "permits"))[0] != 0
    status, told = await beside(keys, "list")
    (stray,) = told["strays"]
    assert (status, stray["purpose"], told["wrong"]) == (1, "permits", [])
    assert (await beside(keys, "retire", "permits", stray["id"], "--distrust"))[0] == 2
    assert (await beside(keys, "retire", "webhook", stray["id"]))[0] == 2, "it is of another purpose"
    assert (await beside(keys, "retire", "permits", stray["id"]))[0] == 0
    assert (await beside(keys, "list"))[0] == 0
    older = (data / WEBHOOK.file).read_bytes()
    assert (await beside(keys, "rotate", "webhook", "--lead", "1"))[0] == 0
    newest = (data / WEBHOOK.file).read_bytes()
    (data / WEBHOOK.file).write_bytes(older)
    status, told = await beside(keys, "list")
    (missed,) = told["strays"]
    status, told = await beside(keys, "retire", "webhook", missed["id"])
    assert (status, "restore its newest copy" in told["why"]) == (2, True), told
    (data / WEBHOOK.file).write_bytes(newest)
    assert (await beside(keys, "list"))[0] == 0
    async with teller(data, **token) as asked:
        assert (await asked.ask("list_accounts")).status == "done"
        facts = await recorded(asked.gateway.log, RecordKind.ADMIN)
        assert [item["key"] for item in facts if item.get("action") == "key.retire"] == [stray["id"]]
