"""One customer never slows another: floods of words, looks, conversations, threads and calls by one customer, and as many stalled runs and
open streams as they can have."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.app.development.settings import development
from gateway.calls.rates import AT_ONCE
from gateway.domain.principal import SCOPE_ASSISTANTS, SCOPE_CALLS, SCOPE_THREADS, SCOPE_WORDS
from tests.support.floods import CONNECTIONS, Honest, flooding, floods
from tests.support.fronts import Fronted, fronted
from tests.support.options import long_or
from tests.support.waiting import WAITS_S

FLOOD_S = 3.0


@pytest.fixture(scope="module")
def silent_model() -> Iterator[str]:
    """A model that takes every question and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


@pytest.fixture(scope="module")
def front(silent_model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronted]:
    """Bounds as they are, but for the honest customer's calls: a stretch of theirs is no minute."""
    settings: dict[str, object] = {"model_url": silent_model, "model_retries": 0, "model_idle_ms": 60_000}
    with fronted(tmp_path_factory.mktemp("one-customer"), **settings) as found:
        yield found


@pytest.mark.long
@pytest.mark.parametrize("kind", long_or(["words", "looks", "conversations", "threads", "calls"], ["words", "looks"]))
def test_a_flood_of_one_customer_is_handled_at_their_rate_and_another_s_calls_go_on(front: Fronted, kind: str) -> None:
    """What they take of the process is bounded by count, whatever the host: `tests.benchmarks.one_customer` tells the times."""
    with front.client("127.0.0.2") as client:
        honest = Honest(front, client)
        began_s = time.monotonic()
        with flooding(front, floods(front)[kind], FLOOD_S) as statuses:
            honest.median_s()  # each of them is done
        flooded_s = time.monotonic() - began_s
    answered = sum(statuses.values())
    assert statuses["200"] > 0
    if kind == "calls":  # apart from the rest, and ten times as many: beyond a minute's each is refused in its output
        assert answered == statuses["200"]
    else:
        per_s = development(front.data).requests_per_minute / 60
        assert answered <= 2 * AT_ONCE + flooded_s * per_s + CONNECTIONS
    if kind == "words":  # a text takes longer to read than they may ask
        assert answered < AT_ONCE


def test_stalled_runs_of_one_customer_keep_no_other_s_from_starting(front: Fronted) -> None:
    """They may have sixteen under way, however many they ask for: the process drives 256."""
    with front.client("127.0.0.3") as client:

        def post(path: str, token: str, body: Any) -> httpx.Response:
            return client.post(path, json=body, headers={"authorization": f"Bearer {token}"})

        service = front.token("dev-app", agent=None, client="dev-app", scope=SCOPE_ASSISTANTS)
        assistant = post("/v1/assistants", service, {"model": "silent"}).json()["id"]

        def run(customer: str) -> httpx.Response:
            token = front.token(customer, agent=None, client="dev-app", scope=f"{SCOPE_THREADS} {SCOPE_WORDS} {SCOPE_CALLS}")
            thread = {"messages": [{"role": "user", "content": "hello"}]}
            return post("/v1/threads/runs", token, {"assistant_id": assistant, "thread": thread})

        taken = [run("carla") for _ in range(256)]
        assert [answer.status_code for answer in taken].count(200) == 16
        assert {answer.status_code for answer in taken} == {200, 429}
        other = run("david").json()
        token = front.token("david", agent=None, client="dev-app", scope=SCOPE_THREADS)

        def state() -> str:
            path = f"/v1/threads/{other['thread_id']}/runs/{other['id']}"
            return str(client.get(path, headers={"authorization": f"Bearer {token}"}).json()["status"])

        until = time.monotonic() + WAITS_S
        while state() != "in_progress":
            assert time.monotonic() < until, "it did not start"
            time.sleep(0.05)
