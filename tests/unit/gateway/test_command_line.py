"""The command line as people meet it: usage that names the verb, missing files, settings from three sources, tables of any width."""

import argparse
import dataclasses
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.settings import Settings
from gateway.app.settings_sources import CONFIG, PREFIX, gathered
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.cli import main
from gateway.commands import printing
from gateway.commands.command_line import command_line
from gateway.commands.development import settings_of
from gateway.commands.printing import USAGE
from gateway.domain.principal import SCOPES


def verbs(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Every parser that runs something."""
    nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not nested:
        yield parser
    for action in nested:
        for child in action.choices.values():
            yield from verbs(child)


@pytest.mark.parametrize("verb", list(verbs(command_line())), ids=lambda verb: verb.prog)
def test_every_verb_says_its_name_what_each_option_is_for_and_answers_in_json(verb: argparse.ArgumentParser) -> None:
    assert verb.format_usage().startswith(f"usage: {verb.prog} ")
    assert verb.prog.startswith("tellergate ")
    options = {text for action in verb._actions for text in action.option_strings}
    assert "--json" in options or verb.prog == "tellergate completion"


MISSING: Mapping[str, list[str]] = {
    "a bundle": ["audit", "verify", "{}"],
    "a trust policy": ["audit", "verify", __file__, "--trust", "{}"],
    "a pinned checkpoint": ["audit", "verify", __file__, "--pinned", "{}"],
    "evidence": ["audit", "evidence", "{}", "--rp-id", "bank.example", "--origin", "https://bank.example"],
    "a manifest": ["functions", "check", "{}"],
    "a description": ["functions", "import-openapi", "{}"],
    "a list of tools": ["functions", "import-mcp", "{}"],
    "a manifest to list": ["functions", "list", "--functions", "{}"],
    "rules": ["policy", "check", "--rules", "{}"],
    "rules to test": ["policy", "test", "--rules", "{}"],
    "cases": ["policy", "test", "--cases", "{}"],
    "settings": ["serve", "--dev", "--data", "{}", "--config", "{}"],
    "a permit key": ["sandbox-bank", "--data", "{}", "--credential-file", "{}c", "--permit-key", "{}"],
    "a folder for its webhook key": ["keys", "webhook", "--data", "{}"],
    "a folder for its kill switches": ["kill", "list", "--data", "{}"],
    "a folder for its trail": ["audit", "checkpoint", "--data", "{}"],
    "a folder for its databases": ["database", "status", "--data", "{}"],
    "a folder for tokens": ["dev", "token", "--data", "{}", "--customer", "alice", "--agent", "demo"],
    "a folder for confirmations": ["dev", "confirm", "cnf_1", "--data", "{}", "--customer", "alice"],
}


@pytest.mark.parametrize("what", MISSING)
def test_what_is_not_there_is_wrong_use_and_named_and_nothing_is_made(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TELLERGATE_DATABASE", raising=False)
    missing = tmp_path / "nowhere"
    arguments = [argument.replace("{}", str(missing)) for argument in MISSING[what]]
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert "nowhere" in told.err, told.err
    assert (told.out, list(tmp_path.iterdir())) == ("", [])


@pytest.mark.parametrize("port", ["99999", "65536", "-1", "x", ""])
@pytest.mark.parametrize("verb", [["serve", "--dev"], ["sandbox-bank", "--trust-credential", "--credential-file", "c"]], ids=str)
def test_a_port_is_a_port(verb: list[str], port: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([*verb, "--data", str(tmp_path / "data"), f"--port={port}"])
    assert left.value.code == 2
    assert "a number from 0 to 65535" in capsys.readouterr().err


def text_of(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


OTHER: Mapping[type, object] = {str: "text", int: 7, float: 0.5, bool: True, Path: Path("a/b"), tuple: ("a", "b")}


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Settings) if field.name != "development"])
def test_every_setting_can_come_from_the_environment_in_its_own_type(name: str) -> None:
    kind = type(getattr(Settings(data=Path("d"), development=False), name))
    for value in OTHER.values():
        try:
            said = gathered({}, {f"{PREFIX}{name.upper()}": text_of(value), "PATH": "x"})[name]
        except UnsafeSettings as wrong:
            assert f"{PREFIX}{name.upper()}" in str(wrong)
        else:
            if kind is not type(None):
                assert isinstance(said.value, kind | Path)
            assert said.where == f"environment {PREFIX}{name.upper()}"
    assert gathered({}, {f"{PREFIX}{name.upper()}": " "}) == {}


@pytest.mark.parametrize("variable", [f"{PREFIX}DEVELOPMENT", f"{PREFIX}PRT", PREFIX, f"{PREFIX}port"])
def test_a_variable_that_is_no_setting_stops_the_start(variable: str) -> None:
    with pytest.raises(UnsafeSettings, match="is not a setting"):
        gathered({}, {variable: "true"})


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('port = 1\nhost = "127.0.0.1"\naudit_wait_ms = 1\ncalls_per_minute = 1\n')
    monkeypatch.setenv(CONFIG, str(file))
    monkeypatch.setenv("TELLERGATE_PORT", "2")
    monkeypatch.setenv("TELLERGATE_AUDIT_WAIT_MS", "2")
    monkeypatch.setenv("TELLERGATE_DATA", str(tmp_path / "data"))
    settings = settings_of(command_line().parse_args(["serve", "--dev", "--port", "3"]))
    assert (settings.port, settings.audit_wait_ms, settings.calls_per_minute) == (3, 2, 1)
    assert settings.data == tmp_path / "data"


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ([], "--customer"),
        (["--customer", "alice"], "--agent"),
        (["--customer", "alice", "--agent", "a", "--scope", "customer_words"], "leave out --agent"),
        (["--customer", "alice", "--agent", "a", "--scope", "function_calls", "confirm"], "leave out --agent"),
        (["--customer", "alice", "--scope", "enrol_passkeys"], "--client"),
        (["--scope", "assistants"], "--client"),
        (["--client", "app", "--scope", "assistants", "threads"], "--customer"),
        (["--scope", "kill_switch"], "--client"),
    ],
)
def test_a_token_that_makes_no_sense_is_not_given(
    options: list[str], needed: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    LocalIssuer(tmp_path)
    assert main(["dev", "token", "--data", str(tmp_path), *options]) == 2
    told = capsys.readouterr()
    assert needed in told.err
    assert told.out == ""


def test_every_scope_can_be_had_and_several_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    LocalIssuer(tmp_path)
    of_systems = ["assistants", "enrol_passkeys", "kill_switch", "mandates"]
    customer = [scope for scope in SCOPES if scope not in of_systems]
    for who, scopes in ((["--customer", "alice"], customer), *((["--client", "bank"], [scope]) for scope in of_systems)):
        assert main(["dev", "token", "--data", str(tmp_path), "--json", *who, "--scope", *scopes]) == 0
        assert all(f'"{scope}"' in capsys.readouterr().out for scope in scopes[:1])
    for alone in ("enrol_passkeys", "kill_switch", "mandates"):
        assert main(["dev", "token", "--data", str(tmp_path), "--client", "bank", "--scope", alone, "assistants"]) == 2
        assert f"the scope {alone} mixes with no other" in capsys.readouterr().err


def test_a_draft_never_takes_the_place_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    described, out = tmp_path / "api.json", tmp_path / "manifest.yaml"
    described.write_text('{"openapi": "3.0.0", "info": {"title": "x", "version": "1"}, "paths": {}}')
    out.write_text("decided: already\n")
    assert main(["functions", "import-openapi", str(described), "--out", str(out)]) == 2
    assert "manifest.yaml" in capsys.readouterr().err
    assert out.read_text() == "decided: already\n"


CELLS = st.lists(st.tuples(st.text("ab_[]/0\u00e9", max_size=90), st.none() | st.text("x y", max_size=40)), max_size=4)


@example([("call_01a223c808fae7f51fab5f9dc18e" * 2, None)], 20, True)
@given(CELLS, st.integers(1, 200), st.booleans())
def test_no_table_cuts_or_breaks_what_it_shows(rows: list[tuple[str, str | None]], width: int, is_terminal: bool) -> None:
    screen = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", screen)

        def console(width: int = width, **options: Any) -> Console:
            return Console(width=width, force_terminal=is_terminal, file=screen, color_system=None, **options)

        patch.setattr(printing, "Console", console)
        printing.print_table(("call", "note"), rows)
    assert all(call in screen.getvalue() for call, _ in rows)


def test_version_and_completion() -> None:
    told = subprocess.run([sys.executable, "-m", "gateway.cli", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("tellergate 0.")
    script = subprocess.run([sys.executable, "-m", "gateway.cli", "completion", "bash"], capture_output=True, text=True, check=True)
    assert subprocess.run(["bash", "-n"], input=script.stdout, text=True, check=False).returncode == 0
    assert "import-openapi" in script.stdout


@pytest.mark.parametrize("arguments", [["serve", "--dev", "--port", "0"], ["demo"]], ids=" ".join)
@pytest.mark.parametrize("after_s", [0.2, 0.7, 1.5])
def test_an_interrupt_in_the_first_seconds_leaves_no_traceback(arguments: list[str], after_s: float, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "gateway.cli", *arguments, "--data", str(tmp_path / "data")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    time.sleep(after_s)  # the moment is the test
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    if "import signal" not in told and (
        "gateway" in told or "Traceback" not in told
    ):  # else the interpreter itself was still starting, which nobody can keep from saying so
        assert "Traceback" not in told, told
        assert process.returncode in (130, -signal.SIGINT)


MAKING = {
    "tellergate demo", "tellergate serve", "tellergate sandbox-bank", "tellergate keys permits",
    "tellergate settings check", "tellergate settings show",
}  # fmt: skip
"""They make the folder that they are told, or tell of it."""

NEEDED: Mapping[str, str] = {
    "--purpose": "p", "--case": "c", "--customer": "alice", "--officer-key": "o.key", "--reason": "r", "--hold": "h",
    "--out": "out.zip", "--credential-file": "c", "--policy-officers": "o.toml", "--to": "1", "--version": "2", "--author": "a",
}  # fmt: skip


FURTHER: Mapping[str, tuple[str, ...]] = {"tellergate policy diff": ("new.bundle", "--active")}
"""What makes a command look into a folder that is not always asked."""


def with_folder(verb: argparse.ArgumentParser, folder: Path) -> list[str]:
    """A command that works on this folder, with whatever else it needs."""
    words = verb.prog.removeprefix("tellergate ").split()
    for action in verb._actions:
        if not action.option_strings and action.nargs is None:
            words.append(str(next(iter(action.choices))) if action.choices else "7")
        elif action.option_strings and action.required and (name := action.option_strings[0]) in NEEDED:
            words += [name, NEEDED[name]]
    for group in verb._mutually_exclusive_groups:
        if group.required:
            words.append(next(action.option_strings[0] for action in group._group_actions if action.nargs == 0))
    return [*words, *FURTHER.get(verb.prog, ()), "--data", str(folder)]


@pytest.mark.parametrize(
    "verb",
    [item for item in verbs(command_line()) if any("--data" in action.option_strings for action in item._actions)],
    ids=lambda verb: verb.prog,
)
def test_a_folder_that_is_no_data_folder_is_named_with_status_2(
    verb: argparse.ArgumentParser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, file = tmp_path / "other", tmp_path / "file"
    other.mkdir()
    (other / "letter.txt").touch()
    file.touch()
    wrong = {file} if verb.prog in MAKING else {file, other, tmp_path / "nothing"}
    for folder in wrong:
        assert main(with_folder(verb, folder)) == USAGE
        assert str(folder) in capsys.readouterr().err
    assert [path.name for path in other.iterdir()] == ["letter.txt"]


def test_a_file_that_a_command_writes_is_its_owner_s_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = os.umask(0o022)
    try:
        assert main(["keys", "permits", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "permits.json")]) == 0
        (tmp_path / "openapi.yaml").write_text("openapi: 3.0.0\ninfo: {title: t, version: '1'}\npaths: {}\n")
        main(["functions", "import-openapi", str(tmp_path / "openapi.yaml"), "--out", str(tmp_path / "functions.yaml")])
    finally:
        os.umask(before)
    capsys.readouterr()
    made = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "openapi.yaml"]
    assert len(made) > 3
    assert {path.name: oct(path.stat().st_mode & 0o077) for path in made if path.stat().st_mode & 0o077} == {}
