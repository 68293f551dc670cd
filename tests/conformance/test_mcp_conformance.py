"""The Model Context Protocol's own conformance suite for servers (npm `@modelcontextprotocol/conformance`): what of it is served passes."""

import json
from pathlib import Path

from tests.conformance.test_mcp_clients import hosting
from tests.support.node_peers import ran
from tests.support.postgres import free_port

SERVED = ("server-initialize", "ping", "tools-list", "tools-call-error", "dns-rebinding-protection")

OWN_TOOL = "asks for a tool of the suite's own (`test_...`), which no bank has"
NOT_SERVED = {
    "logging-set-level": "the server tells no log",
    "completion-complete": "arguments are references and choices; there is nothing to complete",
    **dict.fromkeys(("resources-list", "resources-read-text", "resources-read-binary"), "no resources"),
    **dict.fromkeys(("resources-templates-read", "resources-subscribe", "resources-unsubscribe"), "no resources"),
    **dict.fromkeys(("prompts-list", "prompts-get-simple", "prompts-get-with-args"), "no prompts"),
    **dict.fromkeys(("prompts-get-embedded-resource", "prompts-get-with-image"), "no prompts"),
    **dict.fromkeys(("server-sse-polling", "server-sse-multiple-streams"), "no sessions or streams: one JSON answer a request"),
    "tools-call-sampling": "the server asks no model of the host",
    "tools-call-elicitation": "by form: what a host answers is never the customer's word",
    **dict.fromkeys(("elicitation-sep1034-defaults", "elicitation-sep1330-enums"), "by form, as before"),
    **dict.fromkeys(("tools-call-simple-text", "tools-call-image", "tools-call-audio", "tools-call-embedded-resource"), OWN_TOOL),
    **dict.fromkeys(("tools-call-mixed-content", "tools-call-with-logging", "tools-call-with-progress"), OWN_TOOL),
    "json-schema-2020-12": OWN_TOOL,
}


async def test_what_is_served_conforms_and_what_is_not_is_named(tmp_path: Path) -> None:
    port = free_port()
    async with hosting(tmp_path / "data", public_url=f"http://127.0.0.1:{port}") as host:
        arguments = ("conformance.mjs", host.url, host.token(), str(port), *SERVED)
        code, printed = await ran(*arguments, program="conformance.mjs")
    assert code == 0, printed
    saw = json.loads(printed.splitlines()[-1])["saw"]
    assert {*saw["known"]} == {*SERVED, *NOT_SERVED}
    for scenario, found in saw["ran"].items():
        assert found["checks"], scenario
        assert {*found["checks"].values()} == {"SUCCESS"}, (scenario, found)
    assert {*saw["ran"]} == {*SERVED}
