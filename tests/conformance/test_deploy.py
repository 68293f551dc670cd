"""What `deploy/` says is so: the image, every alarm in the runbook, every command of it, and its processes run for real."""

import json
import logging
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import yaml

from adapters.alarms import CoreAlarm, DeclaredAlarm
from gateway.cli import main
from gateway.domain.alarms import Alarm, Chore
from tests.support.children import ending
from tests.support.databases import postgresql
from tests.support.postgres import absent
from tests.support.waiting import WAITS_S

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RUNBOOK = (DEPLOY / "RUNBOOK.md").read_text()
SOURCES = "\n".join(path.read_text() for folder in ("gateway", "audit", "adapters") for path in (ROOT / folder).rglob("*.py"))


def sections(level: str, text: str) -> list[tuple[str, str]]:
    """The headings of this level, and what stands under each."""
    parts = re.split(rf"^{level} (.+)$", text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def test_every_alarm_has_its_section_in_the_runbook_and_every_section_its_alarm() -> None:
    told = sections("###", dict(sections("##", RUNBOOK))["Alarms"])
    alarms = [*Alarm, *CoreAlarm]
    assert sorted(name for name, _ in told) == sorted(alarm.form.code for alarm in alarms)
    for name, text in told:
        assert all(f"**{word}" in text for word in ("Means", "Do")), name
    (failed,) = [text for name, text in told if name == Alarm.CHORE_FAILED.form.code]
    assert re.findall(r"^\| `([a-z_]+)` \|", failed, re.MULTILINE) == [chore.value for chore in Chore]


def test_every_alarm_is_raised_and_none_is_written_by_hand() -> None:
    assert '"alarm"' not in SOURCES.replace('json.dumps({"alarm": form.code', "").replace('ALARM = "alarm"', "").replace(
        '`{"alarm": ', ""
    )
    raised = set(re.findall(r"Alarm\.([A-Z_]+)\.line\(", SOURCES))
    assert raised == {alarm.name for alarm in (*Alarm, *CoreAlarm)}
    assert {f"Chore.{chore.name}" for chore in Chore} == set(re.findall(r"alarmed\((Chore\.[A-Z_]+)\)", SOURCES))


@pytest.mark.parametrize("alarm", [*Alarm, *CoreAlarm], ids=lambda alarm: str(alarm.form.code))
def test_an_alarm_is_one_line_of_json_whatever_it_holds(alarm: DeclaredAlarm) -> None:
    level, line = alarm.line(**dict.fromkeys(alarm.form.fields, 'a "quote", %s and a\nline'))
    assert "\n" not in line
    told = json.loads(line)
    assert list(told) == ["alarm", *alarm.form.fields, "runbook"]
    assert (told["alarm"], told["runbook"]) == (alarm.form.code, f"RUNBOOK.md#{alarm.form.code}")
    assert level in (logging.WARNING, logging.ERROR)
    with pytest.raises(TypeError):
        alarm.line(**dict.fromkeys(alarm.form.fields, "x"), another="x")


def test_every_command_that_is_named_exists(capsys: pytest.CaptureFixture[str]) -> None:
    texts = RUNBOOK + (DEPLOY / "README.md").read_text() + (ROOT / "README.md").read_text()
    named = {tuple(words.split()) for words in re.findall(r"tellergate\s+((?:[a-z]+[- ]?)+)", texts)}
    commands = {
        words[:2] if words[0] in ("audit", "policy", "keys", "database", "dev", "functions") else words[:1] for words in named
    }
    assert ("database", "upgrade") in commands
    for command in commands - {("for",), ("listens",), ("is",)}:
        with pytest.raises(SystemExit) as ended:
            main([*command, "--help"])
        assert ended.value.code == 0, command
    capsys.readouterr()


def test_the_containerfile_keeps_its_promises() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    assert len(set(re.findall(r"^FROM (\S+:[\d.]+\S*)", text, re.MULTILINE))) == 1
    for line in (
        "--require-hashes -r requirements.lock",
        "--no-deps --no-build-isolation",
        "PYTHONSAFEPATH=1",
        'ENTRYPOINT ["tellergate"]',
    ):
        assert line in text
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert "asyncpg" in (ROOT / "requirements.lock").read_text()


def test_the_collector_s_pipelines_name_what_is_there() -> None:
    config = yaml.safe_load((DEPLOY / "otel-collector.yaml").read_text())
    for pipeline in config["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline[kind]) <= config[kind].keys()


@cache
def somebody() -> str | None:
    """A user without rights, if we may become one and it may run this interpreter; else whoever we are."""
    asked = [sys.executable, "-c", "import cryptography"]
    try:
        subprocess.run(asked, check=True, user="nobody", cwd="/", env={}, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return "nobody"


@contextmanager
def without_rights(folder: Path, *command: str, **variables: str) -> Iterator[dict[str, Any]]:
    """A command of ours as the image runs it: no root, nothing written beside the code, nothing imported from where it stands."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(ROOT),
        **variables,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", *command],
        cwd=folder,
        env=environment,
        user=somebody(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        with ending(process):
            yield json.loads(process.stdout.readline())
        assert process.returncode in (0, -15)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder of whoever runs the processes; below `tmp_path` only we may look."""
    if shutil.which("openssl") is None:
        absent("openssl")
    folder = Path("/tmp") / f"tellergate-deploy-{os.getpid()}"
    folder.mkdir(mode=0o700)
    subprocess.run([DEPLOY / "secrets", folder / "secrets"], check=True)
    (folder / "secrets" / "tellergate" / "bank.token").write_text(f"{uuid4().hex}\n")  # the bank's to give
    (folder / "secrets" / "tellergate" / "bank.token").chmod(0o600)
    if (name := somebody()) is not None:
        owner = pwd.getpwnam(name)
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, owner.pw_uid, owner.pw_gid)
    yield folder
    shutil.rmtree(folder)


def test_gateways_and_a_core_s_proxy_make_a_transfer_as_a_user_without_rights(place: Path, tmp_path: Path) -> None:
    secrets, ca, database = place / "secrets" / "tellergate", str(place / "secrets" / "ca.pem"), postgresql(tmp_path)
    served = ("--port", "0", "--json", "--tls-cert", str(secrets / "core-proxy.pem"), "--tls-key", str(secrets / "core-proxy.key"))

    with ExitStack() as stack:
        token = ("--credential-file", str(secrets / "bank.token"))
        bank = stack.enter_context(
            without_rights(place, "sandbox-bank", "--data", str(place / "bank"), *served, *token, "--trust-credential")
        )
        permits = ("keys", "permits", "--data", str(place / "state"), "--database", database, "--out", str(place / "permits.json"))
        run = [sys.executable, "-m", "gateway.cli", *permits]
        environment = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run(run, check=True, user=somebody(), cwd=place, env=environment)
        behind = ("--bank-url", bank["url"], "--bank-credential-file", str(secrets / "bank.token"))
        own = ("--credential-file", str(secrets / "proxy.token"), "--permit-key", str(place / "permits.json"))
        proxy = stack.enter_context(without_rights(place, "core-proxy", *served, *own, *behind, SSL_CERT_FILE=ca))
        settings = place / "settings.toml"
        chosen = {
            "data": str(place / "state"),
            "database": database,
            "core_url": proxy["url"],
            "core_credential_file": str(secrets / "proxy.token"),
            "audit_wait_ms": 20_000,
            "core_question_ms": 20_000,
            "core_instruction_ms": 20_000,
        }
        settings.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in chosen.items()))
        serve = ("serve", "--dev", "--config", str(settings), "--port", "0", "--json")
        gateways = [stack.enter_context(without_rights(place, *serve, SSL_CERT_FILE=ca)) for _ in range(2)]
        assert transferred(place / "state", [gateway["url"] for gateway in gateways])


