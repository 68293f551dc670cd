"""The Model Context Protocol's own conformance suite for servers (npm `@modelcontextprotocol/conformance`), as both revisions require it.

What of it is served passes whole; of what is not, each scenario, and each check, is named with its reason. Where the suite asks for a tool
of its own that takes long, or fails, it is given a payment that waits for its customer, or that they decline.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from tests.conformance.test_mcp_clients import NEWER, OLDER, Host, hosting, wanted
from tests.support.node_peers import ran
from tests.support.postgres import free_port
from tests.support.teller import confirmed

Json = dict[str, Any]
LOOKS_AT_IT = timedelta(seconds=1)
"""Longer than the suite takes from a task's beginning to its first question."""

OWN_TOOL = "asks for a tool of the suite's own, which no bank has"
OWN_RESOURCE = "reads a resource of the suite's own (`test://...`), which no bank has"
NO_STREAMS = "no sessions or streams: one JSON answer a request"
BY_FORM = "by form: what a host answers is never the customer's word"
CONTENTS = ("image", "audio", "embedded-resource", "mixed-content", "with-progress")
SERVED = {
    OLDER: {
        *("server-initialize", "ping", "tools-list", "tools-call-simple-text", "tools-call-error", "dns-rebinding-protection"),
        "resources-list",
    },
    NEWER: {
        *("resources-list", "sep-2164-resource-not-found", "tasks-capability-negotiation", "tasks-dispatch-and-envelope"),
        *("tasks-request-state-removal", "tasks-wire-fields"),
        *("tools-list", "tools-call-simple-text", "tools-call-error", "dns-rebinding-protection", "http-header-validation"),
        *("input-required-result-unsupported-methods", "input-required-result-ignore-extra-params", "server-sse-multiple-streams"),
    },
}
NOT_SERVED = {
    "completion-complete": "arguments are references and choices; there is nothing to complete",
    **dict.fromkeys(("resources-read-text", "resources-read-binary", "resources-templates-read"), OWN_RESOURCE),
    **dict.fromkeys(("prompts-list", "prompts-get-simple", "prompts-get-with-args"), "no prompts"),
    **dict.fromkeys(("prompts-get-embedded-resource", "prompts-get-with-image"), "no prompts"),
    **dict.fromkeys((f"tools-call-{content}" for content in CONTENTS), OWN_TOOL),
    "json-schema-2020-12": OWN_TOOL,
}
OLDER_ALONE = {
    "logging-set-level": "the server tells no log",
    "tools-call-with-logging": "the server tells no log",
    "resources-subscribe": NO_STREAMS,
    "resources-unsubscribe": NO_STREAMS,
    "tools-call-sampling": "the server asks no model of the host",
    **dict.fromkeys(("tools-call-elicitation", "elicitation-sep1034-defaults", "elicitation-sep1330-enums"), BY_FORM),
    **dict.fromkeys(("server-session-lifecycle", "server-sse-multiple-streams", "server-sse-polling"), NO_STREAMS),
}
ROUNDS = ("basic-elicitation", "request-state", "multiple-input-requests", "multi-round", "result-type", "tampered-state")
NEWER_ALONE = {
    "http-custom-header-server-validation": "no tool asks that an argument be repeated in a header",
    **dict.fromkeys((f"input-required-result-{name}" for name in (*ROUNDS, "missing-input-response", "validate-input")), OWN_TOOL),
    **dict.fromkeys(
        (f"input-required-result-basic-{name}" for name in ("sampling", "list-roots")), "the server asks neither of the host"
    ),
    "input-required-result-non-tool-request": "no prompts",
    "input-required-result-capability-check": "the server asks no model of the host",
    **dict.fromkeys(("tasks-mrtr-input", "tasks-mrtr-composition"), BY_FORM),
    "tasks-required-task-error": "no tool needs a task: who takes none is told beside the answer where the customer confirms",
    "tasks-status-notifications": NO_STREAMS,
}
ABSENT = {OLDER: {**NOT_SERVED, **OLDER_ALONE}, NEWER: {**NOT_SERVED, **NEWER_ALONE}}
PARTLY = {
    "server-stateless": {
        "sep-2575-server-rejects-undeclared-capability": OWN_TOOL,
        "sep-2575-missing-capability-http-400": OWN_TOOL,
        "sep-2575-server-sends-subscription-ack": NO_STREAMS,
        "sep-2575-server-tags-subscription-id": NO_STREAMS,
        "sep-2575-server-honors-notification-filter": NO_STREAMS,
        "sep-2575-server-sends-prompts-list-changed-on-subscription": NO_STREAMS,
        "sep-2575-server-sends-tools-list-changed-on-subscription": NO_STREAMS,
    },
    "caching": {
        "sep-2549-prompts-list-caching-hints": "no prompts",
        "sep-2549-resources-read-caching-hints": "no document is there: one that is read taints the conversation of the payments",
    },
    "tasks-lifecycle": {
        "sep-2663-tasks-get-status-failed": "no call ends as an error of the protocol: what is refused is a result"
    },
    "tasks-request-headers": {"tasks-headers-tolerate-mcp-method-on-tools-call": OWN_TOOL},
}


