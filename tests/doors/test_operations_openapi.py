"""The OpenAPI document of the operations listener is for who is signed in, tells every JSON route, and holds under fuzzing."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis.core.result import Ok

from tests.attacks.test_operations_listener import free_port
from tests.doors.conftest import serving
from tests.doors.test_openapi import CHECKS, bounded
from tests.support.command_duties import ROUTES
from tests.support.options import long_or
from tests.support.waiting import WAITS_S


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Somebody who may do everything, signed in at a gateway in development mode."""
    folder: Path = tmp_path_factory.mktemp("operations")
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    file = folder / "tellergate.toml"
    file.write_text(f"operations_port = {port}\n")
    with (
        serving(folder / "data", "--config", str(file)),
        httpx.Client(base_url=origin, headers={"origin": origin}, timeout=WAITS_S) as http,
    ):
        form = {"name": "ada", "officer": "on", "auditor": "on", "reviewer": "on", "operator": "on"}
        assert http.get("/openapi.json").status_code == 401
        assert http.post("/sign-in", data=form).status_code == 303
        http.headers["x-csrf-token"] = http.get("/v1/session").json()["csrf"]
        yield http


def test_every_json_route_is_told_and_those_of_the_table_of_duties_are_there(listener: httpx.Client) -> None:
    document: Any = listener.get("/openapi.json").json()
    told = {
        f"{method.upper()} {path.replace('kill_switch_id', 'id').replace('approval_id', 'id').replace('call_id', 'id')}"
        for path, operations in document["paths"].items()
        for method in operations
    }
    assert told == {
        *(route for routes in ROUTES.values() for route in routes if "/v1/" in route),
        *("GET /v1/session", "GET /v1/audit/question-words"),
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert 8 <= len(operation["summary"]) < 90, path
            assert {"200", "400", "401", "403", "409", "503"} <= set(operation["responses"]), path
            assert ("csrf" in operation["security"][0]) is (method != "get"), path


def test_a_form_leads_back_to_the_page(listener: httpx.Client) -> None:
    form = {"csrf": listener.headers["x-csrf-token"], "scope": "agent", "subject": "rogue", "reason": "r"}
    answered = listener.post("/kill-switches", data=form)
    assert (answered.status_code, answered.headers["location"], answered.content) == (303, "/", b"")


def test_the_page_says_what_waits_in_plain_words(listener: httpx.Client) -> None:
    subject = {
        "customer": "<b>eve</b>",
        "legal_minimum": [],
        "kinds": ["<i>", "outcome"],
        "reveal": True,
        "purpose": "p",
        "case": "c",
    }
    asking = {"duty": "trail.export", "subject": subject, "reason": "a complaint"}
    unknown = listener.post("/v1/approvals", json=asking)
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (404, "subject"), "of whom nothing is on record"
    met = {"scope": "customer", "subject": "<b>eve</b>", "reason": "she called"}
    assert listener.post("/v1/kill-switches", json=met).status_code == 200
    before = listener.get("/").text.count("<bdi>&lt;b&gt;eve&lt;/b&gt;</bdi>")
    asked = listener.post("/v1/approvals", json=asking)
    assert asked.status_code == 200, asked.text
    shown = listener.get("/").text
    assert "<dt>kept by law</dt><dd>none</dd>" in shown
    assert "<dt>kinds</dt><dd><bdi>&lt;i&gt;</bdi>, <bdi>outcome</bdi></dd>" in shown
    assert "<dt>opens what is sealed</dt><dd>yes</dd>" in shown
    assert shown.count("<bdi>&lt;b&gt;eve&lt;/b&gt;</bdi>") == before + 1


def test_its_routes_hold_what_the_document_says(listener: httpx.Client) -> None:
    schema = schemathesis.openapi.from_dict(listener.get("/openapi.json").json())
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(operations) == 15
    headers = {"origin": str(listener.base_url).rstrip("/"), "x-csrf-token": listener.headers["x-csrf-token"]}
    seen: Counter[int] = Counter()
    for operation in operations:
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):

            @bounded(long_or(8, 3, 12))
            def fuzz(case: schemathesis.Case[Any]) -> None:
                answered = case.call_and_validate(
                    base_url=str(listener.base_url).rstrip("/"), headers=headers, cookies=dict(listener.cookies), checks=CHECKS
                )
                seen[answered.status_code] += 1

            strategy: st.SearchStrategy[schemathesis.Case[Any]] = operation.as_strategy(generation_mode=mode)
            given(case=strategy)(fuzz)()
    assert seen[401] == seen[429] == 0, "each was asked as who is signed in"
    assert seen[200] >= 5, seen
    assert seen[400] >= 5, seen
    assert listener.get("/v1/session").json()["subject"] == "ada"
