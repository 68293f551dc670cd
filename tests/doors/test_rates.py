"""One customer never slows another: every route has a rate, of the customer and of the client, and what stays open is bounded."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from unittest.mock import AsyncMock

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from gateway.app.clock import utc_now
from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.development.settings import development
from gateway.app.gateway import Gateway
from gateway.app.serving import build_app, in_front
from gateway.calls import hearing
from gateway.calls.rates import AT_ONCE, PROTECTING, WAITS_MOST_S, AtOnce, Quotas, RequestRates
from gateway.domain.errors import RequestFault
from gateway.domain.principal import SCOPES
from tests.support.banks import NOON
from tests.support.databases import url
from tests.support.opening import open_gateway

FEW = 3
BARE = {"/livez", "/readyz", "/version"}
"""They need no token and ask for nothing of a customer."""

IDS = {"conversation_id": "conv_" + "0" * 24, "call_id": "call_" + "0" * 28, "mandate_id": "std_" + "0" * 32}
IDS |= {"kill_switch_id": "kill_" + "0" * 32}
"""Such as are none, in the form that the document asks for; another form is refused before anybody is known, and costs as little."""


@dataclass
class Bounded:
    gateway: Gateway
    app: FastAPI
    http: httpx.AsyncClient
    data: Path

    def token(self, customer: str, client: str) -> dict[str, str]:
        issuer = LocalIssuer(self.data)
        token = issuer.token(customer, agent=None, strong=True, scope=" ".join(SCOPES), client=client)
        return {"authorization": f"Bearer {token}"}


@pytest.fixture
async def bounded(tmp_path: Path) -> AsyncIterator[Bounded]:
    settings = replace(
        development(tmp_path / "data", database=url(tmp_path / "data")),
        requests_per_minute=FEW,
        client_requests_per_minute=10 * FEW,
        waits_per_customer=1,
        runs_per_customer=1,
    )
    gateway = await open_gateway(settings)
    app = build_app(gateway)
    transport = httpx.ASGITransport(app=in_front(app, gateway))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        yield Bounded(gateway, app, http, tmp_path / "data")
    await gateway.close()


def operations(app: FastAPI) -> list[tuple[str, str]]:
    return [(method, path) for path, item in app.openapi()["paths"].items() if path not in BARE for method in item]


async def test_every_route_of_the_document_has_a_rate(bounded: Bounded) -> None:
    """A route that is added without one is found here: it would go on answering."""
    routes = operations(bounded.app)
    assert len(routes) > 35
    generous = set()
    for number, (method, path) in enumerate(routes):
        who = bounded.token(f"customer-{number}", f"client-{number}")
        where = re.sub(r"\{(\w+)\}", lambda found: IDS.get(found[1], "x" * 24), path)
        asked = 0
        while asked <= FEW * PROTECTING:
            content = b"{}" if method == "post" else None
            answered = await bounded.http.request(method, where, headers=who, content=content, params={"shape": "chat"})
            if answered.status_code == 429:
                break
            asked += 1
        assert answered.status_code == 429, (method, path)
        assert answered.json()["error"]["code"] == "rate_limit_exceeded"
        assert int(answered.headers["retry-after"]) >= 1
        assert "429" in bounded.app.openapi()["paths"][path][method]["responses"], "and the document says so"
        assert asked in (FEW, FEW * PROTECTING), (method, path, asked)
        if asked > FEW:
            generous.add((method, path))
    assert generous == {
        ("post", "/v1/function-calls"),
        ("post", "/v1/confirmations/{confirmation_id}"),
        ("delete", "/v1/passkeys/{credential}"),
        ("delete", "/v1/mandates/{mandate_id}"),
        ("delete", "/v1/customers/{customer}/mandate"),
        ("get", "/v1/kill-switches"),
        ("post", "/v1/kill-switches"),
    }


async def test_a_customer_beyond_their_rate_holds_up_nobody_and_fills_no_trail(bounded: Bounded) -> None:
    alice, bruno = bounded.token("alice", "app"), bounded.token("bruno", "app")
    for _ in range(FEW):
        assert (await bounded.http.post("/v1/conversations", json={}, headers=alice)).status_code == 200
    before = bounded.gateway.log.size()
    for _ in range(5):
        assert (await bounded.http.post("/v1/conversations", json={}, headers=alice)).status_code == 429
    assert bounded.gateway.log.size() == before
    assert bounded.gateway.door.records.counters.rate_limited == 5
    assert (await bounded.http.post("/v1/conversations", json={}, headers=bruno)).status_code == 200


async def test_a_client_has_a_rate_over_all_of_its_customers(bounded: Bounded) -> None:
    answers = []
    for number in range(10 * FEW + 1):
        who = bounded.token(f"customer-{number}", "one client")
        answers.append((await bounded.http.get("/v1/functions?shape=chat", headers=who)).status_code)
    assert answers == [200] * 10 * FEW + [429]
    other = bounded.token("customer-0", "another client")
    assert (await bounded.http.get("/v1/functions?shape=chat", headers=other)).status_code == 200


async def test_streams_and_runs_of_one_customer_are_bounded(bounded: Bounded, monkeypatch: pytest.MonkeyPatch) -> None:
    making, alice = bounded.token("app", "app"), bounded.token("alice", "app")
    bruno = bounded.token("bruno", "app")
    made = await bounded.http.post("/v1/assistants", json={"model": "any"}, headers=making)
    body = {"assistant_id": made.json()["id"]}
    with bounded.gateway.door.waits.one("alice") as has_room:  # as if a stream of theirs were open
        assert has_room
        refused = await bounded.http.post("/v1/threads/runs", json={**body, "stream": True}, headers=alice)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert bounded.gateway.running.api.pool is not None
    monkeypatch.setattr(type(bounded.gateway.running.api.pool), "take_up", lambda *_: None)  # nothing drives it: it stays under way
    assert (await bounded.http.post("/v1/threads/runs", json=body, headers=alice)).status_code == 200
    refused = await bounded.http.post("/v1/threads/runs", json=body, headers=alice)
    assert (refused.status_code, "under way" in refused.json()["error"]["message"]) == (429, True)
    assert (await bounded.http.post("/v1/threads/runs", json=body, headers=bruno)).status_code == 200


async def test_whoever_says_much_stands_behind_everybody_else_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    reading = hearing._reading

    async def noted(customer: str, text: str) -> str:
        order.append(text)
        return await reading(customer, text)

    monkeypatch.setattr(hearing, "_reading", noted)
    many = [hearing.heard("alice", [(f"alice {number}", "typed")]) for number in range(20)]
    await asyncio.gather(*many, hearing.heard("bruno", [("bruno", "typed")]))
    assert order.index("bruno") <= 1, order


def test_what_is_open_at_once_is_given_back() -> None:
    waits = AtOnce(2)
    with waits.one("a") as first, waits.one("a") as second, waits.one("a") as third, waits.one("b") as other:
        assert (first, second, third, other) == (True, True, False, True)
    with waits.one("a") as again:
        assert again


def test_a_refusal_says_when_to_come_again_and_what_protects_has_buckets_of_its_own() -> None:
    rates = RequestRates(6, 1_000)

    def after_s(customer: str, *, protects: bool) -> int:
        return rates.admit(customer, "client", NOON, protects=protects).retry_after_s

    assert [after_s("a", protects=False) for _ in range(7)] == [0] * 6 + [10]
    assert [after_s("a", protects=True) for _ in range(61)] == [0] * 60 + [1]
    assert after_s("b", protects=False) == 0


@given(
    st.integers(1, 5_000),
    st.lists(st.tuples(st.floats(0, 20, allow_nan=False), st.integers(1, 400)), min_size=1, max_size=8),
)
def test_requests_of_one_customer_are_handled_at_their_rate_whenever_they_come(
    per_minute: int, bursts: list[tuple[float, int]]
) -> None:
    """In any stretch of time no more than what may be asked at once and what runs in meanwhile; what protects never waits."""
    rates, at, handled = RequestRates(per_minute, 10**9), 0.0, []
    at_once = min(per_minute, max(AT_ONCE, per_minute // 10))
    for pause_s, count in bursts:
        at += pause_s
        for _ in range(count):
            admission = rates.admit("a", "client", NOON + timedelta(seconds=at), protects=False)
            assert 0 <= admission.wait_s <= WAITS_MOST_S
            assert admission.left == 0 or not admission.wait_s
            if not admission.retry_after_s:
                handled.append(at + admission.wait_s)
            protection = rates.admit("b", "client", NOON + timedelta(seconds=at), protects=True)
            assert not protection.wait_s
    assert handled == sorted(handled), "in the order in which they came"
    for first in range(0, len(handled), 7):
        for last in range(first, len(handled), 11):
            most = at_once + (handled[last] - handled[first]) * per_minute / 60 + 1
            assert last - first + 1 <= most + 0.01
    assert rates.admit("c", "client", NOON + timedelta(seconds=at), protects=False).wait_s == 0, (
        "another customer waits for nothing"
    )


async def test_an_answer_says_what_the_rates_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of a hundred requests beyond what is asked at once wait for their turn; beyond what may wait a refusal is as late."""
    settings = replace(development(tmp_path / "data", database=url(tmp_path / "data")), requests_per_minute=600)
    gateway = await open_gateway(settings)
    now = utc_now()
    monkeypatch.setattr("gateway.doors.faults.asyncio.sleep", waited := AsyncMock())
    transport = httpx.ASGITransport(
        app=in_front(build_app(replace(gateway, door=replace(gateway.door, clock=lambda: now))), gateway)
    )
    token = LocalIssuer(tmp_path / "data").token("alice", agent=None, strong=True, scope="function_calls")
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:

        async def ask() -> httpx.Response:
            return await http.get("/v1/functions?shape=chat", headers={"authorization": f"Bearer {token}"})

        first = await ask()
        assert first.headers["ratelimit-policy"] == '"customer";q=600;w=60'
        assert first.headers["ratelimit"] == f'"customer";r={AT_ONCE - 1};t=1'
        for _ in range(AT_ONCE - 1):
            last = await ask()
        assert last.headers["ratelimit"] == '"customer";r=0;t=6'
        assert not waited.await_count
        assert [(await ask()).status_code for _ in range(2)] == [200] * 2
        assert [round(call.args[0], 3) for call in waited.await_args_list] == [0.1, 0.2]
        for _ in range(10 * WAITS_MOST_S - 2):
            await ask()
        refused = await ask()
        assert refused.status_code == 429
        assert refused.headers["ratelimit"] == '"customer";r=0;t=11'
        assert waited.await_args_list[-1].args == (float(WAITS_MOST_S),)
    await gateway.close()


