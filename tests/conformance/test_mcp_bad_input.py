"""What no client of the Model Context Protocol sends is told in the form that its clients parse, with a stable code, on record, and without
what was sent."""

import json
from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType
from typing import Any

import httpx
import pytest
import pytest_asyncio
from mcp.shared.exceptions import MCPError
from mcp_types.jsonrpc import INTERNAL_ERROR, INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR

from gateway.doors.mcp_api import server
from gateway.doors.mcp_api.faults import REFUSED
from tests.conformance.test_mcp_clients import BOTH, CONVERSATION, NEWER, OLDER, Host, hosting

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECRET = "s3cr3t-input"
ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": NEWER,
    "io.modelcontextprotocol/clientInfo": {"name": "x", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def host(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    async with hosting(tmp_path_factory.mktemp("bad-input") / "data", public_url="https://gateway.bank.example") as found:
        yield found


def calling(arguments: str, revision: str, meta: Mapping[str, object] = MappingProxyType({})) -> bytes:
    """A call with these arguments, as they are."""
    told = json.dumps({**(ENVELOPE if revision == NEWER else {}), **meta})
    params = f'{{"name": "get_account_balance", "arguments": {arguments}, "_meta": {told}}}'
    return f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {params}}}'.encode()


async def sent(host: Host, body: bytes, revision: str, **headers: str) -> httpx.Response:
    usual = {
        "authorization": f"Bearer {host.token()}",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": revision,
    }
    if revision == NEWER:
        usual |= {"mcp-method": "tools/call", "mcp-name": "get_account_balance"}
    async with httpx.AsyncClient(base_url=host.url) as http:
        return await http.post("/mcp", content=body, headers={**usual, **headers})


ARGUMENTS = {
    "a name twice": ('{"account": "acc_x", "account": "acc_y"}', "duplicate_key"),
    "a name twice, escaped": ('{"account": "acc_x", "\\u0061ccount": "acc_y"}', "duplicate_key"),
    "NaN": ('{"account": NaN}', "invalid_json"),
    "infinity": ('{"account": 1e999}', "invalid_json"),
    "a huge number": ('{"account": 123456789012345678901234567890}', "invalid_json"),
    "a lone surrogate": ('{"account": "\\ud800"}', "invalid_json"),
    "a lone surrogate in a name": ('{"\\udfff": 1}', "invalid_json"),
    "a NUL": (f'{{"account": "{SECRET}\\u0000"}}', "invalid_json"),
    "nested too deep": ('{"account": ' + "[" * 40 + "]" * 40 + "}", "too_deep"),
    "too large": (json.dumps({"account": SECRET * 30_000}), "too_large"),
}


@pytest.mark.parametrize("revision", BOTH)
@pytest.mark.parametrize("name", ARGUMENTS)
async def test_a_body_is_read_as_strictly_as_at_every_door(host: Host, name: str, revision: str) -> None:
    arguments, code = ARGUMENTS[name]
    answered = await sent(host, calling(arguments, revision), revision)
    assert answered.status_code == (413 if code == "too_large" else 400)
    told = answered.json()
    assert (told["jsonrpc"], told["id"], told["error"]["data"]["code"]) == ("2.0", None, code)
    assert told["error"]["code"] == (INVALID_REQUEST if code == "too_large" else PARSE_ERROR)
    assert SECRET not in answered.text


