"""The Model Context Protocol by its SDKs, unmodified, in both revisions: what they list, call and ask the customer for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult, ElicitRequestURLParams, ElicitResult, InputRequiredResult

from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.gateway import Gateway
from gateway.calls.catalogue import schema_hash
from tests.support.assisted import served
from tests.support.node_peers import driven
from tests.support.teller import confirmed, executed_keys, payment, teller

OLDER, NEWER = "2025-11-25", "2026-07-28"
BOTH = [OLDER, NEWER]
CONVERSATION, CALL, HASH = "tellergate/conversation", "tellergate/call", "tellergate/schema-hash"
WORDS = "Please pay £20.00 to Harbour Lettings"


@dataclass
class Host:
    """A gateway that serves the protocol, and clients of it."""

    gateway: Gateway
    url: str

    def token(self, customer: str = "alice", **claims: Any) -> str:
        claims = {"agent": "host", "strong": True, **claims}
        return LocalIssuer(self.gateway.settings.data).token(customer, **claims)

    @asynccontextmanager
    async def client(self, revision: str, token: str, user: Any = None) -> AsyncIterator[Client]:
        """`user`: what answers a wish that a page be opened."""
        async with httpx2.AsyncClient(headers={"authorization": f"Bearer {token}"}, timeout=60) as http:
            transport = streamable_http_client(f"{self.url}/mcp", http_client=http)
            mode = "legacy" if revision == OLDER else "auto"
            async with Client(transport, mode=mode, elicitation_callback=user) as client:
                assert client.protocol_version == revision
                yield client

    async def says(self, conversation: str, text: str, customer: str = "alice") -> int:
        """The customer's own words, by their own token; the status."""
        own = self.token(customer, agent=None, scope="customer_words")
        said = {"messages": [{"text": text, "origin": "typed"}]}
        async with httpx.AsyncClient() as http:
            where = f"{self.url}/v1/conversations/{conversation}/messages"
            return (await http.post(where, json=said, headers={"authorization": f"Bearer {own}"})).status_code


@asynccontextmanager
async def hosting(folder: Path, **changes: Any) -> AsyncIterator[Host]:
    async with teller(folder, mcp=True, **changes) as asked, served(asked.gateway) as url:
        yield Host(asked.gateway, url)


async def wanted(client: Client) -> tuple[str, dict[str, Any]]:
    """The conversation, and the arguments of a payment to whom `WORDS` names."""
    accounts = await client.call_tool("list_accounts", {})
    assert accounts.meta is not None
    debit = next(item["account"] for item in result(accounts)["accounts"] if (item["currency"], item["status"]) == ("GBP", "open"))
    payees = result(await client.call_tool("list_beneficiaries", {"account": debit}))["beneficiaries"]
    payee = next(item["beneficiary"] for item in payees if "Harbour" in item["name"])
    return accounts.meta[CONVERSATION], payment(debit, payee, "20.00")


def result(answered: CallToolResult) -> dict[str, Any]:
    assert not answered.is_error, answered
    assert isinstance(answered.structured_content, dict)
    return answered.structured_content


@pytest.mark.parametrize("revision", BOTH)
async def test_tools_are_what_the_customer_granted_and_answers_fit_their_schemas(tmp_path: Path, revision: str) -> None:
    async with hosting(tmp_path / "data") as host, host.client(revision, host.token()) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(listed) == {function.name for function in await host.gateway.door.offered("alice")}
        declared = {function.name: function for function in host.gateway.door.functions}
        for name, tool in listed.items():
            assert tool.meta is not None
            assert tool.meta[HASH] == schema_hash(declared[name])
            assert tool.annotations is not None
            assert tool.output_schema is not None
        reading, paying, freezing = (listed[name].annotations for name in ("list_accounts", "initiate_transfer", "freeze_card"))
        assert reading
        assert paying
        assert freezing
        assert (reading.read_only_hint, paying.read_only_hint, paying.destructive_hint) == (True, False, True)
        assert (freezing.read_only_hint, freezing.idempotent_hint) == (False, True)
        accounts = await client.call_tool("list_accounts", {})  # the client checks it against the schema
        assert accounts.meta is not None
        assert accounts.meta[CALL]["status"] == "done"
        assert "native_id" not in accounts.meta[CALL]
        refused = await client.call_tool("initiate_transfer", payment("a", "b", "1.00"))
        assert (refused.is_error, refused.meta and refused.meta[CALL]["status"]) == (True, "denied")
        unknown = await client.call_tool("pay_everybody", {})
        assert (unknown.is_error, unknown.meta and unknown.meta[CALL]["code"]) == (True, "denied")


