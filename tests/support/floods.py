"""Floods of requests by one customer, and another customer who asks for a balance meanwhile."""

import contextlib
import json
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx

from gateway.domain.principal import SCOPE_CONFIRM, SCOPE_THREADS, SCOPE_WORDS
from tests.support.fronts import Fronted

CONNECTIONS = 4


def request(method: str, path: str, token: str, body: Any = None) -> str:
    content = "" if body is None else json.dumps(body)
    head = f"{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(content.encode())}\r\n\r\n{content}"


def floods(front: Fronted) -> dict[str, list[str]]:
    """What one customer asks again and again, by kind; of each kind another customer."""

    def agent(kind: str) -> str:
        return front.token(f"flood-{kind}")

    def own(kind: str) -> str:
        return front.token(f"flood-{kind}", agent=None, scope=f"{SCOPE_WORDS} {SCOPE_CONFIRM} {SCOPE_THREADS}")

    def conversation(kind: str) -> str:
        with front.client("127.0.0.2") as client:
            return str(client.post("/v1/conversations", json={}, headers={"authorization": f"Bearer {agent(kind)}"}).json()["id"])

    words = {"messages": [{"text": f"Pay Anna £{number} on Friday, and tell her why. " * 20} for number in range(8)]}
    call = {"type": "function_call", "call_id": "c", "name": "list_accounts", "arguments": "{}"}
    calls = {"shape": "responses", "conversation_id": conversation("calls"), "turn_id": "t", "calls": [call] * 8}
    return {
        "words": [request("POST", f"/v1/conversations/{conversation('words')}/messages", own("words"), words)],
        "looks": [request("GET", "/v1/activity", own("looks")), request("GET", "/v1/activity/looks", own("looks"))],
        "conversations": [request("POST", "/v1/conversations", agent("conversations"), {})],
        "threads": [request("POST", "/v1/threads", own("threads"), {"messages": [{"role": "user", "content": "x" * 2000}] * 8})],
        "calls": [request("POST", "/v1/function-calls", agent("calls"), calls)],
    }


class Honest:
    """Another customer, who asks for a balance now and then."""

    def __init__(self, front: Fronted, client: httpx.Client, customer: str = "alice") -> None:
        self._client, self._headers = client, {"authorization": f"Bearer {front.token(customer)}"}
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
def flooding(front: Fronted, requests: list[str], seconds: float) -> Iterator[dict[str, int]]:
    """One customer asks while the block runs; filled at its end with how often each status was answered."""
    statuses: dict[str, int] = {}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.flooder"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(
            json.dumps({"port": front.port, "connections": CONNECTIONS, "seconds": seconds, "requests": requests}) + "\n"
        )
        process.stdin.flush()
        assert process.stdout.readline() == "go\n"
        yield statuses
        statuses.update(json.loads(process.stdout.readline()))
