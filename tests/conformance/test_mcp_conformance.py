"""The Model Context Protocol's own conformance suite for servers (npm `@modelcontextprotocol/conformance`), as both revisions require it.

What of it is served passes whole; of what is not, each scenario, and each check, is named with its reason.
"""

import json
from pathlib import Path

from tests.conformance.test_mcp_clients import NEWER, OLDER
from tests.conformance.test_mcp_resources import library
from tests.support.node_peers import ran
from tests.support.postgres import free_port

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
        *("resources-list", "sep-2164-resource-not-found"),
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
TASKS = ("lifecycle", "wire-fields", "request-state-removal", "mrtr-input", "required-task-error", "mrtr-composition")
NEWER_ALONE = {
    "http-custom-header-server-validation": "no tool asks that an argument be repeated in a header",
    **dict.fromkeys((f"input-required-result-{name}" for name in (*ROUNDS, "missing-input-response", "validate-input")), OWN_TOOL),
    **dict.fromkeys(
        (f"input-required-result-basic-{name}" for name in ("sampling", "list-roots")), "the server asks neither of the host"
    ),
    "input-required-result-non-tool-request": "no prompts",
    "input-required-result-capability-check": "the server asks no model of the host",
    **dict.fromkeys((f"tasks-{name}" for name in TASKS), OWN_TOOL),
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
    },
    "tasks-capability-negotiation": {"tasks-per-request-meta-opt-in": OWN_TOOL},
    "tasks-dispatch-and-envelope": {
        "tasks-server-directed-creation-no-hint": OWN_TOOL,
        "sep-2663-durable-create-strong-consistency": OWN_TOOL,
    },
    "tasks-request-headers": {
        "tasks-headers-tolerate-mcp-method-on-tools-call": OWN_TOOL,
        "sep-2663-routing-headers-accepted-on-tasks-get": OWN_TOOL,
        "sep-2663-server-rejects-mismatched-mcp-name-on-tasks-get": OWN_TOOL,
    },
}


async def test_what_is_served_conforms_and_what_is_not_is_named(tmp_path: Path) -> None:
    port = free_port()
    async with library(tmp_path / "data", public_url=f"http://127.0.0.1:{port}") as (host, *_):
        code, printed = await ran("conformance.mjs", host.url, host.token(), str(port), OLDER, NEWER)
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
