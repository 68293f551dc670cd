"""On the real server: every answer has a request id, and its line has the trail's pseudonym."""

import json
import time
from pathlib import Path

import httpx
import pytest

from gateway.app.development.local_issuer import LocalIssuer
from tests.support import databases
from tests.support.processes import started
from tests.support.waiting import WAITS_S

PATHS = ["/v1/function-calls", "/v1/conversations", "/v1/calls/call_" + "0" * 28, "/nowhere", "/openapi.json", "/"]


def test_every_answer_has_an_id_and_a_line(tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "log"
    command = ["serve", "--dev", "--data", str(data), "--port", "0", "--json", "--database", databases.url(data)]
    with started(*command, log=log) as (_, said), httpx.Client(base_url=said["url"]) as http:
        issuer = LocalIssuer(data)
        headers = {"authorization": f"Bearer {issuer.token('alice', agent='assistant')}"}
        for number, path in enumerate(PATHS):
            for method in ("GET", "POST"):
                answered = http.request(method, path, headers={**headers, "x-request-id": f"mine-{number}-{method}"})
                assert answered.headers["x-request-id"] == f"mine-{number}-{method}", path
        assert http.get("/v1/functions").headers["x-request-id"].startswith("req_"), "without a token, too"
        lines = wait_for_lines(log, 13)
    by_id = {line["request_id"]: line for line in lines}
    called = by_id["mine-0-POST"]
    assert (called["route"], called["status"], called["method"]) == ("/v1/function-calls", 400, "POST")
    assert by_id["mine-2-GET"]["route"] == "/v1/calls/{call_id}"
    assert [by_id[f"mine-{number}-GET"]["route"] for number in (3, 4, 5)] == ["unmatched", "/openapi.json", "/"]
    assert len(str(called["customer"])) >= 16
    assert called["customer"] == by_id["mine-2-GET"]["customer"]
    assert "alice" not in log.read_text()


def wait_for_lines(log: Path, count: int) -> list[dict[str, object]]:
    until = time.monotonic() + WAITS_S
    while time.monotonic() < until:
        lines = [json.loads(line) for line in log.read_text().splitlines() if '"request_id"' in line]
        if len(lines) >= count:
            return lines
        time.sleep(0.02)
    pytest.fail("the lines never came")
