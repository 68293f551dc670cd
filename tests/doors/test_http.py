"""What HTTP itself promises: no redirects, nothing kept on the way, and no parameter that a layer reads twice in two ways."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.principal import (
    SCOPE_ASSISTANTS,
    SCOPE_CONFIRM,
    SCOPE_ENROL,
    SCOPE_KILL,
    SCOPE_MANDATES,
    SCOPE_THREADS,
    SCOPE_WORDS,
)
from gateway.doors.examples import EXAMPLES
from tests.doors.conftest import OBJECT, Served

METHODS = ("GET", "POST", "PUT", "DELETE")


def paths(served: Served) -> list[str]:
    return sorted(httpx.get(f"{served.url}/openapi.json").json()["paths"])


@pytest.mark.parametrize("method", METHODS)
def test_no_path_redirects_before_anybody_is_known(served: Served, method: str) -> None:
    """A slash more was once answered with a 307 to the Host of the request, over HTTP."""
    for path in paths(served):
        for variant in (f"{path}/", f"{path}//", path.replace("/v1/", "/v1//", 1)):
            answer = served.http.request(method, variant, headers={"host": "evil.example"}, follow_redirects=False)
            assert not 300 <= answer.status_code < 400, (method, variant)
            assert "location" not in answer.headers
            assert "evil.example" not in answer.text


def test_nothing_that_is_json_is_kept_on_the_way(served: Served) -> None:
    token = served.token()
    asked = [served.http.get(path.replace("{", "").replace("}", "")) for path in paths(served)]
    known = [
        served.get(path, token=token)
        for path in ("/v1/functions?shape=chat", "/v1/calls/call_0", "/v1/activity", "/livez", "/nope")
    ]
    answered = [served.post("/v1/conversations", {}), served.post("/v1/function-calls", {}), *asked, *known]
    assert {answer.status_code for answer in answered} >= {200, 400, 401, 404}
    for answer in answered:
        if answer.headers["content-type"].startswith("application/json"):
            assert answer.headers["cache-control"] == "no-store", answer.url


@pytest.fixture(scope="module")
def denied_call(served: Served) -> str:
    return str(served.call("get_account_balance", {"account": "acc-99"})["call_id"])


@pytest.mark.parametrize(
    ("wait_s", "status"),
    [
        ("0", 200),
        ("1", 200),
        ("30", 200),
        ("1.0", 200),
        ("-1", 400),
        ("31", 400),
        ("1.5", 400),
        ("x", 400),
        ("", 400),
        ("1e3", 400),
    ],
)
def test_how_long_to_wait(served: Served, denied_call: str, wait_s: str, status: int) -> None:
    answer = served.get(f"/v1/calls/{denied_call}?wait_s={wait_s}")
    assert answer.status_code == status, answer.text
    if status == 400:
        assert answer.json()["error"]["param"] == "wait_s"


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(["wait_s", "shape", "limit", "order", "after", "before", "cursor"]), value=st.text(max_size=12))
def test_no_parameter_of_a_query_breaks_anything(served: Served, name: str, value: str) -> None:
    token = served.token(scope="function_calls threads assistants confirm", agent=None)
    for path in (
        "/v1/calls/call_0",
        "/v1/functions",
        "/v1/assistants",
        "/v1/activity",
        "/v1/looks",
        "/v1/threads/thread_0/messages",
    ):
        url = httpx.URL(served.url + path, params={name: value})
        answer = served.http.get(url, headers={"authorization": f"Bearer {token}"})
        assert answer.status_code < 500, (url, answer.text)


def with_nul(value: Any) -> Iterator[Any]:
    """The same JSON with one NUL in it, at the end of each of its strings and names in turn."""
    if isinstance(value, dict):
        for name, member in value.items():
            rest = {other: item for other, item in value.items() if other != name}
            yield {**rest, f"{name}\0": member}
            yield from ({**value, name: changed} for changed in with_nul(member))
    elif isinstance(value, list):
        for at, member in enumerate(value):
            yield from ([*value[:at], changed, *value[at + 1 :]] for changed in with_nul(member))
    elif isinstance(value, str):
        yield f"{value}\0"


def test_a_nul_is_refused_wherever_it_stands(served: Served) -> None:
    """PostgreSQL takes none: it was once a 500 there, and later a 503 that clients repeated."""
    tokens = [
        served.token(),
        served.token(agent=None, scope=" ".join((SCOPE_WORDS, SCOPE_THREADS, SCOPE_CONFIRM))),
        served.token("dev-app", agent=None, scope=SCOPE_ASSISTANTS),
        served.token("identity", agent=None, client="identity", scope=SCOPE_ENROL),
        served.token("officer-1", agent=None, client="officer-1", scope=SCOPE_KILL),
        served.token("bank-system", agent=None, client="bank-system", scope=SCOPE_MANDATES),
    ]
    document, count = served.http.get("/openapi.json").json(), 0
    for path, operations in document["paths"].items():
        filled = re.sub(r"\{(\w+)\}", lambda named: OBJECT[named[1]], path)
        for method, operation in operations.items():
            if path.startswith("/v1/"):
                asked = re.sub(r"\{\w+\}", "a%00b", path) + "?after=%00&cursor=%00"
                assert served.http.request(method, asked, headers={"authorization": f"Bearer {tokens[0]}"}).status_code == 400, path
            if "multipart/form-data" in operation.get("requestBody", {}).get("content", {}):
                continue  # forms: tests/attacks/test_files.py
            for body in with_nul(EXAMPLES[operation["operationId"]].request):
                answers = [
                    served.http.request(method, filled, headers={"authorization": f"Bearer {token}"}, json=body) for token in tokens
                ]
                taken = [answer for answer in answers if answer.status_code not in (401, 403)]
                assert taken, (method, path)
                for answer in taken:
                    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_json"), (
                        method,
                        path,
                        answer.text,
                    )
                count += 1
    assert count > 100
