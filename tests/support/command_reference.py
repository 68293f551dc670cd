"""The reference of all commands in `gateway/commands/README.md`: usage, and `--json` from real runs; `--write` renews it."""

import argparse
import asyncio
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from audit.leaf import Record, RecordKind
from gateway.app.clock import utc_now
from gateway.app.databases import DatabaseName, open_log
from gateway.cli import main
from gateway.commands.command_line import command_line
from tests.support import forks
from tests.support.children import ending
from tests.support.databases import places, sql
from tests.support.guides import ROOT
from tests.support.production import passphrase_file

GUIDE = ROOT / "gateway" / "commands" / "README.md"
_BEGIN, _END = "<!-- commands -->\n", "<!-- end of commands -->"
_BY = "--officer-key demo/dev/officers"
_WHY = "--purpose complaint --case C-1"
_ASKED = f"{_BY}/eve.key {_WHY}"
_SUBJECT = '{"record": 4, "purpose": "complaint", "case": "C-1"}'

RUNS = (
    ("demo", "demo --once --data demo"),
    ("dev token", "dev token --data data --customer alice --agent my-assistant"),
    ("dev confirm", "dev confirm HELD-1 --data data --customer alice"),
    ("dev decline", "dev decline HELD-2 --data data --customer alice"),
    ("audit query", f"audit query --data demo --customer alice --limit 1 {_ASKED}"),
    ("audit agent", f"audit agent AGENT --data demo --limit 1 {_ASKED}"),
    ("audit life", f"audit life CALL-1 --data demo {_ASKED}"),
    ("audit who-looked", f"audit who-looked --customer alice --data demo --limit 1 {_ASKED}"),
    ("audit report", f"audit report 2026 --out report.csv --data demo {_ASKED}"),
    ("approvals ask", f"approvals ask trail.reveal '{_SUBJECT}' --reason complaint {_BY}/eve.key --data demo"),
    ("approvals list", f"approvals list {_BY}/ben.key --data demo"),
    ("approvals give", f"approvals give APPROVAL {_BY}/ben.key --data demo"),
    ("audit reveal", f"audit reveal 4 --data demo {_ASKED}"),
    ("audit verify", "audit verify --data demo"),
    ("audit evidence", "audit evidence confirmation.json --rp-id localhost --origin ORIGIN"),
    ("audit checkpoint", "audit checkpoint --data demo"),
    ("audit verifiers", "audit verifiers --data demo"),
    ("audit monitor", "audit monitor TLOG --log-key LOG-KEYS --state kept.txt --once"),
    ("audit streams list", "audit streams list --data demo"),
    ("audit streams skip", f"audit streams skip soc 4 --data demo {_BY}/ada.key {_WHY}"),
    ("audit export", f"audit export --data demo --out evidence.zip {_ASKED}"),
    ("audit verify BUNDLE", "audit verify evidence.zip"),
    ("audit reconcile", f"audit reconcile --data demo {_ASKED}"),
    ("audit hold", f"audit hold --hold litigation-7 --customer alice --data demo {_ASKED}"),
    ("audit hold --release", f"audit hold --hold litigation-7 --release --customer alice --data demo {_BY}/ada.key {_WHY}"),
    ("audit erase", f"audit erase --customer alice --data demo {_BY}/ada.key {_WHY}"),
    ("policy check", "policy check"),
    ("policy test", "policy test"),
    ("policy diff", "policy diff --rules RULES"),
    ("policy explain", "policy explain CASE"),
    ("policy build", "policy build --rules RULES --cases FOLDER --version 1 --author ada --out rules-1.bundle"),
    ("policy officer", "policy officer --name ada --role author --role officer --key ada.key"),
    ("policy sign", "policy sign --role author --name ada --key ada.key rules-1.bundle"),
    ("policy verify", "policy verify --policy-officers officers.toml rules-1.bundle"),
    ("policy activate", "policy activate rules-1.bundle --policy-officers officers.toml --data demo"),
    ("policy list", "policy list --data demo"),
    ("policy rollback", "policy rollback --to 1 --version 2 --author ada --out rules-2.bundle --data demo"),
    ("database status", "database status --data demo"),
    ("database upgrade", "database upgrade --data demo"),
    ("database recover", "database recover --officer-key demo/dev/officers/ada.key --data demo"),
    ("backup", "backup saved --keys saved-keys --data demo"),
    ("restore", "restore saved --keys saved-keys --data restored"),
    (
        "audit recover",
        (
            f"audit recover --checkpoint kept.note --origin bank.example/log-2 --reason lost --request request.json {_BY}/ada.key"
            " --data restored"
        ),
    ),
    ("audit recover --approve", f"audit recover --approve request.json {_BY}/ben.key --data restored"),
    ("database roles", "database roles --gateway teller --data demo --database postgresql://owner@db.bank.example/bank"),
    ("init", "init --production customers --passphrase-file passphrase"),
    ("mandates sign", "mandates sign granted.jsonl --data customers"),
    ("mandates import", "mandates import signed.jsonl --officer-key ada.key --data customers"),
    ("mandates list", "mandates list --data customers"),
    ("settings check", "settings check --data customers"),
    ("settings show", "settings show --data customers"),
    ("functions list", "functions list"),
    ("functions check", "functions check wrong.yaml"),
    ("functions import-openapi", "functions import-openapi api.json"),
    ("functions import-mcp", "functions import-mcp tools.json"),
    ("functions definitions", "functions definitions responses"),
    ("functions reference", "functions reference"),
    ("functions schema", "functions schema"),
    ("kill engage", "kill engage --agent a-rogue --officer-key demo/dev/officers/ada.key --reason test --data demo"),
    ("kill list", "kill list --data demo"),
    ("kill lift", "kill lift KILL --officer-key demo/dev/officers/ben.key --reason over --data demo"),
    ("keys permits", "keys permits --data demo"),
    ("keys webhook", "keys webhook --data demo"),
    ("keys list", "keys list --data demo"),
    ("keys export-public", "keys export-public --data demo"),
    ("keys rotate", "keys rotate runs --lead 1 --officer-key demo/dev/officers/ada.key --data demo"),
    ("keys retire", "keys retire runs KEY --officer-key demo/dev/officers/ada.key --data demo"),
    ("code status", "code status --socket code.socket"),
    ("keys make", "keys make webhook --officer-key demo/dev/officers/ada.key --data demo"),
    ("keys seal", "keys seal --passphrase-file passphrase --data gateway"),
    ("witness keygen", "witness keygen --state w2 --name witness.example.com/w2"),
    ("witness add-log", "witness add-log VKEY --state w2"),
    ("witness status", "witness status --state w2"),
)
SERVING = {
    "serve": "serve --dev --data data --port 0",
    "sandbox-bank": "sandbox-bank --data bank --port 0 --credential-file bank.token --trust-credential",
    "core-proxy": "core-proxy --port 0 --credential-file proxy.token --permit-key permits.json"
    " --bank-url BANK --bank-credential-file bank.token",
    "code serve": "code serve --socket code.socket",
    "witness serve": "witness serve --state w1 --port 0",
}
"""Those that go on until interrupted: the line that they begin with."""