MESSAGES: dict[str, tuple[Any, str | None]] = {
    "several in a list": ([{"jsonrpc": "2.0", "id": 1, "method": SECRET}], None),
    "another protocol": ({"jsonrpc": "1.0", "id": 1, "method": SECRET}, None),
    "an id that is null": ({"jsonrpc": "2.0", "id": None, "method": "tools/list"}, "id"),
    "an id with a fraction": ({"jsonrpc": "2.0", "id": 1.5, "method": "tools/list"}, "id"),
    "an id that is an object": ({"jsonrpc": "2.0", "id": {SECRET: 1}, "method": "tools/list"}, "id"),
    "an id without an end": ({"jsonrpc": "2.0", "id": SECRET * 100, "method": "tools/list"}, "id"),
    "no method": ({"jsonrpc": "2.0", "id": 1, SECRET: 1}, "method"),
    "a method that is a number": ({"jsonrpc": "2.0", "id": 1, "method": 5}, "method"),
    "parameters in a list": ({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": [SECRET]}, "params"),
}


@pytest.mark.parametrize("revision", BOTH)
@pytest.mark.parametrize("name", MESSAGES)
async def test_what_is_no_message_is_named_and_not_repeated(host: Host, name: str, revision: str) -> None:
    message, param = MESSAGES[name]
    answered = await sent(host, json.dumps(message).encode(), revision)
    error = answered.json()["error"]
    assert (answered.status_code, error["code"]) == (400, INVALID_REQUEST)
    assert error["data"] == {"code": "invalid_request", "param": param}
    assert SECRET not in answered.text


PARAMETERS: dict[str, tuple[bytes, str, str]] = {
    "arguments in a list": (calling("[]", OLDER), "params.arguments", "must be an object"),
    "a name that is a number": (
        b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 5}}',
        "params.name",
        "must be a string",
    ),
    "no name": (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {}}', "params.name", "is required"),
    "no parameters": (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call"}', "params", "is required"),
}


@pytest.mark.parametrize("name", PARAMETERS)
async def test_a_parameter_that_is_wrong_is_named(host: Host, name: str) -> None:
    body, param, why = PARAMETERS[name]
    error = (await sent(host, body, OLDER)).json()["error"]
    data = {"code": "invalid_request", "param": param}
    assert error == {"code": INVALID_PARAMS, "message": f"{param}: {why}", "data": data}


@pytest.mark.parametrize("revision", BOTH)
async def test_a_conversation_that_is_named_wrongly_is_not_the_own_one(host: Host, revision: str) -> None:
    named: list[object] = ["conv_", "conv_" + "0" * 25, 5, [], "call_" + "0" * 24, ""]
    for wrong in named:
        answered = await sent(host, calling("{}", revision, {CONVERSATION: wrong}), revision)
        result = answered.json()["result"]
        assert result["isError"], wrong
        assert result["content"][0]["text"].startswith(f"params._meta[{CONVERSATION}]: must be"), wrong


async def test_headers_that_say_something_else_are_refused(host: Host) -> None:
    for header, value in (("content-type", "text/plain"), ("content-encoding", "gzip")):
        error = (await sent(host, calling("{}", OLDER), OLDER, **{header: value})).json()["error"]
        assert (error["code"], error["data"]["param"]) == (INVALID_REQUEST, header)


@pytest.mark.parametrize("revision", BOTH)
async def test_the_sdk_tells_its_host_why_a_request_was_refused(host: Host, revision: str) -> None:
    foreign = (await sent(host, calling("{}", revision), revision, origin="https://evil.example")).json()["error"]
    assert (foreign["code"], foreign["data"]["code"]) == (REFUSED, "foreign_request")
    async with host.client(revision, host.token()) as client:
        with pytest.raises(MCPError) as refused:
            await client.call_tool("get_account_balance", {"account": SECRET * 30_000})
    assert (refused.value.code, refused.value.error.data) == (INVALID_REQUEST, {"code": "too_large", "param": None})


@pytest.mark.parametrize("revision", BOTH)
async def test_what_the_gateway_does_wrong_is_an_alarm_without_what_was_sent(
    host: Host, revision: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_function: object) -> Any:
        raise ValueError(SECRET)

    monkeypatch.setattr(server, "tool_of", broken)
    async with host.client(revision, host.token()) as client:
        with pytest.raises(MCPError) as failed:
            await client.list_tools()
    assert (failed.value.code, failed.value.error.data) == (INTERNAL_ERROR, {"code": "internal_error", "param": None})
    assert [json.loads(line.message)["error"] for line in caplog.records if line.name == "tellergate.door"] == ["ValueError"]
    assert SECRET not in caplog.text