async def test_a_held_payment_opens_the_bank_s_page_and_is_done_once_the_customer_confirms(tmp_path: Path) -> None:
    """Revision 2026-07-28: the client opens the page, the customer confirms there, and the client's own repeat brings what became of it."""
    async with hosting(tmp_path / "data") as host:
        opened: list[str] = []

        async def user(_context: Any, params: Any) -> ElicitResult:
            assert isinstance(params, ElicitRequestURLParams)
            opened.append(params.url)
            assert len(paid(host)) == 0
            await confirmed(host.gateway, params.url.rsplit("/", 1)[1])
            return ElicitResult(action="accept")

        async with host.client(NEWER, host.token(), user) as client:
            conversation, arguments = await wanted(client)
            assert await host.says(conversation, WORDS, "bruno") == 404, "another's conversation"
            unsaid = await client.call_tool("initiate_transfer", arguments)
            assert (unsaid.is_error, unsaid.meta and unsaid.meta[CALL]["code"], opened) == (True, "denied", [])
            assert await host.says(conversation, WORDS) == 200
            done = await client.call_tool("initiate_transfer", arguments)
            assert done.meta is not None
            assert (done.meta[CALL]["status"], result(done)["status"]) == ("done", "ACSC")
            assert len(paid(host)) == 1
            (url,) = opened
            assert url.startswith(f"{host.gateway.settings.confirming_origin}/confirm/")