GRANTED = {
    "customer": "alice",
    "version": 1,
    "functions": ["list_accounts"],
    "accounts": ["acc-1"],
    "limits": {"GBP": {"payment_minor": 0, "day_minor": 0, "week_minor": 0, "month_minor": 0, "day_count": 0}},
    "starts": "2026-01-01T00:00:00+00:00",
    "ends": "2126-01-01T00:00:00+00:00",
}


STANDING = """insert into streams (name, upto, begun_at, held_until_ms, failures, again_ms, error)
    values ('soc', 4, 0, 0, 3, 0, 'record 4: status 422')"""


def verbs() -> dict[str, argparse.ArgumentParser]:
    """Each verb by its name, without the program's."""
    found: dict[str, argparse.ArgumentParser] = {}

    def walk(parser: argparse.ArgumentParser) -> None:
        nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        for action in nested:
            for child in action.choices.values():
                walk(child)
        if not nested:
            found[parser.prog.removeprefix("tellergate ")] = parser

    walk(command_line())
    return found


def answers() -> dict[str, Any]:
    """What each command prints with `--json`, by its name, from runs in a new folder."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        home = Path(folder)
        (home / "wrong.yaml").write_text("version: 1\n")
        (home / "tools.json").write_text(
            '{"tools": [{"name": "list_rates", "description": "Rates.", "inputSchema": {"type": "object"}}]}'
        )
        (home / "api.json").write_text('{"openapi": "3.0.0", "info": {"title": "x", "version": "1"}, "paths": {}}')
        found: dict[str, Any] = {}
        values = {"RULES": str(ROOT / "policies" / "rules"), "CASE": "'a payment in a strong session'"}
        values["FOLDER"] = str(ROOT / "policies" / "cases")
        passphrase_file(home)
        (home / "data").mkdir(mode=0o700)
        (home / "data" / "tellergate.toml").write_text(f"operations_port = {(port := _free_port())}\n")
        values["TLOG"] = f"http://127.0.0.1:{port}/tlog"
        (home / "permits.json").write_text(_typed(home, "keys permits --data gateway"))
        _typed(home, "witness keygen --state w1 --name witness.example.com/w1")
        for name, command in SERVING.items():
            found[name] = stack.enter_context(_serving(home, _filled(command, values)))
            values["BANK" if name == "sandbox-bank" else name] = found[name].get("url", "")
        values |= {f"HELD-{number}": _held(home, found["serve"]["url"], number) for number in (1, 2)}
        for name, command in RUNS:
            found[name] = _approved(home, _filled(command, values))
            if name == "approvals ask":
                values["APPROVAL"] = found[name]["id"]
            if name == "audit query":
                leaf = found[name]["records"][0]["leaf"]
                values |= {"CALL-1": leaf["call"], "AGENT": leaf["actor"]["agent"]}
            if name == "audit verify":
                keys = json.loads(_typed(home, "keys export-public --data data --json"))["keys"]
                values["LOG-KEYS"] = " ".join(key["vkey"] for key in keys if key["purpose"].startswith("log-"))
            if name == "dev confirm":
                found[name]["results"] = found[name]["results"][:1]
            if name == "audit streams list":  # none was set up: one that waits at a record that its receiver refuses
                sql(home / "demo", DatabaseName.LOG, STANDING)
                found[name] = json.loads(_typed(home, f"{command} --json"))
            if name == "demo":
                values["ORIGIN"] = (home / "demo" / "dev" / "url").read_text().strip().replace("127.0.0.1", "localhost")
                confirmed = json.loads(_typed(home, f"audit query --kind confirmation --data demo {_ASKED} --json"))["records"][-1][
                    "index"
                ]
                (home / "confirmation.json").write_text(
                    json.dumps(_approved(home, f"audit reveal {confirmed} --data demo {_ASKED}"))
                )
            if name == "backup":
                for of_keys in ("keys", "audit/secrets"):
                    shutil.copytree(home / "demo" / of_keys, home / "restored" / of_keys)
            if name == "restore":  # of which somebody keeps a head that is younger
                shutil.copytree(home / "demo" / "dev", home / "restored" / "dev", dirs_exist_ok=True)
                (home / "kept.note").write_text(_younger(home / "demo"))
            if name == "init":
                _typed(home, "database upgrade --data customers")
                (home / "granted.jsonl").write_text(json.dumps({"mandate": GRANTED}) + "\n")
            if name == "mandates sign":
                (home / "signed.jsonl").write_text(json.dumps(found[name]) + "\n")
                (home / "customers" / "officers.toml").write_text(found["policy officer"]["entry"])
            if name == "policy officer":
                other = json.loads(_typed(home, "policy officer --name ben --role activator --key ben.key --json"))["entry"]
                (home / "officers.toml").write_text(f"{found[name]['entry']}\n{other}")
            if name == "policy sign":
                _typed(home, "policy sign --role activator --name ben --key ben.key rules-1.bundle")
            if name == "keys export-public":
                values["VKEY"] = next(key["vkey"] for key in found[name]["keys"] if key["vkey"] is not None)
            if name == "kill engage":
                values["KILL"] = found[name]["id"]
            if name == "keys rotate":
                values["KEY"] = found[name]["rotated"][0]["old"]
                time.sleep(3)  # until the new one has begun
                (home / "demo" / "keys" / "webhook.key").unlink()
        return found


def _younger(data: Path) -> str:
    """A checkpoint of the log of this folder, over one record more."""

    async def published() -> str:
        log = await open_log(places(data), writer_id="command", clock=utc_now, may_upgrade=False)
        await log.append(Record(kind=RecordKind.ADMIN, time=utc_now(), facts={"word": "after_the_backup"}))
        note = await log.publish(force=True)
        await log.close()
        return note or ""

    return asyncio.run(published())


def _filled(command: str, values: Mapping[str, str]) -> str:
    names = r"RULES|FOLDER|CASE|BANK|KILL|TLOG|LOG-KEYS|VKEY|KEY|APPROVAL|ORIGIN|AGENT|CALL-1|HELD-\d"
    return re.sub(rf"\b({names})\b", lambda match: values[match[1]], command)


def _approved(home: Path, command: str) -> Any:
    """What a command prints as JSON; one that takes two is approved by Ben, and typed again."""
    answer = json.loads(_typed(home, f"{command} --json"))
    if isinstance(answer, dict) and "approval" in answer:
        _typed(home, f"approvals give {answer['approval']} {_BY}/ben.key --data demo")
        answer = json.loads(_typed(home, f"{command} --json"))
    return answer


def _environment() -> dict[str, str]:
    known = {name: value for name, value in os.environ.items() if not name.startswith(("TELLERGATE_", "OPENAI_"))}
    return {**known, "PYTHONPATH": str(ROOT), "COLUMNS": "132"}


def _typed(home: Path, command: str) -> str:
    """What a command prints, run in this process: a new one for each would take a second to import the same code."""
    printed, told = io.StringIO(), io.StringIO()
    with contextlib.chdir(home), contextlib.redirect_stdout(printed), contextlib.redirect_stderr(told), _nothing_set():
        status = main(shlex.split(command))
    assert status in (0, 1), f"{command}: {told.getvalue()}"
    assert printed.getvalue(), f"{command}: {told.getvalue()}"
    return printed.getvalue()


@contextlib.contextmanager
def _nothing_set() -> Iterator[None]:
    """No setting of whoever runs this counts."""
    before = dict(os.environ)
    for name in set(before) - set(_environment()):
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(before)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextlib.contextmanager
def _serving(home: Path, command: str) -> Iterator[Any]:
    line = forks.command(*command.split(), "--json")
    process = subprocess.Popen(line, cwd=home, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    with process.stdout, ending(process):
        yield json.loads(process.stdout.readline())


def _held(home: Path, url: str, number: int) -> str:
    """The confirmation of a payment that waits."""

    def token(options: str) -> str:
        return _typed(home, f"dev token --data data --customer alice {options}").strip()

    def api(bearer: str, path: str, body: object) -> Any:
        headers = {"authorization": f"Bearer {bearer}", "content-type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/{path}", json.dumps(body).encode(), headers)) as answer:
            return json.load(answer)

    assistant, own = token("--agent my-assistant --level L2"), token("--scope customer_words")
    conversation = api(assistant, "conversations", {})["id"]
    words = {"text": f"Please pay Margaret Hale {number}2.50 GBP.", "origin": "typed"}
    api(own, f"conversations/{conversation}/messages", {"messages": [words]})

    def call(name: str, **arguments: object) -> tuple[Any, Any]:
        item = {"type": "function_call", "call_id": name, "name": name, "arguments": json.dumps(arguments)}
        asked = {"shape": "responses", "conversation_id": conversation, "turn_id": "1", "calls": [item]}
        answer = api(assistant, "function-calls", asked)
        return json.loads(answer["outputs"][0]["output"]).get("result"), answer["results"][0]

    account = next(item["account"] for item in call("list_accounts")[0]["accounts"] if item["name"] == "Everyday")
    payees = call("list_beneficiaries", account=account)[0]["beneficiaries"]
    payee = next(item["beneficiary"] for item in payees if item["name"] == "Margaret Hale")
    amount = {"value": f"{number}2.50", "currency": "GBP"}
    confirmation: str = call("initiate_transfer", **{"from": account, "to": payee, "amount": amount})[1]["confirmation_id"]
    return confirmation


def shape(value: Any) -> Any:
    """The keys and types of a JSON value; of a list, those of its first member."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in sorted(value.items())}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def short(value: Any) -> Any:
    """An example that can be read: lists of one, long texts cut."""
    if isinstance(value, dict):
        return {key: short(item) for key, item in value.items()}
    if isinstance(value, list):
        return [short(value[0])] if value else []
    return value if not isinstance(value, str) or len(value) <= 70 else f"{value[:69]}…"


