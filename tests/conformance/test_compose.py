"""`deploy/compose.yaml` is for customers: hardened, no development mode, no secret outside of files, and all that it names is there."""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from cryptography import x509

from gateway.app.host_checks import host_findings
from gateway.app.settings import Settings
from gateway.app.settings_checks import findings
from gateway.app.settings_sources import gathered
from gateway.app.workers import STOP_WAIT_S
from gateway.cli import main
from gateway.commands.command_line import command_line
from tests.support.databases import postgresql
from tests.support.guides import blocks, commands
from tests.support.postgres import absent, binaries, server, user
from tests.support.production import nothing_said, private

DEPLOY = Path(__file__).parents[2] / "deploy"
TEXT = (DEPLOY / "compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if service["image"] == "tellergate")
GATEWAYS = ["gateway-1", "gateway-2"]
ONCE = {"tables", "roles", "permits", "init", "operator"}
GUIDE = next(block for block in blocks(DEPLOY / "README.md") if "tests/conformance/test_compose.py" in block.note)
HANDED = "./handed"
"""What people hand to commands."""

USERS = {"postgres": 999, "front": 101, "prometheus": 65534, "collector": 10002, "collector-watch": 101, "code": 10003}
"""Of the images that are not ours, and of what strangers' code runs in; ours has 10001."""


def secrets(service: dict[str, Any]) -> dict[str, str]:
    """Where each of its secrets stands in the container, by name."""
    items = [item if isinstance(item, dict) else {"source": item} for item in service.get("secrets", ())]
    return {item["source"]: item.get("target", f"/run/secrets/{item['source']}") for item in items}


def files(service: dict[str, Any]) -> dict[str, Path]:
    """Which file of `deploy/` stands where in the container, for reading."""
    parts = [volume.split(":") for volume in service.get("volumes", ()) if volume.startswith("./")]
    assert all(options == ["ro"] for _, _, *options in parts)
    return {target: DEPLOY / source for source, target, _ in parts if source != HANDED}


def settings(gateway: str) -> Settings:
    said = gathered({}, SERVICES[gateway]["environment"], DEPLOY / "settings.toml")
    return Settings(development=False, **{name: item.value for name, item in said.items()})  # type: ignore[arg-type]


def after(name: str) -> Iterator[str]:
    """Whoever is waited for before this service, near and far."""
    for other in SERVICES[name].get("depends_on", {}):
        yield other
        yield from after(other)


@pytest.mark.parametrize("name", SERVICES)
def test_each_service_has_no_rights_and_bounds(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in service
    assert service["pids_limit"] <= 256
    assert service["mem_limit"]
    assert int(service["user"].split(":")[0]) >= 100, "a number, and not root's"
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert not {"pid", "ipc", "devices", "extra_hosts"} & service.keys()
    assert service.get("network_mode", "none") in ("none", "service:front")
    for volume in service.get("volumes", ()):
        source = volume.split(":")[0]
        assert source in {*COMPOSE["volumes"], HANDED} or source.startswith("./"), "nothing of the host, nor its container engine"
        assert ".." not in source


def test_nothing_of_development_is_here() -> None:
    everything = TEXT + (DEPLOY / "settings.toml").read_text() + (DEPLOY / "secrets").read_text()
    assert "--dev" not in everything
    assert "sandbox" not in everything
    assert "trust-credential" not in everything


@pytest.mark.parametrize("name", OURS)
def test_each_command_is_one_of_ours(name: str) -> None:
    service = SERVICES[name]
    assert "entrypoint" not in service
    assert callable(command_line().parse_args(service["command"]).command)


def test_no_secret_stands_in_the_environment_or_in_an_argument() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            assert not re.search(r"PASSWORD$|TOKEN$|SECRET$|PASSPHRASE$", variable), name
            assert not re.search(r"://[^/@]*:[^/@]*@", value), name
        assert not re.search(r"(?i)password[=:]", shlex.join(service.get("command", ()))), name


def test_everything_that_is_named_is_there_and_used() -> None:
    for name, service in SERVICES.items():
        assert service["image"] == "tellergate" or re.search(r":v?\d+\.\d+", service["image"]), name
    assert {source for service in SERVICES.values() for source in secrets(service)} == COMPOSE["secrets"].keys()
    assert "configs" not in TEXT.replace("`configs`", ""), "podman-compose mounts none"
    assert all(file.is_file() for service in SERVICES.values() for file in files(service).values())
    named = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())}
    assert {name for name in named if not name.startswith("./")} == COMPOSE["volumes"].keys()
    assert {network for service in SERVICES.values() for network in service.get("networks", ())} == COMPOSE["networks"].keys()