@pytest.mark.parametrize("action", ["accept", "decline", "cancel"])
async def test_what_a_host_answers_for_its_user_confirms_nothing(
    tmp_path: Path, action: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.doors.mcp_api.server._WAIT", timedelta(milliseconds=100))

    async def liar(_context: Any, _params: Any) -> ElicitResult:
        return ElicitResult(action=action, content=None)

    async with hosting(tmp_path / "data") as host, host.client(NEWER, host.token(), liar) as client:
        conversation, arguments = await wanted(client)
        assert await host.says(conversation, WORDS) == 200
        asked = await client.session.call_tool("initiate_transfer", arguments, allow_input_required=True)
        assert isinstance(asked, InputRequiredResult)
        for _ in range(2):
            given: Any = {"confirmation": ElicitResult(action=action)}
            again = await client.session.call_tool(
                "initiate_transfer", arguments, input_responses=given, request_state=asked.request_state, allow_input_required=True
            )
            if action == "accept":
                assert isinstance(again, InputRequiredResult), "still the same page"
                assert again.request_state == asked.request_state
            else:
                assert isinstance(again, CallToolResult)
                assert (again.is_error, again.meta and again.meta[CALL]["status"]) == (True, "held")
        assert paid(host) == []
        async with host.client(NEWER, host.token("bruno"), liar) as other:
            theirs = await other.session.call_tool("initiate_transfer", arguments, request_state=asked.request_state)
            assert theirs.is_error
            assert "no such call" in str(theirs.content)


@pytest.mark.parametrize("revision", BOTH)
async def test_a_host_that_opens_no_page_is_told_of_it_beside_the_answer(tmp_path: Path, revision: str) -> None:
    async with hosting(tmp_path / "data") as host, host.client(revision, host.token()) as client:
        conversation, arguments = await wanted(client)
        assert await host.says(conversation, WORDS) == 200
        held = await client.call_tool("initiate_transfer", arguments)
        assert held.meta is not None
        waits = held.meta[CALL]
        assert (held.is_error, waits["status"]) == (True, "held")
        assert waits["confirm_at"] not in str(held.content), "the model has no use of it"
        assert waits["confirm_at"].endswith(waits["confirmation_id"])
        await confirmed(host.gateway, waits["confirmation_id"])
        assert len(paid(host)) == 1
        headers = {"authorization": f"Bearer {host.token()}"}
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{host.url}/v1/calls/{waits['call_id']}", headers=headers)).json()["status"] == "done"


@pytest.mark.parametrize("revision", BOTH)
async def test_another_definition_than_the_pinned_one_is_not_called(tmp_path: Path, revision: str) -> None:
    async with hosting(tmp_path / "data") as host, host.client(revision, host.token()) as client:
        (tool,) = [tool for tool in (await client.list_tools()).tools if tool.name == "list_accounts"]
        assert tool.meta is not None
        pinned: Any = {HASH: tool.meta[HASH]}
        assert not (await client.call_tool("list_accounts", {}, meta=pinned)).is_error
        for other in ("0" * 64, "", 7):
            pinned = {HASH: other}
            refused = await client.call_tool("list_accounts", {}, meta=pinned)
            assert refused.is_error, other
            assert CALL not in (refused.meta or {}), "nothing was asked of the pipeline"
            assert "changed" in str(refused.content)


async def test_pages_of_other_origins_and_other_tokens_may_not_ask(tmp_path: Path) -> None:
    public = "https://gateway.bank.example"
    async with hosting(tmp_path / "data", public_url=public) as host, httpx.AsyncClient(base_url=host.url) as http:
        asked = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        accepted = {"accept": "application/json, text/event-stream", "mcp-protocol-version": OLDER}
        assert (await http.post("/mcp", json=asked, headers=accepted)).status_code == 401
        accepted["authorization"] = f"Bearer {host.token()}"
        wrong = {**accepted, "authorization": f"Bearer {host.token(agent=None, scope='customer_words')}"}
        assert (await http.post("/mcp", json=asked, headers=wrong)).status_code == 403
        for origin in (
            "https://evil.example",
            "null",
            "http://gateway.bank.example",
            f"{public}.evil.example",
            f"{public}:8443",
            "",
        ):
            foreign = await http.post("/mcp", json=asked, headers={**accepted, "origin": origin})
            assert (foreign.status_code, foreign.json()["error"]["data"]["code"]) == (403, "foreign_request"), origin
        for own in ({}, {"origin": public}):
            assert (await http.post("/mcp", json=asked, headers={**accepted, **own})).status_code == 200
        assert (await http.get("/mcp", headers=accepted)).status_code == 405


def paid(host: Host) -> list[str]:
    """Keys of the calls' effects; what the sandbox bank was seeded with has none of them."""
    return [key for key in executed_keys(host.gateway) if key.startswith("tg")]


async def confirms(host: Host, paid_before: list[int], page: str) -> None:
    """The customer at the bank's page; how many payments were done before they spoke."""
    paid_before.append(len(paid(host)))
    await confirmed(host.gateway, page.rsplit("/", 1)[1])


async def test_the_sdks_for_javascript_list_call_and_pay(tmp_path: Path) -> None:
    """One process for both: that of the handshake, and that of the stateless revision."""
    async with hosting(tmp_path / "data") as host:
        paid_before: list[int] = []
        own = host.token(agent=None, scope="customer_words")
        saw = await driven(partial(confirms, host, paid_before), host.url, host.token(), own)
        declared = {function.name: function for function in await host.gateway.door.offered("alice")}
        assert saw["revision"] == NEWER
        for client, paying in (("sdk", {"isError": True, "status": "held"}), ("client", {"isError": False, "status": "done"})):
            seen = saw[client]
            assert set(seen["tools"]) == set(declared), client
            assert seen["paying"]["hash"] == schema_hash(declared["initiate_transfer"]), client
            assert seen["paying"]["hints"]["destructiveHint"] is True, client
            assert (seen["read"], seen["refused"], seen["said"]) == ("done", True, 200), client
            assert seen["paid"] == paying, client
        assert (paid_before, len(paid(host))) == ([0, 1], 2)
