"""`tellergate settings`: everything that is wrong at once, each with its code; each value with where it comes from, and no password."""

import json
import resource
import socket
import string
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.app import host_checks
from gateway.app.data_folder import sealed_keys
from gateway.app.databases import DatabaseName
from gateway.app.development.settings import development
from gateway.app.host_checks import host_findings
from gateway.app.keys import PURPOSES
from gateway.app.parsing import parser_of_files
from gateway.app.production import PRODUCTION
from gateway.app.settings import DEV_ISSUER, Settings
from gateway.app.settings_checks import checked, findings
from gateway.app.settings_sources import CONFIG, gathered
from gateway.app.unsafe_settings import FindingCode, UnsafeSettings
from gateway.cli import main
from gateway.commands.settings import FLAGS, masked
from gateway.files.documents import PACKAGES
from gateway.files.parsing import NotParsed
from gateway.sandbox.bubblewrap import BubblewrapSandbox
from tests.support import databases
from tests.support.certificates import Authority
from tests.support.jails import jail, parts
from tests.support.officers import a_bundle, pinned
from tests.support.production import home, nothing_said, private, put_in_force, written
from tests.support.softhsm import MODULE, PIN, new_token

NOWHERE = Settings(data=Path("data"), development=False)


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_said(monkeypatch)