@pytest.mark.parametrize("name", SERVICES)
def test_every_file_that_a_process_is_told_is_mounted_there(name: str) -> None:
    service = SERVICES[name]
    texts = [yaml.safe_dump([service.get(part) for part in ("command", "entrypoint", "environment", "healthcheck")])]
    texts += [file.read_text() for file in files(service).values()]
    told = set(re.findall(r"/(?:run/secrets|etc/tellergate|etc/postgresql|etc/prometheus)/[A-Za-z0-9_.-]+", "\n".join(texts)))
    there = {*secrets(service).values(), *files(service)}
    if name in ONCE:  # the settings are the gateways', and these open what they need of them
        assert set(re.findall(r"/run/secrets/\w+", yaml.safe_dump([service["command"], service.get("environment")]))) <= there
    else:
        assert told <= there
    if name == "prometheus":  # whose files are named beside its own
        named = set(re.findall(r"\b[a-z]+\.(?:pem|key|yml)$", (DEPLOY / "prometheus" / "compose.yml").read_text(), re.MULTILINE))
        assert {f"/etc/prometheus/{file}" for file in named} == there - {"/etc/prometheus/prometheus.yml"}
    else:
        assert set(secrets(service).values()) <= told, "nobody is given a secret that they do not use"


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_reads_what_is_another_s(name: str) -> None:
    folders = {COMPOSE["secrets"][source]["file"].split("/")[1] for source in secrets(SERVICES[name])} - {"ca.pem"}
    own = name if name in USERS else "tellergate"
    assert folders <= {own}
    assert SERVICES[name]["user"].split(":")[0] == str(USERS.get(name, 10001))
    if name in GATEWAYS:
        assert not {"bank_token", "owner_pgpass", "officer_pgpass"} & secrets(SERVICES[name]).keys()


def test_only_the_front_is_published_and_operations_on_loopback_alone() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if service.get("ports")}
    assert published == {"front": ["443:443", "127.0.0.1:9443:9443"]}


def test_who_reaches_whom() -> None:
    members = {
        network: {n for n, service in SERVICES.items() if network in service.get("networks", ())} for network in COMPOSE["networks"]
    }
    assert members == {
        "edge": {"front"},
        "bank": {"core-proxy"},
        "core": {"core-proxy", "front"},
        "store": {"postgres", "front", "tables", "roles", "permits", "operator"},
        "watch": {"front", "prometheus"},
    }
    assert {n for n, service in SERVICES.items() if service.get("network_mode") == "service:front"} == {
        *GATEWAYS,
        "collector",
        "collector-watch",
    }
    assert {name for name, network in COMPOSE["networks"].items() if not network.get("internal")} == {"edge", "bank"}


def test_each_waits_for_what_it_needs() -> None:
    for gateway in GATEWAYS:
        assert {"postgres", "tables", "roles", "permits", "core-proxy", "front"} <= set(after(gateway))
    order = [("tables", "postgres", "service_healthy"), ("roles", "tables", "service_completed_successfully")]
    order += [("permits", "roles", "service_completed_successfully"), ("core-proxy", "permits", "service_completed_successfully")]
    order += [(gateway, "core-proxy", "service_healthy") for gateway in GATEWAYS]
    for name, before, condition in order:
        assert SERVICES[name]["depends_on"][before] == {"condition": condition}
        assert condition != "service_healthy" or "healthcheck" in SERVICES[before]
    assert {name for name, service in SERVICES.items() if service.get("profiles")} == {"init", "operator", "code"}
    assert not any({"init", "operator", "code"} & set(after(name)) for name in SERVICES), "those are typed by people, or asked for"


def test_whoever_goes_on_is_asked_whether_they_are_well() -> None:
    asked = {name for name, service in SERVICES.items() if service.get("healthcheck")}
    assert SERVICES.keys() - asked - ONCE == {"collector"}, "whose image has nothing to ask with: another one asks it"
    collector = yaml.safe_load((DEPLOY / "otel-collector.yaml").read_text())
    where = collector["extensions"]["health_check"]["endpoint"]
    assert collector["service"]["extensions"] == ["health_check"]
    asking = SERVICES["collector-watch"]
    assert asking["healthcheck"]["test"][-1] == f"http://{where}/"
    assert {"--fail", "curl"} <= {*asking["healthcheck"]["test"]}, "an answer that is no good one is none"
    assert (asking["network_mode"], asking["image"]) == (SERVICES["collector"]["network_mode"], SERVICES["front"]["image"])
    for name in GATEWAYS:
        test = SERVICES[name]["healthcheck"]["test"]
        assert test[:3] == ["CMD", "python", "-c"]
        compile(test[3], name, "exec")
        assert "/readyz" in test[3]


