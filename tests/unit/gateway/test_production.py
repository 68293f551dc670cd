"""What a gateway for customers is made of: its folder, its settings file, the policy bundle that two officers signed, imported mandates."""

import argparse
import asyncio
import base64
import json
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from adapters.functions import MANIFEST
from audit.log import Log
from audit.migration import HistoryUnknown
from gateway.app.clock import utc_now
from gateway.app.data_folder import make_data_folder, missing_keys, sealed_keys
from gateway.app.databases import DatabaseLocations, DatabaseName, open_log, refuse_unmade
from gateway.app.keys import PURPOSES
from gateway.app.main import open_gateway
from gateway.app.mandate_files import LineRefused, judged, unsigned
from gateway.app.production import PRODUCTION
from gateway.app.settings import Settings
from gateway.app.settings_sources import gathered
from gateway.app.settings_texts import DECIDED, GROUPS, OF_DEVELOPMENT, template, texts, toml_value
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.cli import main
from gateway.commands import policy_activations, policy_bundles
from gateway.commands.locations import locations
from gateway.domain.mandate import Limits, Mandate
from gateway.store import customers
from policies.officers import signatures_file
from tests.samples.bank import POLICIES
from tests.support import databases
from tests.support.officers import KEYS, a_bundle, key_file, pinned, remembered_complaints
from tests.support.officers import signed as signed_bundle
from tests.support.production import home, nothing_said, passphrase_file, private, put_in_force

NOW = datetime(2026, 6, 1, tzinfo=UTC)
NAMES = frozenset(function.name for function in MANIFEST)


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_said(monkeypatch)


@pytest.fixture
def good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    made = home(tmp_path / "home")
    monkeypatch.setenv("TELLERGATE_KEY_PASSPHRASE_FILE", str(made.key_passphrase_file))
    return made


# The settings file


def test_the_file_to_fill_in_has_every_setting_with_what_it_is_for_and_is_read(tmp_path: Path) -> None:
    grouped = [name for names in GROUPS.values() for name in names]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) | OF_DEVELOPMENT == {field.name for field in fields(Settings)}
    file = private(tmp_path / "tellergate.toml", template())
    said = gathered({}, {}, file)
    assert {name for name, _ in said.items()} == set(DECIDED), "what must be decided, and nothing else"
    assert said["data"].value == tmp_path
    words = " ".join(template().replace("\n# ", " ").split())
    assert all(texts()[name] in words for name in grouped)
    assert max(map(len, template().splitlines())) <= 140


def test_what_stands_there_as_a_comment_is_the_default(tmp_path: Path) -> None:
    bare = "\n".join(line.removeprefix("# ") for line in template().splitlines() if line.startswith("# ") and " = " in line)
    told = tomllib.loads("\n".join(line for line in bare.splitlines() if line.split(" = ")[0] in texts()))
    assert told.keys() == {name for names in GROUPS.values() for name in names} - DECIDED.keys()
    for field in fields(Settings):
        if field.name in told:
            expected: Any = list(field.default) if isinstance(field.default, tuple) else field.default
            assert told[field.name] == ("" if expected is None else expected), field.name


TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\\n\x7f'), max_size=20)


@given(st.one_of(TEXT, st.integers(-9, 9), st.booleans(), st.lists(TEXT, max_size=3)))
def test_a_value_is_spelled_as_toml_reads_it(value: object) -> None:
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value


# The folder


