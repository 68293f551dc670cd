"""`dev token --environment`: a shell and JSON read the same, and clients find the token and the gateway by it."""

import asyncio
import json
import shlex
from pathlib import Path

import httpx2
import openai
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from gateway.app.development.local_issuer import LocalIssuer
from gateway.cli import main
from tests.support.assisted import assisted
from tests.support.models import Reply

OWN = ("threads", "customer_words", "function_calls")


def asked(data: Path, *options: str) -> list[str]:
    return ["dev", "token", "--data", str(data), "--customer", "alice", "--level", "L2", "--scope", *OWN, "--environment", *options]


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


async def test_each_client_is_served_at_once_by_a_gateway_in_development_mode(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the environment says and nothing else."""
    async with assisted(tmp_path / "data", Reply("Good day.")) as all_of:
        assert await asyncio.to_thread(main, asked(tmp_path / "data", "--url", all_of.url, "--json")) == 0
        told = json.loads(capsys.readouterr().out)
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        for client in (openai.AsyncOpenAI(), openai.AsyncAzureOpenAI()):
            async with client:
                answer = await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "Hello."}])
            assert answer.choices[0].message.content == "Good day."
        headers = {"authorization": told["MCP_AUTHORIZATION"]}
        async with (
            httpx2.AsyncClient(headers=headers) as http,
            Client(streamable_http_client(told["MCP_SERVER_URL"], http_client=http)) as host,
        ):
            assert not (await host.call_tool("list_accounts", {})).is_error