async def test_what_a_customer_may_write_in_a_day_is_bounded_in_requests_and_in_bytes(tmp_path: Path) -> None:
    """Reads, calls and what protects go on; another customer's writes do too."""
    settings = replace(development(tmp_path / "data", database=url(tmp_path / "data")), writes_per_day=4)
    gateway = await open_gateway(settings)
    transport = httpx.ASGITransport(app=in_front(build_app(gateway), gateway))
    scope = " ".join(item for item in SCOPES if item not in ("enrol_passkeys", "kill_switch", "mandates"))

    def own(customer: str) -> dict[str, str]:
        token = LocalIssuer(tmp_path / "data").token(customer, agent=None, strong=True, scope=scope)
        return {"authorization": f"Bearer {token}"}

    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        opened = [await http.post("/v1/conversations", json={}, headers=own("alice")) for _ in range(5)]
        assert [answer.status_code for answer in opened] == [200] * 4 + [429]
        assert opened[-1].json()["error"]["code"] == "rate_limit_exceeded"
        assert int(opened[-1].headers["retry-after"]) == 86_400 // 4
        conversation = opened[0].json()["id"]
        item = {"type": "function_call", "call_id": "c1", "name": "list_accounts", "arguments": "{}"}
        body = {"shape": "responses", "conversation_id": conversation, "turn_id": "t", "calls": [item]}
        assert (await http.post("/v1/function-calls", json=body, headers=own("alice"))).status_code == 200
        assert (await http.get("/v1/activity", headers=own("alice"))).status_code == 200
        assert (await http.post("/v1/conversations", json={}, headers=own("bruno"))).status_code == 200
    await gateway.close()


def test_bytes_of_a_day_run_in_again_and_a_refusal_says_when() -> None:
    quotas = Quotas(1_000, 86_400)
    quotas.spend("a", NOON, 86_400)
    with pytest.raises(RequestFault) as refused:
        quotas.spend("a", NOON, 600)
    assert refused.value.retry_after_s == 600
    quotas.spend("b", NOON, 600)
    quotas.spend("a", NOON + timedelta(seconds=600), 600)
