"""Request ids and the access log: every answer, whatever becomes of it; closed fields, and nothing of what was sent."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route

from audit.log import LogUnavailable
from gateway.doors.access_log import Pseudonyms, entry_of, logged

FIELDS = ["time", "level", "method", "route", "status", "duration_ms", "request_id", "customer"]
SECRET = "s3cr3t"


async def _plain(request: Request) -> PlainTextResponse:
    entry_of(request.scope).customer = request.query_params.get("who")
    return PlainTextResponse("ok", status_code=int(request.query_params.get("status", "200")))


async def _stream(request: Request) -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        yield "one"
        await asyncio.sleep(0)
        yield "two"

    return StreamingResponse(pieces())


async def _broken(_request: Request) -> PlainTextResponse:
    raise RuntimeError(SECRET)


ROUTES = [
    Route("/things/{thing}", _plain, methods=["GET", "POST"]),
    Route("/streams/{id}", _stream),
    Route("/broken/{id}", _broken),
    Route("/livez", _plain),
]


async def asked(path: str, caplog: pytest.LogCaptureFixture, method: str = "GET", **rest: Any) -> tuple[httpx.Response, Any]:
    lookups = rest.pop("pseudonyms", None) or Pseudonyms(_subject)
    app = logged(Starlette(routes=ROUTES), lookups)
    with caplog.at_level(logging.DEBUG, logger="tellergate.access"):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            answered = await client.request(method, path, **rest)
    (record,) = [item for item in caplog.records if item.name == "tellergate.access"]
    assert SECRET not in record.getMessage()
    return answered, json.loads(record.getMessage())


async def _subject(customer: str) -> str | None:
    return f"subject-of-{customer}"


async def test_a_request_is_one_line_with_the_route_s_template(caplog: pytest.LogCaptureFixture) -> None:
    answered, line = await asked(f"/things/{SECRET}?who=alice&x={SECRET}", caplog, headers={"authorization": f"Bearer {SECRET}"})
    assert list(line) == FIELDS
    assert (line["method"], line["route"], line["status"], line["level"]) == ("GET", "/things/{thing}", 200, "info")
    assert line["customer"] == "subject-of-alice"
    assert line["duration_ms"] >= 0
    assert answered.headers["x-request-id"] == line["request_id"]
    assert re.fullmatch("req_[0-9a-f]{24}", line["request_id"])


GIVEN = {
    "abc-1.2_X": True,
    "a" * 64: True,
    "a" * 65: False,
    "": False,
    "a b": False,
    'a"b': False,
    "a\x01b": False,
}


@pytest.mark.parametrize("given", GIVEN)
async def test_a_request_id_is_taken_if_it_is_one_short_plain_word(caplog: pytest.LogCaptureFixture, given: str) -> None:
    answered, line = await asked("/things/1", caplog, headers={"x-request-id": given})
    assert (line["request_id"] == given) is GIVEN[given]
    assert answered.headers["x-request-id"] == line["request_id"]


async def test_two_request_ids_are_none(caplog: pytest.LogCaptureFixture) -> None:
    _, line = await asked("/things/1", caplog, headers=[("x-request-id", "a"), ("x-request-id", "b")])
    assert line["request_id"].startswith("req_")


async def test_what_has_no_route_and_what_is_no_method(caplog: pytest.LogCaptureFixture) -> None:
    answered, line = await asked(f"/{SECRET}", caplog, method="S3CR3T".replace("S3CR3T", "BREW"))
    assert (line["route"], line["method"], line["status"]) == ("unmatched", "OTHER", 404)
    assert "x-request-id" in answered.headers


async def test_what_breaks_is_a_warning_and_has_its_id(caplog: pytest.LogCaptureFixture) -> None:
    answered, line = await asked(f"/broken/{SECRET}", caplog)
    assert (line["status"], line["level"], line["route"]) == (500, "warning", "/broken/{id}")
    assert answered.headers["x-request-id"] == line["request_id"]


async def test_a_stream_is_logged_at_its_end(caplog: pytest.LogCaptureFixture) -> None:
    answered, line = await asked("/streams/1", caplog)
    assert (answered.text, line["status"], "complete" in line) == ("onetwo", 200, False)


async def test_a_client_that_hangs_up_is_logged_as_not_complete(caplog: pytest.LogCaptureFixture) -> None:
    async def endless(_request: Request) -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            while True:
                yield "more"
                await asyncio.sleep(0)

        return StreamingResponse(pieces())

    sent: list[Any] = []
    gone = asyncio.Event()

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == 3:
            gone.set()

    scope = {"type": "http", "method": "GET", "path": "/endless", "raw_path": b"/endless", "headers": [], "query_string": b""}
    app = logged(Starlette(routes=[Route("/endless", endless)]), Pseudonyms(_subject))
    with caplog.at_level(logging.INFO, logger="tellergate.access"):
        async with asyncio.timeout(10):
            await app({**scope, "root_path": "", "http_version": "1.1", "asgi": {"spec_version": "2.3"}}, receive, send)
    (record,) = [item for item in caplog.records if item.name == "tellergate.access"]
    line = json.loads(record.getMessage())
    assert (line["status"], line["complete"], line["route"]) == (200, False, "/endless")


async def test_levels(caplog: pytest.LogCaptureFixture) -> None:
    _, line = await asked("/livez", caplog)
    assert line["level"] == "debug"
    caplog.clear()
    _, line = await asked("/livez?status=503", caplog)
    assert line["level"] == "warning"


async def test_a_pseudonym_is_kept_for_a_minute_and_its_absence_for_a_second() -> None:
    looked: list[str] = []
    answers: list[str | None] = [None, "p1", "p2"]
    now = [0.0]

    async def lookup(customer: str) -> str | None:
        looked.append(customer)
        return answers[len(looked) - 1]

    pseudonyms = Pseudonyms(lookup, monotonic=lambda: now[0])
    saw = []
    for now[0] in (0.0, 0.9, 1.1, 60.0, 61.2):
        saw.append(await pseudonyms.of("alice"))
    assert saw == [None, None, "p1", "p1", "p2"]
    assert pseudonyms.known("alice") == "p2"
    now[0] += 61
    assert pseudonyms.known("alice") is None


async def test_a_trail_that_does_not_answer_holds_nothing_up(caplog: pytest.LogCaptureFixture) -> None:
    async def down(_customer: str) -> str | None:
        raise LogUnavailable("down")

    answered, line = await asked("/things/1?who=alice", caplog, pseudonyms=Pseudonyms(down))
    assert (answered.status_code, line["customer"]) == (200, None)