def said(*arguments: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    status = main(["settings", *arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


def found(settings: Settings) -> set[tuple[str, str]]:
    return {(item.setting, item.code.value) for item in findings(settings)}


# By the settings alone


OPERATED: dict[str, Any] = {
    "operations_port": 8090,
    "operations_url": "https://operations.example",
    "operations_issuer": "https://staff.example",
    "operations_client": "gateway",
    "operations_client_secret_file": Path("x"),
    "operations_roles": ("bank-officers=officer", "a=b=auditor"),
    "operations_strong_acr": ("x",),
}

UNSAFE: dict[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "an audience that no client of mcp asks for": ({"mcp": True, "audience": "https://window.example/"}, ("audience", "conflict")),
    "no bucket": ({"files_bucket": "contents"}, ("files_bucket", "malformed")),
    "a bucket in clear": (
        {"files_bucket": "s3://contents", "files_endpoint": "http://s3.example"},
        ("files_endpoint", "in_clear"),
    ),
    "an endpoint of no bucket": ({"files_bucket": "", "files_endpoint": "https://s3.example"}, ("files_endpoint", "conflict")),
    "two scans": ({"file_scan_command": ("scan",), "file_scan_clamd": "/run/clamd"}, ("file_scan_clamd", "conflict")),
    "vectors in clear": (
        {"embeddings_url": "http://models.example/v1", "embeddings_model": "m"},
        ("embeddings_url", "in_clear"),
    ),
    "vectors of no model": (
        {"embeddings_url": "https://models.example/v1", "embeddings_model": ""},
        ("embeddings_model", "missing"),
    ),
    "a model of no server": ({"embeddings_url": "", "embeddings_model": "m"}, ("embeddings_model", "conflict")),
    "a model with a line's end": (
        {"embeddings_url": "https://models.example/v1", "embeddings_model": "a\nb"},
        ("embeddings_model", "malformed"),
    ),
    "bearer tokens": ({"binding": "optional"}, ("binding", "development_only")),
    "no cooling off": ({"passkey_cooling_off_s": 0}, ("passkey_cooling_off_s", "development_only")),
    "the playground": ({"playground": True}, ("playground", "development_only")),
    "the stand-in": ({"stand_in_model": True}, ("stand_in_model", "development_only")),
    "the embedded bank": ({"core_url": ""}, ("core_url", "missing")),
    "no strong acr": ({"strong_acr": ()}, ("strong_acr", "missing")),
    "no officers": ({"policy_officers": None}, ("policy_officers", "missing")),
    "a core in clear": ({"core_url": "http://core.example"}, ("core_url", "in_clear")),
    "a model in clear": ({"model_url": "http://model.example"}, ("model_url", "in_clear")),
    "a collector in clear": ({"otlp_endpoint": "http://collector:4318"}, ("otlp_endpoint", "in_clear")),
    "an issuer in clear": ({"issuer": "http://127.0.0.1:1"}, ("issuer", "in_clear")),
    "an issuer that is none": ({"issuer": "issuer"}, ("issuer", "malformed")),
    "development's issuer": ({"issuer": DEV_ISSUER}, ("issuer", "development_only")),
    "open to everybody": ({"host": "0.0.0.0"}, ("host", "in_clear")),
    "open to a network": ({"host": "10.1.2.3"}, ("host", "in_clear")),
    "several on SQLite": ({"workers": 2}, ("workers", "conflict")),
    "a database in clear": ({"database": "postgresql://t@db.example/t"}, ("database", "in_clear")),
    "a database that may be in clear": ({"database": "postgresql://t@db.example/t?ssl=prefer"}, ("database", "in_clear")),
    "the keys' database in clear": ({"keys_database": "postgresql://t@db.example/t"}, ("keys_database", "in_clear")),
    "another database": ({"database": "mysql://t@db.example/t"}, ("database", "malformed")),
    "a cluster in clear": ({"database": "postgresql://t@127.0.0.1:1,db.example:2/t"}, ("database", "in_clear")),
    "a cluster's standby": ({"database": "postgresql:///t?target_session_attrs=standby"}, ("database", "malformed")),
    "a host that is empty": ({"database": "postgresql://t@a:1,/t?ssl=require"}, ("database", "malformed")),
    "a standby of files": ({"synchronous_standby": True}, ("synchronous_standby", "conflict")),
    "no database in the address": ({"database": "postgresql://t@127.0.0.1"}, ("database", "malformed")),
    "people on the API's address": ({**OPERATED, "operations_port": 8080, "port": 8080}, ("operations_port", "conflict")),
    "people in clear": ({**OPERATED, "operations_host": "0.0.0.0"}, ("operations_host", "in_clear")),
    "people without an address": ({**OPERATED, "operations_url": ""}, ("operations_url", "missing")),
    "people without a provider": ({**OPERATED, "operations_issuer": ""}, ("operations_issuer", "missing")),
    "people without roles": ({**OPERATED, "operations_roles": ()}, ("operations_roles", "missing")),
    "people of a role that is none": ({**OPERATED, "operations_roles": ("x=admin",)}, ("operations_roles", "malformed")),
    "people without two factors": ({**OPERATED, "operations_strong_acr": ()}, ("operations_strong_acr", "missing")),
    "people by http": ({**OPERATED, "operations_url": "http://localhost:8090"}, ("operations_url", "malformed")),
    "people where customers are": ({**OPERATED, "operations_url": "https://window.example"}, ("operations_url", "conflict")),
    "half of TLS for people": ({"operations_tls_key": Path("k")}, ("operations_tls_certificate", "conflict")),
    "people's certificates without TLS": ({"operations_client_ca": Path("x")}, ("operations_client_ca", "conflict")),
    "a port": ({"port": 70_000}, ("port", "out_of_range")),
    "many workers": ({"workers": 65, "database": "postgresql:///t"}, ("workers", "out_of_range")),
}

BASE: dict[str, Any] = {
    **dict.fromkeys(("issuer", "audience", "public_url", "core_url"), "https://a.example"),
    **dict.fromkeys(("core_credential_file", "policy_officers"), Path("x")),
    "public_url": "https://window.example",
    "strong_acr": ("x",),
}

SAFE: dict[str, dict[str, Any]] = {
    "as it is": {},
    "mcp for tokens of this resource": {"mcp": True},
    "another audience without mcp": {"audience": "api://tellergate"},
    "a database with TLS": {"database": "postgresql://t@db.example/t?ssl=verify-full"},
    "a database on loopback": {"database": "postgresql://t:x@127.0.0.1:5432/t", "workers": 4},
    "a cluster with TLS": {"database": "postgresql://t:a,b@a:1,b,[::1]:3/t?ssl=require&target_session_attrs=read-write"},
    "a cluster on loopback": {"database": "postgresql://t@127.0.0.1:1,localhost:2/t", "synchronous_standby": True},
    "a database by a socket": {"database": "postgresql:///t?host=/run/postgresql"},
    "behind proxies": {"host": "0.0.0.0", "trusted_proxies": ("10.0.0.8",)},
    "TLS of its own": {"host": "::", "tls_certificate": Path("c"), "tls_key": Path("k")},
    "people on loopback": OPERATED,
    "another loopback address": {"host": "127.0.0.2"},
    "a core on loopback": {"core_url": "http://127.0.0.1:9000"},
}


@pytest.mark.parametrize("name", UNSAFE)
def test_what_is_unsafe_for_customers_is_named_with_its_code_and_nothing_else_is(name: str, good: Settings) -> None:
    changes, expected = UNSAFE[name]
    assert found(replace(good, **changes)) == {expected}
    with pytest.raises(UnsafeSettings, match=expected[0]):
        PRODUCTION.check(replace(good, **changes))


@pytest.mark.parametrize("name", SAFE)
def test_what_is_safe_is_no_finding(name: str, good: Settings) -> None:
    assert found(replace(good, **SAFE[name])) == set()


@given(st.sets(st.sampled_from(sorted(UNSAFE)), min_size=2))
def test_several_faults_are_all_found_at_once_and_a_start_says_all_of_them(names: set[str]) -> None:
    chosen: dict[str, Any] = {}
    expected = set()
    for name in sorted(names):
        changes, finding = UNSAFE[name]
        if not changes.keys() & chosen.keys() and not {"database", "workers"} & changes.keys() & chosen.keys():
            chosen |= changes
            expected.add(finding)
    if "database" in chosen:  # several workers may share it
        expected.discard(("workers", "conflict"))
        expected.discard(("synchronous_standby", "conflict"))
        if chosen.get("workers") and not chosen.get("core_url", "x"):
            expected.add(("workers", "conflict"))
    settings = replace(NOWHERE, **(BASE | chosen))
    if settings.host != settings.operations_host:  # one port of two addresses
        expected.discard(("operations_port", "conflict"))
    assert expected <= found(settings)
    with pytest.raises(UnsafeSettings) as raised:
        checked(settings)
    assert {(item.setting, item.code.value) for item in raised.value.findings} == found(settings)
    assert all(f"{setting}: " in str(raised.value) for setting, _ in expected)


def test_a_finding_says_what_was_wrong_and_what_to_do_and_never_a_value_that_may_be_secret(good: Settings) -> None:
    settings = replace(good, database="postgresql://t:hunter2@db.example/t", model_url="https://u:hunter2@model.example")
    told = findings(settings)
    assert {item.setting for item in told} == {"database", "model_url"}
    assert all(item.problem and item.remedy and "hunter2" not in str(item) for item in told)


# On this host


@pytest.fixture
def good(tmp_path: Path) -> Settings:
    return home(tmp_path / "home")


@pytest.fixture
def ready(good: Settings) -> Settings:
    """All that a start needs: a settings file, databases, and policies in force."""
    settings = replace(good, database=databases.url(good.data))
    written(good.data / "tellergate.toml", settings)
    put_in_force(settings)
    return settings


def others_may_read(name: str) -> Callable[[Settings, Path], Settings]:
    def change(settings: Settings, _folder: Path) -> Settings:
        getattr(settings, name).chmod(0o640)
        return settings

    return change


def named(name: str, text: str = "", mode: int = 0o600) -> Callable[[Settings, Path], Settings]:
    """The setting names a file with this text."""

    def change(settings: Settings, folder: Path) -> Settings:
        path = private(folder / "file", text)
        path.chmod(mode)
        changes: dict[str, Any] = {name: path}
        return replace(settings, **changes)

    return change


def without(path: str) -> Callable[[Settings, Path], Settings]:
    def change(settings: Settings, _folder: Path) -> Settings:
        (settings.data / path).unlink()
        return settings

    return change


def certified(days: tuple[float, float] = (-1, 1), *, other_key: bool = False) -> Callable[[Settings, Path], Settings]:
    def change(settings: Settings, folder: Path) -> Settings:
        authority = Authority(folder)
        server, other = authority.issue("server", days=days), authority.issue("other")
        key = other.key if other_key else server.key
        key.chmod(0o600)
        return replace(settings, tls_certificate=server.certificate, tls_key=key, tls_client_ca=authority.file)

    return change


def data_open(settings: Settings, _folder: Path) -> Settings:
    settings.data.chmod(0o750)
    return settings


def short_key(settings: Settings, _folder: Path) -> Settings:
    (settings.data / "keys" / "runs.key").write_bytes(b"short")
    return settings


def in_an_open_folder(mode: int) -> Callable[[Settings, Path], Settings]:
    """The list of officers lies below a folder with this mode."""

    def change(settings: Settings, folder: Path) -> Settings:
        path = folder / "open" / "below" / "officers.toml"
        path.parent.mkdir(parents=True)
        private(path, "")
        path.parent.parent.chmod(mode)
        return replace(settings, policy_officers=path)

    return change


def files_in(mode: int) -> Callable[[Settings, Path], Settings]:
    def change(settings: Settings, folder: Path) -> Settings:
        path = folder / "contents"
        path.mkdir()
        path.chmod(mode)
        return replace(settings, files_folder=path)

    return change


ON_THE_HOST: dict[str, tuple[Callable[[Settings, Path], Settings], tuple[str, str] | None]] = {
    "as it is": (lambda settings, _: settings, None),
    "no data folder": (lambda settings, folder: replace(settings, data=folder / "none"), ("data", "missing")),
    "a data folder that others may open": (data_open, ("data", "open_to_others")),
    "no key of mandates": (without("keys/mandates.key"), ("data", "key_missing")),
    "no key of references": (without("keys/references.key"), ("data", "key_missing")),
    "no key of the log": (without("audit/secrets/head.ed25519"), ("data", "key_missing")),
    "no key of the customers' keys": (without("audit/secrets/customers.kek"), ("data", "key_missing")),
    "no webhook key": (without("keys/webhook.key"), ("data", "key_missing")),
    "no passphrase": (lambda settings, _: replace(settings, key_passphrase_file=None), ("key_passphrase_file", "unreadable")),
    "a passphrase that others may read": (others_may_read("key_passphrase_file"), ("key_passphrase_file", "unreadable")),
    "another passphrase": (named("key_passphrase_file", "a passphrase of something else"), ("data", "key_missing")),
    "half a key": (short_key, ("data", "key_missing")),
    "a credential that others may read": (others_may_read("core_credential_file"), ("core_credential_file", "open_to_others")),
    "a credential that is not there": (
        lambda settings, folder: replace(settings, core_credential_file=folder / "none"),
        ("core_credential_file", "missing"),
    ),
    "officers whom anybody may replace": (named("policy_officers", mode=0o666), ("policy_officers", "open_to_others")),
    "officers whom anybody may replace from above": (in_an_open_folder(0o777), ("policy_officers", "open_to_others")),
    "officers whom a group may replace from above": (in_an_open_folder(0o770), ("policy_officers", "open_to_others")),
    "officers in a folder like /tmp": (in_an_open_folder(0o1777), None),
    "a list that is not there": (
        lambda settings, folder: replace(settings, screening_list=folder / "none"),
        ("screening_list", "missing"),
    ),
    "officers in a folder": (lambda settings, folder: replace(settings, policy_officers=folder), ("policy_officers", "missing")),
    "a good certificate": (certified(), None),
    "a certificate that ran out": (certified((-3, -1)), ("tls_certificate", "certificate")),
    "a certificate of tomorrow": (certified((1, 2)), ("tls_certificate", "certificate")),
    "the key of another certificate": (certified(other_key=True), ("tls_key", "certificate")),
    "no folder of files": (lambda settings, folder: replace(settings, files_folder=folder / "none"), ("files_folder", "missing")),
    "a folder of files that others may open": (files_in(0o750), ("files_folder", "open_to_others")),
    "a good folder of files": (files_in(0o700), None),
    "an authority that is none": (named("issuer_ca", "no PEM"), ("issuer_ca", "unreadable")),
}


@pytest.mark.parametrize("name", ON_THE_HOST)
def test_what_is_wrong_on_this_host_is_named_with_its_code(name: str, good: Settings, tmp_path: Path) -> None:
    change, expected = ON_THE_HOST[name]
    told = {(item.setting, item.code.value) for item in host_findings(change(good, tmp_path))}
    assert told == ({expected} if expected else set())


def test_a_key_that_is_missing_is_named(good: Settings) -> None:
    (good.data / "keys" / "mandates.key").unlink()
    (good.data / "audit" / "secrets" / "permits.ed25519").unlink()
    with pytest.raises(UnsafeSettings) as raised:
        PRODUCTION.check(good)
    assert "keys/mandates.key" in str(raised.value)
    assert "audit/secrets/permits.ed25519" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "value", "module"),
    [
        ("database", "postgresql://127.0.0.1/t", "asyncpg"),
        ("confirm_origin", "https://confirm.example", "webauthn"),
        ("otlp_endpoint", "https://collector.example", "opentelemetry.exporter.otlp.proto.http"),
    ],
)
def test_an_extra_that_is_missing_is_found_before_it_is_imported(
    name: str, value: Any, module: str, good: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(good, **{name: value})
    assert host_findings(settings) == []
    monkeypatch.setattr(host_checks, "is_installed", lambda asked: asked != module)
    assert [(item.setting, item.code) for item in host_findings(settings)] == [(name, FindingCode.EXTRA_MISSING)]


def test_a_sandbox_is_tried_where_it_is_to_run(good: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = replace(good, sandbox="bubblewrap")
    jail(PACKAGES)
    assert host_findings(settings) == []
    monkeypatch.setattr(BubblewrapSandbox, "refusal", lambda _: "no namespaces")
    assert host_findings(good) == []
    [finding] = host_findings(settings)
    assert (finding.setting, finding.code) == ("sandbox", FindingCode.NO_SANDBOX)
    assert "no namespaces" in str(finding)
    monkeypatch.setattr(host_checks, "is_installed", lambda asked: asked != "pypdf")
    assert [(item.setting, item.code) for item in host_findings(settings)] == [("sandbox", FindingCode.EXTRA_MISSING)]


@pytest.fixture
def _sandbox_here() -> None:
    jail(PACKAGES)  # asked outside of the event loop


@pytest.mark.usefixtures("_sandbox_here")
async def test_documents_are_read_only_where_there_is_a_sandbox(good: Settings) -> None:
    with pytest.raises(NotParsed):
        await parser_of_files(good).text("text/html", parts(b"<p>words"))
    assert await parser_of_files(replace(good, sandbox="bubblewrap")).text("text/html", parts(b"<p>words")) == "words\n"


def test_a_module_whose_package_is_missing_is_not_installed() -> None:
    assert host_checks.is_installed("json.decoder")
    assert not host_checks.is_installed("no_package.of_this_name")


def test_too_few_file_descriptors_are_a_finding(good: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for most, told in ((1024, ["process"]), (4096, []), (resource.RLIM_INFINITY, [])):
        monkeypatch.setattr(resource, "getrlimit", lambda _what, most=most: (most, most))
        assert [item.setting for item in host_findings(good)] == told


# The commands


def test_check_says_everything_and_ends_with_its_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ready: Settings
) -> None:
    good = ready
    file = good.data / "tellergate.toml"
    before = sorted(good.data.rglob("*"))
    note = "operations_port: is 0, so that nothing can be administered over HTTP"
    assert said("check", "--data", str(good.data), capsys=capsys) == (0, {"good": True, "findings": [], "notes": [note]})
    assert main(["settings", "check", "--data", str(good.data)]) == 0
    assert "nothing is missing" in capsys.readouterr().out
    written(file, replace(good, binding="optional", core_credential_file=tmp_path / "none"))
    status, told = said("check", "--config", str(file), "--data", str(good.data), capsys=capsys)
    assert status == 1
    assert {(item["setting"], item["code"]) for item in told["findings"]} == {
        ("binding", "development_only"),
        ("core_credential_file", "missing"),
    }
    assert all(item["problem"] and item["remedy"] for item in told["findings"])
    assert main(["settings", "check", "--data", str(good.data)]) == 1
    assert "binding (development_only): " in capsys.readouterr().out
    assert main(["serve", "--data", str(good.data)]) == 2, "a start says the same"
    err = capsys.readouterr().err
    assert "binding: " in err
    assert "core_credential_file: " in err
    assert sorted(good.data.rglob("*")) == before, "and makes nothing"


def test_a_file_of_settings_that_others_may_change_is_a_finding(good: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(good.data / "tellergate.toml", replace(good, database="postgresql://t:hunter2@127.0.0.1:1/t"))
    for mode, codes in ((0o600, []), (0o640, ["open_to_others"]), (0o620, ["open_to_others"])):
        file.chmod(mode)
        got, told = said("check", "--data", str(good.data), capsys=capsys)
        assert (got, [item["code"] for item in told["findings"]]) == (1, [*codes, "unavailable"]), oct(mode)
        if codes:
            assert main(["serve", "--data", str(good.data)]) == 2
            assert file.name in capsys.readouterr().err


def in_database(statement: str, part: DatabaseName = DatabaseName.GATEWAY) -> Callable[[Settings, Path], Settings]:
    def change(settings: Settings, _folder: Path) -> Settings:
        databases.sql(settings.data, part, statement)
        return settings

    return change


def other_officers(settings: Settings, folder: Path) -> Settings:
    return replace(settings, policy_officers=pinned(folder, "ada", "cem"))


def officers_open(settings: Settings, _folder: Path) -> Settings:
    assert settings.policy_officers is not None
    settings.policy_officers.chmod(0o666)
    return settings


def of_other_functions(settings: Settings, _folder: Path) -> Settings:
    put_in_force(settings, replace(a_bundle(2), functions=a_bundle(2).functions[1:]))
    return settings


IN_DATABASES: dict[str, tuple[Callable[[Settings, Path], Settings], tuple[str, str, str]]] = {
    "an officer who left": (other_officers, ("policies", "not_active", "ben is not among the pinned officers")),
    "bytes that were altered": (
        in_database("update policy_activations set author = 'cem'"),
        ("policies", "not_active", "version 1 is active and must not decide"),
    ),
    "an activation that was removed": (
        in_database("delete from policy_activations"),
        ("policies", "not_active", "the trail has activation 1, and the database none so new"),
    ),
    "a bundle for other functions": (of_other_functions, ("policies", "not_active", "the bundle does not know add_beneficiary")),
    "a damaged trail": (
        in_database("update leaves set function = 'list_cards' where kind = 'policy.activate'", DatabaseName.LOG),
        ("database", "unreadable", "holds a damaged trail"),
    ),
    "an older version": (
        in_database("update gateway_version set version_num = '0010'"),
        ("database", "not_upgraded", "tables of gateway of revision 0010"),
    ),
    "officers whom anybody may replace": (officers_open, ("policy_officers", "open_to_others", "can be written by others")),
    "functions that are none": (named("functions", "version: 1"), ("functions", "malformed", "file:")),
    "a server that does not answer": (
        lambda settings, _: replace(settings, database="postgresql://t@127.0.0.1:1/t"),
        ("database", "unavailable", "does not answer"),
    ),
}


@pytest.mark.parametrize("name", IN_DATABASES)
def test_what_is_wrong_in_the_databases_is_said_once_and_stops_a_start(
    name: str, ready: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    change, (setting, code, problem) = IN_DATABASES[name]
    settings = change(ready, tmp_path)
    written(settings.data / "tellergate.toml", settings)
    status, told = said("check", "--data", str(settings.data), capsys=capsys)
    (finding,) = told["findings"]
    assert (status, finding["setting"], finding["code"]) == (1, setting, code)
    assert problem in finding["problem"]
    assert finding["remedy"]
    assert main(["serve", "--data", str(settings.data)]) == {"unavailable": 3, "unreadable": 1}.get(code, 2)
    if setting == "policies":
        assert f"policies: {finding['problem']}; {finding['remedy']}" in capsys.readouterr().err


def test_an_address_that_must_not_be_used_is_not_asked(ready: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:  # whoever asks would be heard
        server.setblocking(False)
        settings = replace(ready, database=f"postgresql://t:hunter2@0.0.0.0:{server.getsockname()[1]}/t")
        written(settings.data / "tellergate.toml", settings)
        status, told = said("check", "--data", str(settings.data), capsys=capsys)
        assert (status, [(item["setting"], item["code"]) for item in told["findings"]]) == (1, [("database", "in_clear")])
        with pytest.raises(BlockingIOError):
            server.accept()


def test_before_anything_was_made_check_says_so_and_makes_nothing(good: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings = replace(good, database=databases.url(good.data))
    written(good.data / "tellergate.toml", settings)
    before = sorted(good.data.rglob("*"))
    status, told = said("check", "--data", str(good.data), capsys=capsys)
    assert (status, {(item["setting"], item["code"]) for item in told["findings"]}) == (1, {("database", "not_upgraded")})
    assert len(told["findings"]) == len(DatabaseName)
    assert all("tellergate database upgrade" in item["remedy"] for item in told["findings"])
    assert sorted(good.data.rglob("*")) == before
    assert main(["database", "upgrade", "--data", str(good.data)]) == 0
    capsys.readouterr()
    status, told = said("check", "--data", str(good.data), capsys=capsys)
    (finding,) = told["findings"]
    assert (finding["setting"], finding["code"], finding["problem"]) == ("policies", "not_active", "no bundle is active")


UNREAD = {
    "a name that is alike": ("isuer = 'x'", "not_a_setting", "did you mean issuer?"),
    "a name that is not": ("zzzzzz = 1", "not_a_setting", "leave it out"),
    "development mode": ("development = true", "not_a_setting", "--dev"),
    "another type": ("port = '1'", "wrong_type", "an integer"),
    "no TOML": ("port = 1\nhost = \n", "malformed", "line 2"),
    "twice": ("port = 1\nport = 2", "malformed", "line 2"),
}


@pytest.mark.parametrize("name", UNREAD)
def test_what_cannot_be_read_is_status_2_and_says_where(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, code, part = UNREAD[name]
    file = private(tmp_path / "settings.toml", text)
    for verb in ("check", "show"):
        assert main(["settings", verb, "--config", str(file), "--data", str(tmp_path)]) == 2
        printed = capsys.readouterr()
        assert part in printed.out + printed.err
        assert "settings.toml" in printed.out + printed.err
    status, told = said("check", "--config", str(file), "--data", str(tmp_path), capsys=capsys)
    assert (status, [item["code"] for item in told["findings"]]) == (2, [code])


def test_all_that_cannot_be_read_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TELLERGATE_PROT", "1")
    file = private(tmp_path / "settings.toml", "prot = 1\nhost = 1\n")
    status, told = said("check", "--config", str(file), capsys=capsys)
    assert (status, [item["code"] for item in told["findings"]]) == (2, ["not_a_setting", "not_a_setting", "wrong_type"])
    assert said("check", "--config", str(tmp_path / "none.toml"), capsys=capsys)[0] == 2


def test_show_says_each_value_and_where_it_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    text = '# first\nport = 1\nanswer_hosts = [\n  "a.example",\n]\n"audit_wait_ms" = 2\ndatabase = "postgresql://t:hunter2@db/t"\n'
    private(data / "tellergate.toml", text)
    monkeypatch.setenv("TELLERGATE_AUDIT_WAIT_MS", "3")
    status, told = said("show", "--data", str(data), "--host", "127.0.0.2", capsys=capsys)
    rows = {row["setting"]: (row["value"], row["from"]) for row in told["settings"]}
    assert status == 0
    assert rows.keys() == {field.name for field in fields(Settings)} - {"development"}
    assert rows["host"] == ("127.0.0.2", "flag --host")
    assert rows["audit_wait_ms"] == (3, "environment TELLERGATE_AUDIT_WAIT_MS")
    assert rows["port"] == (1, "tellergate.toml:2")
    assert rows["answer_hosts"] == (["a.example"], "tellergate.toml:3")
    assert rows["database"] == ("postgresql://t:***@db/t", "tellergate.toml:7")
    assert rows["issuer"] == ("", "default")
    assert main(["settings", "show", "--data", str(data)]) == 0
    printed = capsys.readouterr().out
    assert "hunter2" not in printed
    assert "tellergate.toml:6" not in printed, "the environment wins"


def test_of_the_working_directory_no_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    private(tmp_path / "tellergate.toml", "port = 1\n")
    monkeypatch.chdir(tmp_path)
    assert gathered({"data": tmp_path / "data"}, {}) == {"data": (tmp_path / "data", "flag --data")}
    assert gathered({}, {CONFIG: "tellergate.toml"})["port"] == (1, "tellergate.toml:1")


SOURCES = ("flag", "environment", "file", "default")


@given(sources=st.sets(st.sampled_from(SOURCES[:3])), ports=st.permutations(range(3)))
def test_the_first_that_says_a_setting_wins(sources: set[str], ports: list[int], tmp_path_factory: pytest.TempPathFactory) -> None:
    ports_of = dict(zip(SOURCES, (port + 1 for port in ports), strict=False))
    file = tmp_path_factory.mktemp("said") / "settings.toml"
    file.write_text(f"port = {ports_of['file']}\n" if "file" in sources else "")
    read = gathered(
        {"port": ports_of["flag"] if "flag" in sources else None},
        {"TELLERGATE_PORT": str(ports_of["environment"]) if "environment" in sources else ""},
        file,
    )
    winner = next(source for source in SOURCES if source in sources or source == "default")
    assert ("port" in read) == (winner != "default")
    if winner != "default":
        assert read["port"].value == ports_of[winner]
        assert read["port"].where.startswith({"file": "settings.toml:1"}.get(winner, winner))


SECRETS = st.text(string.ascii_letters + string.digits + "#?/@:%&=+ \"'[]", min_size=6, max_size=20).map(
    lambda text: f"hunter2{text}"
)


@given(secret=SECRETS, host=st.sampled_from(["db.example:5432", "[::1]:1", "/", ""]), query=st.sampled_from(["", "?ssl=require"]))
def test_no_password_of_an_address_is_ever_shown(secret: str, host: str, query: str) -> None:
    for address in (f"postgresql://user:{secret}@{host}/t{query}", f"postgresql://u@{host}/t?password={secret}", secret):
        assert "hunter2" not in masked(address, address=True)


@pytest.mark.parametrize("plain", ["", "https://issuer.bank.example/a?b=c", "127.0.0.1", "postgresql://t@db/t?ssl=require"])
def test_what_holds_no_password_is_shown_as_it_is(plain: str) -> None:
    assert masked(plain, address=plain.startswith("postgresql")) == plain


def test_every_code_is_in_the_guide() -> None:
    guide = (Path(__file__).parents[3] / "deploy" / "README.md").read_text()
    rows = "".join(line.split("|")[1] for line in guide.splitlines() if line.startswith("| `"))
    assert all(f"`{code.value}`" in rows for code in FindingCode)


def test_every_flag_is_a_setting() -> None:
    assert set(FLAGS) <= {field.name for field in fields(Settings)}


def test_development_s_own_settings_are_good_in_its_mode(tmp_path: Path) -> None:
    assert findings(development(tmp_path)) == []
    assert {"binding", "playground", "stand_in_model"} <= {
        item.setting for item in findings(replace(development(tmp_path), development=False))
    }


# Keys in a token


def in_token(settings: Settings, folder: Path, **changes: Any) -> Settings:
    """The keys of this folder were made in files, of before."""
    pin = private(folder / "pin", f"{PIN}\n")
    told = {"key_storage": "pkcs11", "pkcs11_module": MODULE, "pkcs11_token": new_token(), "pkcs11_pin_file": pin, **changes}
    return replace(settings, **told)


def test_keys_that_are_not_in_the_token_yet_stop_the_start_until_each_is_rotated(good: Settings, tmp_path: Path) -> None:
    settings = in_token(good, tmp_path)
    assert findings(settings) == []
    told = host_findings(settings)
    assert {(item.setting, item.code.value) for item in told} == {("key_storage", "conflict")}
    assert [item.remedy for item in told] == [f"run `tellergate keys rotate {purpose.name}`" for purpose in PURPOSES]
    with closing(sealed_keys(settings)) as storage:
        for purpose in PURPOSES:
            storage.rotate(purpose, 10, lambda _old, _new: "")
    assert host_findings(replace(settings, key_passphrase_file=None)) == []


def test_a_token_that_cannot_be_opened_is_one_finding(good: Settings, tmp_path: Path) -> None:
    for changes in ({"pkcs11_token": "no such token"}, {"pkcs11_pin_file": private(tmp_path / "wrong", "not the PIN\n")}):
        told = host_findings(in_token(good, tmp_path, **changes))
        assert [(item.setting, item.code.value) for item in told] == [("key_storage", "unavailable")]
        assert "not the PIN" not in str(told)


def test_half_of_a_token_and_a_token_beside_files_are_findings(good: Settings, tmp_path: Path) -> None:
    half = replace(good, key_storage="pkcs11")
    assert {(item.setting, item.code.value) for item in findings(half)} == {
        ("pkcs11_module", "missing"),
        ("pkcs11_token", "missing"),
    }
    beside = replace(good, pkcs11_token="ours", pkcs11_pin_file=tmp_path / "pin")
    assert {(item.setting, item.code.value) for item in findings(beside)} == {
        ("pkcs11_token", "conflict"),
        ("pkcs11_pin_file", "conflict"),
    }


def test_a_folder_for_customers_is_made_with_its_keys_in_a_token(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label, pin = new_token(), private(tmp_path / "pin", f"{PIN}\n")
    made = ["init", "--production", str(tmp_path / "bank"), "--pkcs11-token", label, "--pkcs11-pin-file", str(pin)]
    assert main(made) == 2, "half of it"
    assert not (tmp_path / "bank").exists()
    assert main([*made, "--pkcs11-module", str(MODULE)]) == 0
    capsys.readouterr()
    assert main(["keys", "list", "--data", str(tmp_path / "bank"), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [key["purpose"] for key in listed["keys"]] == [purpose.name for purpose in PURPOSES]
    assert {key["sealed"] for key in listed["keys"]} == {True}
    status, told = said("check", "--data", str(tmp_path / "bank"), capsys=capsys)
    assert status == 1
    assert not {item["setting"] for item in told["findings"]} & {"key_storage", "pkcs11_module", "data"}
    said_values = (tmp_path / "bank" / "tellergate.toml").read_text()
    assert f'pkcs11_token = "{label}"\n' in said_values
    assert PIN not in said_values


def test_metrics_are_open_to_nobody_whom_no_certificate_let_in(good: Settings, tmp_path: Path) -> None:
    def told(settings: Settings) -> list[tuple[str, str]]:
        return [(item.setting, item.code.value) for item in findings(settings) if item.setting == "metrics"]

    on = replace(good, metrics=True)
    assert told(on) == [("metrics", "conflict")], "there is no listener for them"
    here = replace(on, operations_port=9443, operations_url="https://operations.bank.example")
    assert told(here) == []
    beyond = replace(here, operations_host="10.0.0.8", operations_tls_certificate=tmp_path / "c", operations_tls_key=tmp_path / "k")
    assert told(beyond) == [("metrics", "conflict")]
    assert told(replace(beyond, operations_client_ca=tmp_path / "ca")) == []
