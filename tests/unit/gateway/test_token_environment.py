"""`dev token --environment`: a shell and JSON read the same, and clients find the token and the gateway by it."""

import json
import shlex
from pathlib import Path

import openai
import pytest

from gateway.app.development.local_issuer import LocalIssuer
from gateway.cli import main


def asked(data: Path, *options: str) -> list[str]:
    return ["dev", "token", "--data", str(data), "--customer", "alice", "--scope", "threads", "--environment", *options]


def test_the_lines_of_a_shell_and_json_say_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    LocalIssuer(tmp_path)
    assert main(asked(tmp_path)) == 2
    assert "start `tellergate serve --dev`, or say where with --url" in capsys.readouterr().err
    assert main(asked(tmp_path, "--url", "http://127.0.0.1:8080/")) == 0
    said = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    assert {word for word, _ in said} == {"export"}
    names = dict(entry.split("=", 1) for _, entry in said)
    assert main(asked(tmp_path, "--url", "http://127.0.0.1:8080", "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told.keys() == names.keys()
    assert {name: told[name] for name in told if "URL" in name} == {
        "OPENAI_BASE_URL": "http://127.0.0.1:8080/v1",
        "MCP_SERVER_URL": "http://127.0.0.1:8080/mcp",
    }
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    client = openai.OpenAI()
    assert (str(client.base_url), client.api_key) == ("http://127.0.0.1:8080/v1/", names["OPENAI_API_KEY"])
    azure = openai.AzureOpenAI()
    assert str(azure.base_url) == "http://127.0.0.1:8080/openai/"
    assert names["MCP_AUTHORIZATION"] == f"Bearer {names['OPENAI_API_KEY']}"