def reference(found: Mapping[str, Any]) -> str:
    """All commands in Markdown."""
    commands = dict(RUNS) | SERVING
    parts = []
    for name, parser in verbs().items():
        parts.append(f"### `tellergate {name}`\n\n```text\n{_help(parser)}```\n")
        for other in found:
            if other == name or other.startswith(f"{name} "):
                example = json.dumps(short(found[other]), indent=2, ensure_ascii=False)
                parts.append(f"`tellergate {commands[other]} --json` prints, for example:\n\n```json\n{example}\n```\n")
    return "\n".join(parts)


def _help(parser: argparse.ArgumentParser) -> str:
    os.environ["COLUMNS"] = "120"
    return parser.format_help()


def examples(text: str) -> dict[str, Any]:
    """The examples that the guide gives, by command line."""
    pattern = re.compile(
        r"^`tellergate (?P<command>[^`]+) --json` prints, for example:\n\n```json\n(?P<json>.*?)^```$", re.M | re.S
    )
    return {match["command"]: json.loads(match["json"]) for match in pattern.finditer(text)}


def renewed(text: str) -> str:
    before, rest = text.split(_BEGIN, 1)
    return before + _BEGIN + reference(answers()) + _END + rest.split(_END, 1)[1]


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        GUIDE.write_text(renewed(GUIDE.read_text()))
    else:
        print(reference(answers()))