def pays(amount: str, arguments: Json) -> Json:
    """A payment as the suite's own tool is one: what the customer says, and what is then asked for."""
    wanted = {**arguments, "amount": {"value": amount, "currency": "GBP"}}
    return {"words": f"Please pay £{amount} to Harbour Lettings", "name": "initiate_transfer", "arguments": wanted}


async def customer(host: Host) -> None:
    """Looks at each payment for a while, confirms it, or declines what is over two pounds."""
    own = {"authorization": f"Bearer {host.token(agent=None, scope='confirm')}"}
    async with httpx.AsyncClient(base_url=host.url, headers=own) as http:
        while True:
            await asyncio.sleep(0.1)
            for item in (await http.get("/v1/confirmations")).json()["data"]:
                if datetime.now(UTC) - datetime.fromisoformat(item["created"]) < LOOKS_AT_IT:
                    continue
                shown = (await http.get(f"/v1/confirmations/{item['id']}")).json()
                if '"2.' in json.dumps(shown["intent"]):
                    await http.post(f"/v1/confirmations/{item['id']}", json={"decline": True})
                else:
                    await confirmed(host.gateway, item["id"])


@asynccontextmanager
async def speaking(host: Host, token: str) -> AsyncIterator[Json]:
    """What the suite's host is to say and to ask for, while the customer is there."""
    async with host.client(NEWER, token) as client:
        conversation, arguments = await wanted(client)
    slow = [pays(f"1.{pence}", arguments) for pence in range(10, 30)]
    tools = {"slow_compute": slow, "failing_job": [pays(f"2.{pence}", arguments) for pence in range(10, 15)]}
    there = asyncio.create_task(customer(host))
    words = {"conversation": conversation, "token": host.token(agent=None, scope="customer_words")}
    yield {"tools": tools, "words": words}
    there.cancel()


async def test_what_is_served_conforms_and_what_is_not_is_named(tmp_path: Path) -> None:
    port = free_port()
    async with hosting(tmp_path / "data", public_url=f"http://127.0.0.1:{port}") as host:
        token = host.token()
        async with speaking(host, token) as said:
            arguments = ("conformance.mjs", host.url, token, str(port), OLDER, NEWER)
            code, printed = await ran(*arguments, HOST=json.dumps(said))
    assert code == 0, printed
    saw = json.loads(printed.splitlines()[-1])["saw"]
    for revision in (OLDER, NEWER):
        partly = PARTLY if revision == NEWER else {}
        assert {*saw[revision]} == {*SERVED[revision], *ABSENT[revision], *partly}, revision
        for scenario, checks in saw[revision].items():
            failing = {check for check, status in checks if status not in ("SUCCESS", "INFO")}
            if scenario in SERVED[revision]:
                assert (failing, "SUCCESS" in dict(checks).values()) == (set(), True), (revision, scenario, checks)
            if scenario in partly:
                assert failing == {*partly[scenario]}, scenario
        assert not SERVED[revision] & {*ABSENT[revision]}