def test_init_makes_nothing_without_a_passphrase(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--production", str(tmp_path / "bank")]) == 2
    assert "passphrase" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_init_makes_a_folder_that_is_its_owner_s_alone_with_every_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = os.umask(0)
    try:
        words = passphrase_file(tmp_path)
        assert main(["init", "--production", str(tmp_path / "bank"), "--passphrase-file", str(words), "--json"]) == 0
    finally:
        os.umask(before)
    told = json.loads(capsys.readouterr().out)
    assert told["settings"] == str(tmp_path / "bank" / "tellergate.toml")
    assert [step.split(" --")[0] for step in told["next"][1:]] == [
        "tellergate database upgrade", "tellergate keys permits", "tellergate policy activate BUNDLE",
        "tellergate mandates import FILE", "tellergate settings check", "tellergate serve",
    ]  # fmt: skip
    made = [tmp_path / "bank", *(tmp_path / "bank").rglob("*")]
    assert {str(path.relative_to(tmp_path / "bank")) for path in made} >= {
        *(purpose.file for purpose in PURPOSES),
        "tellergate.toml",
    }
    assert all(path.stat().st_mode & 0o077 == 0 for path in made)
    assert not list(missing_keys(sealed_keys(Settings(data=tmp_path / "bank", development=False, key_passphrase_file=words))))
    assert f'key_passphrase_file = "{words}"\n' in (tmp_path / "bank" / "tellergate.toml").read_text()


def test_keys_differ_from_folder_to_folder(tmp_path: Path) -> None:
    for name in ("one", "other"):
        make_data_folder(tmp_path / name, passphrase_file(tmp_path))
    paths = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(paths) == len(PURPOSES)
    assert all((tmp_path / "one" / path).read_bytes() != (tmp_path / "other" / path).read_bytes() for path in paths)


def with_mode(mode: int) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        folder.mkdir()
        folder.chmod(mode)

    return make


def with_a_file(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "letter").touch()


REFUSED: Mapping[str, tuple[Callable[[Path], None], str]] = {
    "a file": (Path.touch, "is no folder"),
    "not empty": (with_a_file, "is not empty"),
    "open to its group": (with_mode(0o750), "can be opened by others"),
    "open to everybody": (with_mode(0o705), "can be opened by others"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_init_refuses_a_folder_that_is_not_empty_or_open_to_others(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, reason = REFUSED[name]
    make(tmp_path / "bank")
    words = passphrase_file(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(["init", "--production", str(tmp_path / "bank"), "--passphrase-file", str(words)]) == 2
    assert reason in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


async def test_a_start_makes_no_database_and_says_which_command_does(good: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    places = databases.places(good.data)
    with pytest.raises(HistoryUnknown, match="run `tellergate database upgrade`"):
        await refuse_unmade(places)
    assert not list(good.data.rglob("*.sqlite"))
    arguments = ["--data", str(good.data), "--database", places.url]
    assert await asyncio.to_thread(main, ["database", "upgrade", *arguments]) == 0
    await refuse_unmade(places)
    assert await asyncio.to_thread(main, ["database", "status", *arguments]) == 0


def test_a_command_finds_the_databases_that_the_folder_s_settings_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_data_folder(tmp_path / "bank", passphrase_file(tmp_path))
    private(tmp_path / "bank" / "tellergate.toml", 'database = "mysql://somewhere/else"\n')
    rollback = ["policy", "rollback", "--to", "1", "--version", "2", "--author", "ada", "--out", str(tmp_path / "bundle")]
    for command in (
        ["database", "status"],
        ["kill", "list"],
        ["audit", "checkpoint"],
        ["keys", "permits"],
        ["policy", "list"],
        rollback,
    ):
        assert main([*command, "--data", str(tmp_path / "bank")]) == 2, command
        assert "postgresql://" in capsys.readouterr().err, "the address that is none was looked at"
    assert not list((tmp_path / "bank").rglob("*.sqlite"))


# The policy bundle


async def start(settings: Settings) -> None:
    """A start for customers, as far as it comes."""
    await (await open_gateway(settings, PRODUCTION)).close()


async def test_a_gateway_for_customers_starts_by_the_bundle_that_two_officers_activated_and_by_no_other(good: Settings) -> None:
    settings = replace(good, database=databases.url(good.data))
    await asyncio.to_thread(main, ["database", "upgrade", "--data", str(good.data), "--database", settings.database])
    with pytest.raises(UnsafeSettings, match="no bundle is active; activate one with `tellergate policy activate`"):
        await start(settings)
    put_in_force(settings)
    gateway = await open_gateway(settings, PRODUCTION)
    assert gateway.policies.decider.policies.bundle.hash == a_bundle(1).hash
    await gateway.close()
    with pytest.raises(UnsafeSettings, match="version 1 is active and must not decide: ben is not among the pinned officers"):
        await start(replace(settings, policy_officers=pinned(settings.data, "ada", "cem")))


def test_before_its_databases_are_made_nothing_is_activated_and_the_command_that_makes_them_is_named(
    good: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "rules.bundle"
    bundle.write_bytes(a_bundle(1).canonical())
    signatures = {
        signature.role: signature for signature in (signed_bundle(a_bundle(1)).author, signed_bundle(a_bundle(1)).activator)
    }
    (tmp_path / "rules.bundle.signatures").write_bytes(signatures_file(signatures))
    monkeypatch.setattr(policy_activations, "complaints", lambda _bundle: ())  # it has no cases
    before = sorted(good.data.rglob("*"))
    where = ["--data", str(good.data), "--database", databases.url(good.data), "--policy-officers", str(good.policy_officers)]
    for new in ([], ["--new"]):
        assert main(["policy", "activate", str(bundle), *where, *new]) == 2
        assert "`tellergate database upgrade`" in capsys.readouterr().err
        assert sorted(good.data.rglob("*")) == before


def test_a_bundle_is_activated_by_the_settings_of_the_folder_alone(
    bank: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, where = bank
    for module in (policy_bundles, policy_activations):
        monkeypatch.setattr(module, "complaints", remembered_complaints)  # seconds of processor each
    bundle, folders = tmp_path / "rules.bundle", ["--rules", str(POLICIES / "rules"), "--cases", str(POLICIES / "cases")]
    assert main(["policy", "build", *folders, "--version", "1", "--author", "ada", "--out", str(bundle)]) == 0
    for role, name in (("author", "ada"), ("activator", "ben")):
        (tmp_path / name).write_bytes(KEYS[name].private_bytes_raw())
        (tmp_path / name).chmod(0o600)
        assert main(["policy", "sign", "--role", role, "--name", name, "--key", str(tmp_path / name), str(bundle)]) == 0
    activate = ["policy", "activate", str(bundle), *where]
    file = data / "tellergate.toml"
    private(file, "".join(line for line in file.read_text().splitlines(keepends=True) if not line.startswith("policy_officers")))
    assert main(activate) == 2
    assert "policy_officers: is not set" in capsys.readouterr().err
    private(file, file.read_text() + f"policy_officers = {json.dumps(str(pinned(tmp_path, 'ada')))}\n")
    assert main(activate) == 1
    assert "ben is not among the pinned officers" in capsys.readouterr().err
    pinned(tmp_path)
    private(tmp_path / "functions.yaml", "version: 1\n")
    monkeypatch.setenv("TELLERGATE_FUNCTIONS", str(tmp_path / "functions.yaml"))
    assert main(activate) == 2
    assert "functions.yaml" in capsys.readouterr().err, "the functions that the gateway serves are looked at"
    monkeypatch.delenv("TELLERGATE_FUNCTIONS")
    assert main(activate) == 0
    capsys.readouterr()
    assert main(["policy", "list", *where, "--json"]) == 0
    assert [row["version"] for row in json.loads(capsys.readouterr().out)["data"]] == [1]


def test_the_keys_database_may_have_an_address_of_its_own_beside_files(tmp_path: Path) -> None:
    places = DatabaseLocations(tmp_path, "", "postgresql:///keys")
    assert [part for part in DatabaseName if places.is_there(part)] == [DatabaseName.KEYS]


# Mandates


def body(**changes: Any) -> dict[str, Any]:
    limits = {"payment_minor": 1, "day_minor": 2, "week_minor": 3, "month_minor": 4, "day_count": 5}
    times = {"starts": "2026-01-01T00:00:00+00:00", "ends": "2027-01-01T00:00:00+00:00"}
    lists = {"functions": ["list_accounts"], "accounts": ["acc-1"]}
    return {"customer": "alice", "version": 1, **lists, "limits": {"GBP": limits}, **times, **changes}


KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)


def line(key: Ed25519PrivateKey = KEY, **changes: Any) -> bytes:
    mandate = body(**changes)
    signature = unsigned(json.dumps({"mandate": mandate}).encode()).sign(key)
    return json.dumps({"mandate": mandate, "signature": base64.b64encode(signature).decode()}).encode()


def reasons(*lines: bytes) -> list[tuple[int, str]]:
    _, refused = judged(lines, key=KEY.public_key(), functions=NAMES, restrictions={"reads_only"}, now=NOW)
    return [(item.number, item.reason.split(":")[0]) for item in refused]


MALFORMED: Mapping[str, tuple[dict[str, Any], str]] = {
    "no customer": ({"customer": ""}, "customer"),
    "a long customer": ({"customer": "a" * 65}, "customer"),
    "a customer of control characters": ({"customer": "a\n"}, "customer"),
    "a version that is none": ({"version": 0}, "version"),
    "a version that is true": ({"version": True}, "version"),
    "a version in words": ({"version": "1"}, "version"),
    "no functions": ({"functions": []}, "functions"),
    "functions twice": ({"functions": ["list_accounts", "list_accounts"]}, "functions"),
    "one function in no list": ({"functions": "list_accounts"}, "functions"),
    "no accounts": ({"accounts": []}, "accounts"),
    "a fraction": ({"limits": {"GBP": {**body()["limits"]["GBP"], "day_minor": 1.5}}}, "limits.GBP"),
    "below nothing": ({"limits": {"GBP": {**body()["limits"]["GBP"], "day_minor": -1}}}, "limits.GBP"),
    "a limit that is absent": ({"limits": {"GBP": {"payment_minor": 1}}}, "limits.GBP"),
    "a limit that is none": ({"limits": {"GBP": {**body()["limits"]["GBP"], "year_minor": 1}}}, "limits.GBP"),
    "no currency": ({"limits": {"pounds": {}}}, "limits"),
    "a time without its offset": ({"starts": "2026-01-01T00:00:00"}, "starts"),
    "a time in another spelling": ({"ends": "2027-01-01T00:00:00Z"}, "ends"),
    "a day": ({"ends": "2027-01-01"}, "ends"),
    "one more member": ({"more": 1}, "mandate"),
    "restrictions that are no list": ({"restrictions": "reads_only"}, "restrictions"),
    "a restriction twice": ({"restrictions": ["reads_only", "reads_only"]}, "restrictions"),
}
REFUSED_LINES: Mapping[str, tuple[bytes, str]] = {
    "of another key": (line(Ed25519PrivateKey.generate()), "signature"),
    "of another mandate": (line().replace(b'"version": 1', b'"version": 2'), "signature"),
    "not served": (line(functions=["list_accounts", "move_mountains"]), "functions"),
    "of no rule": (line(restrictions=["reads_only", "reads_onyl"]), "restrictions"),
    "ends before it starts": (line(ends="2025-01-01T00:00:00+00:00"), "ends"),
    "has ended": (line(ends="2026-05-31T00:00:00+00:00"), "ends"),
    "no JSON": (b"{", "not JSON by RFC 8259"),
    "a key twice": (b'{"mandate": 1, "mandate": 2}', "a key stands twice in one object"),
    "no object": (b"[]", "the line"),
    "no signature": (json.dumps({"mandate": body()}).encode(), "the line"),
    "a signature that is no text": (json.dumps({"mandate": body(), "signature": 1}).encode(), "signature"),
    "too long": (b'"' + b"a" * 70_000 + b'"', "more than 65536 bytes"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_no_mandate_is_neither_signed_nor_imported(name: str) -> None:
    changes, where = MALFORMED[name]
    with pytest.raises(LineRefused, match=f"^{where}: "):
        unsigned(json.dumps({"mandate": body(**changes)}).encode())
    signed = json.dumps({"mandate": body(**changes), "signature": base64.b64encode(b"s" * 64).decode()}).encode()
    assert reasons(signed) == [(1, where)]


@pytest.mark.parametrize("name", REFUSED_LINES)
def test_each_line_that_is_refused_is_named_with_its_reason(name: str) -> None:
    wrong, reason = REFUSED_LINES[name]
    assert reasons(line(customer="bob"), b"", wrong, line(customer="carol")) == [(3, reason)]


def test_a_customer_stands_once_in_a_file() -> None:
    assert reasons(line(), line(version=2), line(customer="bob")) == [(2, "its customer is that of line 1")]


TEXTS = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=64)
TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2025, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # bounds are naive


@given(
    mandate=st.builds(
        Mandate,
        customer=TEXTS,
        version=st.integers(1, 2**53 - 1),
        functions=st.sets(st.sampled_from(sorted(NAMES)), min_size=1).map(tuple),
        accounts=st.sets(TEXTS, min_size=1, max_size=5).map(tuple),
        limits=st.dictionaries(st.sampled_from(["GBP", "EUR", "JPY"]), st.builds(Limits, *[st.integers(0, 2**53 - 1)] * 5)),
        starts=TIMES,
        ends=st.just(datetime(2030, 1, 1, tzinfo=UTC)),
        restrictions=st.sampled_from([(), ("reads_only",)]),
    )
)
def test_what_the_bank_signs_is_what_is_imported(mandate: Mandate) -> None:
    written = {"mandate": json.loads(mandate.canonical()), "signature": base64.b64encode(mandate.sign(KEY)).decode()}
    (taken,), refused = judged(
        [json.dumps(written).encode()], key=KEY.public_key(), functions=NAMES, restrictions={"reads_only"}, now=NOW
    )
    assert not refused
    assert taken.mandate.canonical() == mandate.canonical()


@given(st.binary(max_size=200))
def test_whatever_a_line_is_it_is_refused_and_nothing_else_happens(text: bytes) -> None:
    taken, refused = judged([text], key=KEY.public_key(), functions=NAMES, restrictions={"reads_only"}, now=NOW)
    assert not taken
    assert len(refused) == bool(text.strip())


@pytest.fixture
def bank(good: Settings) -> tuple[Path, list[str]]:
    """A folder with databases, and how a command is told of them."""
    url = databases.url(good.data)
    officers = f"policy_officers = {json.dumps(str(good.policy_officers))}\n"
    private(good.data / "tellergate.toml", f"database = {json.dumps(url)}\n{officers}")
    assert main(["database", "upgrade", "--data", str(good.data)]) == 0
    return good.data, ["--data", str(good.data)]


def signed(tmp_path: Path, capsys: pytest.CaptureFixture[str], where: list[str], *mandates: dict[str, Any]) -> Path:
    lines = "".join(json.dumps({"mandate": mandate}) + "\n" for mandate in mandates)
    capsys.readouterr()
    assert main(["mandates", "sign", str(private(tmp_path / "granted", lines)), *where]) == 0
    return private(tmp_path / "signed", capsys.readouterr().out)


def imported(file: Path, where: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    capsys.readouterr()
    status = main(["mandates", "import", str(file), "--officer-key", str(key_file(file.parent, "ada")), *where, "--json"])
    return status, json.loads(capsys.readouterr().out)


def stored(data: Path) -> dict[str, int | None]:
    """The versions of the mandates that are stored."""

    def versions(connection: Connection) -> dict[str, int | None]:
        return {name: customers.mandate_version(connection, name) for name in ("alice", "bob", "carol")}

    return databases.on_database(data, DatabaseName.GATEWAY, versions)


def test_a_file_is_imported_whole_or_not_at_all_and_is_on_record(
    bank: tuple[Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, where = bank
    alice, bob = body(), body(customer="bob", version=3)
    assert imported(signed(tmp_path, capsys, where, alice, bob), where, capsys) == (0, {"imported": 2, "refused": []})
    assert stored(data) == {"alice": 1, "bob": 3, "carol": None}
    databases.sql(data, DatabaseName.GATEWAY, "update customers set frozen = true where customer = 'alice'")
    again = signed(tmp_path, capsys, where, body(customer="carol"), body(version=2), bob)
    assert imported(again, where, capsys) == (
        1,
        {"imported": 0, "refused": [{"line": 3, "reason": "version: must be more than 3, which is stored"}]},
    )
    assert stored(data) == {"alice": 1, "bob": 3, "carol": None}, "nothing of it"
    half = private(tmp_path / "half", signed(tmp_path, capsys, where, body(customer="carol")).read_text() + "{}\n")
    assert imported(half, where, capsys)[0] == 1
    assert stored(data)["carol"] is None
    assert imported(signed(tmp_path, capsys, where, body(version=2)), where, capsys)[0] == 0
    frozen = databases.on_database(data, DatabaseName.GATEWAY, lambda connection: customers.is_frozen(connection, "alice"))
    assert frozen, "a new mandate unfreezes nobody"
    words = asyncio.run(recorded(databases.places(data)))
    assert words == ["mandate_import"] * 2 + ["mandates_imported"] + ["mandate_import"] * 3 + [
        "mandate_import",
        "mandates_imported",
    ]


async def recorded(places: DatabaseLocations) -> list[str]:
    """What the trail says of mandates, in its order."""
    log: Log = await open_log(places, writer_id="test", clock=utc_now, may_upgrade=False)
    try:
        size, _ = await log.head()
        leaves = await log.read(lambda reads: list(reads.leaves(0, size)))
        said = [json.loads(item.leaf) for item in leaves]
        return [item["facts"]["word"] for item in said if item["kind"] == "admin"]
    finally:
        await log.close()


def test_without_the_mandate_key_or_a_database_nothing_is_made(
    good: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--data", str(good.data)]
    file = signed(tmp_path, capsys, where, body())
    private(good.data / "tellergate.toml", f"policy_officers = {json.dumps(str(good.policy_officers))}\n")
    key = str(key_file(tmp_path, "ada"))
    assert main(["mandates", "import", str(file), "--officer-key", key, *where]) == 2
    assert "run `tellergate database upgrade`" in capsys.readouterr().err
    (good.data / "keys" / "mandates.key").unlink()
    for command in (["sign", str(file)], ["import", str(file), "--officer-key", key]):
        assert main(["mandates", *command, *where]) == 2
        assert "mandates.key is not there" in capsys.readouterr().err
    assert not (good.data / "keys" / "mandates.key").exists()
    assert not list(good.data.rglob("*.sqlite"))


def test_commands_ask_the_keys_database_of_the_settings_and_an_option_wins(good: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    private(good.data / "tellergate.toml", 'database = "postgresql:///one"\nkeys_database = "postgresql:///keys"\n')
    options = argparse.Namespace(data=good.data, database="")
    monkeypatch.delenv("TELLERGATE_KEY_PASSPHRASE_FILE")
    assert locations(options) == DatabaseLocations(good.data, "postgresql:///one", "postgresql:///keys")
    monkeypatch.setenv("TELLERGATE_KEYS_DATABASE", "postgresql:///other")
    assert locations(options) == DatabaseLocations(good.data, "postgresql:///one", "postgresql:///other")
    options.database = "postgresql:///said"
    assert locations(options).url == "postgresql:///said"


def test_a_log_keeps_the_name_that_it_began_with(
    good: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    put_in_force(good)
    where = ["--data", str(good.data), "--database", good.database]
    monkeypatch.setenv("TELLERGATE_LOG_ORIGIN", good.log_origin)
    assert main(["keys", "export-public", *where]) == 0
    assert f"{good.log_origin}+" in capsys.readouterr().out, "an auditor's key names the log"
    monkeypatch.setenv("TELLERGATE_LOG_ORIGIN", "log.bank.example/another")
    assert main(["audit", "verify", *where]) == 2
    assert f"the log is called {good.log_origin}" in capsys.readouterr().err