def transferred(data: Path, urls: list[str]) -> bool:
    """A conversation with one gateway, whose accounts the other one moves money between."""
    from gateway.app.development.local_issuer import LocalIssuer

    authorization = {"authorization": f"Bearer {LocalIssuer(data).token('alice', agent='a', strong=True)}"}

    def call(url: str, name: str, arguments: object) -> dict[str, Any]:
        item = {"type": "function_call", "call_id": "n", "name": name, "arguments": json.dumps(arguments)}
        body = {"shape": "responses", "conversation_id": conversation, "turn_id": name, "calls": [item]}
        for _ in range(50):  # asked again with the same ids, as the guide says, while nothing happened
            answered = httpx.post(f"{url}/v1/function-calls", json=body, headers=authorization, timeout=WAITS_S).json()
            if answered["results"][0]["status"] != "unavailable":
                break
        told: dict[str, Any] = json.loads(answered["outputs"][0]["output"])
        return told

    conversation = httpx.post(f"{urls[0]}/v1/conversations", json={}, headers=authorization, timeout=WAITS_S).json()["id"]
    accounts = call(urls[0], "list_accounts", {})["result"]["accounts"]
    mine = [account["account"] for account in accounts if (account["currency"], account["status"]) == ("GBP", "open")]
    wanted = {"from": mine[0], "to": mine[1], "amount": {"value": "1.00", "currency": "GBP"}}
    return call(urls[1], "initiate_transfer", wanted)["ok"] is True
