"""One customer never slows another: floods of words, looks, conversations, threads and calls by one customer, and as many stalled runs and
open streams as they can have."""

import contextlib
import json
import secrets
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from gateway.domain.principal import SCOPE_ASSISTANTS, SCOPE_CALLS, SCOPE_CONFIRM, SCOPE_THREADS, SCOPE_WORDS
from tests.support.fronts import Fronted, fronted
from tests.support.options import long_or
from tests.support.waiting import WAITS_S

FLOOD_S = 3.0
CONNECTIONS = 4


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


def request(method: str, path: str, token: str, body: Any = None) -> str:
    content = "" if body is None else json.dumps(body)
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(content.encode())}\r\n\r\n{content}"


def floods(front: Fronted) -> dict[str, list[str]]:
    """What one customer asks again and again, by kind."""
    agent = front.token("bruno")
    own = front.token("bruno", agent=None, scope=f"{SCOPE_WORDS} {SCOPE_CONFIRM} {SCOPE_THREADS}")
    with front.client("127.0.0.2") as client:
        conversation = client.post("/v1/conversations", json={}, headers={"authorization": f"Bearer {agent}"}).json()["id"]
    words = {"messages": [{"text": f"Pay Anna £{number} on Friday, and tell her why. " * 20} for number in range(8)]}
    call = {"type": "function_call", "call_id": "c", "name": "list_accounts", "arguments": "{}"}
    calls = {"shape": "responses", "conversation_id": conversation, "turn_id": "t", "calls": [call] * 8}
    return {
        "words": [request("POST", f"/v1/conversations/{conversation}/messages", own, words)],
        "looks": [request("GET", "/v1/activity", own), request("GET", "/v1/activity/looks", own)],
        "conversations": [request("POST", "/v1/conversations", agent, {})],
        "threads": [request("POST", "/v1/threads", own, {"messages": [{"role": "user", "content": "x" * 2000}] * 8})],
        "calls": [request("POST", "/v1/function-calls", agent, calls)],
    }


class Honest:
    """Another customer, who asks for a balance now and then."""

    def __init__(self, front: Fronted, client: httpx.Client) -> None:
        self._client, self._headers = client, {"authorization": f"Bearer {front.token('alice')}"}
        self._conversation = client.post("/v1/conversations", json={}, headers=self._headers).json()["id"]

    def median_s(self, calls: int = 15) -> float:
        took = []
        for _ in range(calls):
            item = {"type": "function_call", "call_id": secrets.token_hex(8), "name": "list_accounts", "arguments": "{}"}
            body = {"shape": "responses", "conversation_id": self._conversation, "turn_id": secrets.token_hex(8), "calls": [item]}
            began = time.perf_counter()
            answered = self._client.post("/v1/function-calls", json=body, headers=self._headers)
            took.append(time.perf_counter() - began)
            assert answered.json()["results"][0]["status"] == "done", answered.text
            time.sleep(0.005)
        return statistics.median(took)


@contextlib.contextmanager
def flooding(front: Fronted, requests: list[str]) -> Iterator[dict[str, int]]:
    """One customer asks while the block runs; filled at its end with how often each status was answered."""
    statuses: dict[str, int] = {}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.flooder"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(
            json.dumps({"port": front.port, "connections": CONNECTIONS, "seconds": FLOOD_S, "requests": requests}) + "\n"
        )
        process.stdin.flush()
        assert process.stdout.readline() == "go\n"
        yield statuses
        statuses.update(json.loads(process.stdout.readline()))


@pytest.mark.long
@pytest.mark.parametrize("kind", long_or(["words", "looks", "conversations", "threads", "calls"], ["words", "calls"]))
def test_a_flood_of_one_customer_leaves_another_s_call_as_it_was(front: Fronted, kind: str) -> None:
    with front.client("127.0.0.2") as client:
        honest = Honest(front, client)
        honest.median_s()
        tried = []
        for _ in range(3):  # whoever else uses the machine does so in one of them
            quiet_s = min(honest.median_s() for _ in range(3))
            with flooding(front, floods(front)[kind]) as statuses:
                flooded_s = min(honest.median_s() for _ in range(3))
            assert statuses, "they were answered"
            tried.append((quiet_s, flooded_s))
            if flooded_s < max(2 * quiet_s, quiet_s + 0.005):
                return
        pytest.fail(f"{kind}: {tried}")


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