def test_what_is_under_way_has_the_time_to_end() -> None:
    for name in (*GATEWAYS, "core-proxy", "front"):
        assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) >= STOP_WAIT_S + 5


def test_the_settings_are_good_but_for_what_the_bank_must_make() -> None:
    both = [settings(gateway) for gateway in GATEWAYS]
    assert [findings(said) for said in both] == [[], []]
    for said in both:
        found = [item for item in host_findings(said) if item.setting != "connections"]  # what this host's limits allow
        missing = {item.setting for item in found}
        assert missing == {
            *("data", "core_credential_file", "policy_officers", "issuer_ca", "operations_client_ca"),
            *("operations_tls_certificate", "operations_tls_key", "operations_client_secret_file"),
        }
    front = (DEPLOY / "front-tls.conf").read_text()
    assert set(re.findall(r"server 127\.0\.0\.1:(\d+);", front)) == {str(said.port) for said in both}
    ports = {port for said in both for port in (said.port, said.operations_port)}
    assert len(ports) == 4, "they share a network namespace"
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "compose.yml").read_text())["scrape_configs"][0]
    assert scraped["static_configs"][0]["targets"] == [f"front:{said.operations_port}" for said in both]
    assert scraped["tls_config"]["server_name"] == both[0].operations_url.removeprefix("https://").split(":")[0]
    assert "127.0.0.1:9443:9443" in SERVICES["front"]["ports"]
    assert both[0].operations_url.endswith(":9443")
    collector = yaml.safe_load((DEPLOY / "otel-collector.yaml").read_text())
    assert collector["receivers"]["otlp"]["protocols"]["http"]["endpoint"] == both[0].otlp_endpoint.removeprefix("http://")


def test_each_role_asks_the_database_over_tls_by_a_name_that_is_certified() -> None:
    told = {name: service["environment"]["TELLERGATE_DATABASE"] for name, service in SERVICES.items() if name in ONCE - {"init"}}
    told |= dict.fromkeys(GATEWAYS, settings("gateway-1").database)
    for name, role in {"tables": "owner", "roles": "owner", "permits": "owner", "operator": "officer"}.items():
        assert told[name].startswith(f"postgresql://{role}@")
    for name, address in told.items():
        assert address.endswith("@postgres:5432/tellergate?ssl=verify-full")
        assert {"PGPASSFILE", "PGSSLROOTCERT"} <= SERVICES[name]["environment"].keys()
    (remote,) = [line for line in (DEPLOY / "postgres" / "pg_hba.conf").read_text().splitlines() if line.startswith("host")]
    assert remote.split() == ["hostssl", "tellergate", "owner,teller,officer", "all", "scram-sha-256"]
    assert SERVICES["roles"]["command"][2:6] == ["--gateway", "teller", "--operator", "officer"]


