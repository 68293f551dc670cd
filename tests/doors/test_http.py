"""What HTTP itself promises: no redirects, nothing kept on the way, and no parameter that a layer reads twice in two ways."""

import re

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.principal import SCOPES
from tests.doors.conftest import Served

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


def with_nul(value: object) -> object:
    """The same JSON, with a NUL in every string and every name of a free object."""
    if isinstance(value, dict):
        return {name: with_nul(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_nul(item) for item in value]
    return f"{value}\x00" if isinstance(value, str) else value


def test_a_nul_is_refused_wherever_it_stands(served: Served) -> None:
    """PostgreSQL takes none: it was once a 500 there."""
    document = httpx.get(f"{served.url}/openapi.json").json()
    tokens = [served.token(agent=None, scope=" ".join(SCOPES[:4])), *(served.token(agent=None, scope=scope) for scope in SCOPES)]
    seen = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            examples = (
                [content["example"]] if "example" in content else [item["value"] for item in content.get("examples", {}).values()]
            )
            for token in tokens:
                headers = {"authorization": f"Bearer {token}"}
                answers = [
                    served.http.request(method, re.sub(r"\{\w+\}", "a%00b", path) + "?after=%00&cursor=%00", headers=headers)
                ]
                filled = re.sub(r"\{(\w+?)(_id)?\}", r"\1_00000000000000000000000000000000", path)
                answers += [served.http.request(method, filled, headers=headers, json=with_nul(example)) for example in examples]
                for answer in answers:
                    seen += 1
                    assert answer.status_code < 500 or answer.status_code == 501, (method, path, answer.text)
                    if answer.status_code == 200 and method != "get":
                        assert "\\u0000" not in answer.text, (method, path)
    assert seen > 100