def test_the_jobs_begin_the_log_under_the_name_that_the_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very commands, in their order, on a real PostgreSQL; without the rights of roles, which other tests hold."""
    nothing_said(monkeypatch)
    secret = private(tmp_path / "key_passphrase", f"{uuid4().hex}\n")
    config = tmp_path / "settings.toml"
    config.write_text((DEPLOY / "settings.toml").read_text().replace("/run/secrets/", f"{tmp_path}/"))
    database = postgresql(tmp_path)
    for name in ("init", "tables", "permits"):
        for variable in SERVICES[name].get("environment", {}):
            given = {"TELLERGATE_CONFIG": str(config), "TELLERGATE_DATABASE": database}
            if variable in given:
                monkeypatch.setenv(variable, given[variable])
        moved = {"/state/bank": f"{tmp_path}/bank", "/trust/permits.json": f"{tmp_path}/permits.json"}
        moved["/run/secrets/key_passphrase"] = str(secret)
        assert main([moved.get(word, word) for word in SERVICES[name]["command"]]) == 0, name
    assert json.loads((tmp_path / "permits.json").read_text())["origin"] == settings("gateway-1").log_origin


@pytest.fixture
def made(tmp_path: Path) -> Path:
    if shutil.which("openssl") is None:
        absent("openssl")
    for _ in range(2):  # what is there is left alone
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        subprocess.run([DEPLOY / "secrets", tmp_path / "secrets.d"], check=True)
        assert before.items() <= {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}.items()
    return tmp_path / "secrets.d"


def test_the_secrets_are_made_and_the_guide_names_the_others(made: Path) -> None:
    files = {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()}
    named = {secret["file"].removeprefix("secrets.d/") for secret in COMPOSE["secrets"].values()}
    assert files - named == {"authority/ca.key"} | {file for file in files if file.startswith("authority/")}
    section = (DEPLOY / "README.md").read_text().split("## With containers on one host")[1].split("\n## ")[0]
    table = set(re.findall(r"^\| `([a-z-]+/[a-z.-]+)`", section, re.MULTILINE)) | set(
        re.findall(r", `([a-z-]+/[a-z.-]+)`", section)
    )
    assert named - files == table
    for file in made.rglob("*"):
        assert stat.S_IMODE(file.stat().st_mode) == (0o700 if file.is_dir() else 0o644 if file.name == "ca.pem" else 0o600)
    for name in ("tellergate/core-proxy", "postgres/postgres"):
        certificate = x509.load_pem_x509_certificate((made / f"{name}.pem").read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert name.split("/")[1] in names.get_values_for_type(x509.DNSName)
    for role in ("owner", "teller", "officer"):
        password = (made / "postgres" / f"{role}.password").read_text().strip()
        assert (made / "tellergate" / f"{role}.pgpass").read_text() == f"postgres:5432:tellergate:{role}:{password}\n"


def test_the_roles_are_made_as_the_statements_say(made: Path) -> None:
    """In a transaction that is rolled back, under names of this test: roles are the server's, which other tests use."""
    if (programs := binaries()) is None:
        absent("PostgreSQL")
    suffix = f"_{uuid4().hex[:8]}"
    text = (DEPLOY / "postgres" / "roles.sql").read_text()
    text = re.sub(r"(ROLE |OWNER TO |, |TO )(owner|teller|officer)\b", rf"\1\2{suffix}", text)
    text = (
        text.replace("/run/secrets/", f"{made / 'postgres'}/")
        .replace("_password`", ".password`")
        .replace("tellergate;", "tellergate;")
    )
    text = re.sub(r"DATABASE tellergate", "DATABASE postgres", text)
    told = "rolname, rolcanlogin, rolsuper, rolpassword LIKE 'SCRAM-SHA-256$%'"
    asked = f"SELECT {told} FROM pg_authid WHERE rolname LIKE '%{suffix}' ORDER BY 1;"
    who = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'postgres';"
    ran = subprocess.run(
        [programs / "psql", "-v", "ON_ERROR_STOP=1", "-XqAt", server().url("postgres")],
        input=f"BEGIN;\n{text}\n{asked}\n{who}\nROLLBACK;\n",
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PGUSER": user()},
    )
    assert ran.stdout.split() == [f"{role}{suffix}|t|f|t" for role in ("officer", "owner", "teller")] + [f"owner{suffix}"]


def test_every_command_of_the_guide_is_of_a_service_that_there_is() -> None:
    typed = [shlex.split(line) for line in commands(GUIDE)]
    for words in typed:
        if words[0] != "podman-compose":
            continue
        assert words[1:3] == ["-f", "deploy/compose.yaml"]
        verb, rest = words[3], words[4:]
        assert verb in ("up", "run", "ps", "build")
        if verb == "run":
            assert rest[0] == "--rm"
            rest = [word for word in rest if word != "-T"]
            rest = rest[: rest.index(">")] if ">" in rest else rest
            assert rest[1] in SERVICES
            if rest[2:]:
                assert callable(command_line().parse_args(rest[2:]).command)
    assert next(words[3:6] for words in typed if words[0] == "podman-compose") == ["run", "--rm", "init"]
    owned = {
        folder.rstrip("/").split("/")[-1]: int(words[2].split(":")[0])
        for words in typed
        if words[0] == "chown"
        for folder in words[3:]
    }
    assert owned == {**{name: USERS[name] for name in ("postgres", "front", "prometheus")}, "tellergate": 10001, "handed": 10001}


def test_the_settings_file_says_each_setting_once() -> None:
    assert not set(tomllib.loads((DEPLOY / "settings.toml").read_text())) & {"port", "operations_port", "development"}
