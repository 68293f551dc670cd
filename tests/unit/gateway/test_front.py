"""What the server adds by itself, and what the front counts: in this process."""

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.metrics import NoOpMeterProvider

from gateway.app.front import Front
from gateway.app.listening import bound
from gateway.app.settings import Settings
from gateway.app.tls import server_config
from gateway.doors.pages.shell import html
from tests.support.certificates import Authority

NOWHERE = Settings(data=Path("data"), development=False, port=0)
COUNTER = NoOpMeterProvider().get_meter("tests").create_counter("refused")


def front(**changes: Any) -> Front:
    return Front(replace(NOWHERE, **changes), COUNTER)


@pytest.mark.parametrize(
    ("changes", "told"),
    [({}, "max-age=31536000"), ({"hsts_s": 60}, "max-age=60"), ({"hsts_s": 0}, None), ({"development": True}, None)],
)
async def test_over_its_own_tls_browsers_are_told_to_stay_with_it(
    changes: dict[str, Any], told: str | None, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue("server")
    settings = replace(NOWHERE, tls_certificate=issued.certificate, tls_key=issued.key, **changes)
    assert await header(settings, "https", str(authority.file)) == told


async def test_without_its_own_tls_nothing_is_said_of_it() -> None:
    assert await header(NOWHERE, "http", None) is None


async def header(settings: Settings, scheme: str, trusted: str | None) -> str | None:
    """What an application without routes answers with, served on a free port."""
    with bound(settings) as listening:
        listening.listen()
        config = server_config(FastAPI(), settings, Front(settings, COUNTER))
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server._serve([listening]))
        try:
            async with httpx.AsyncClient(verify=True if trusted is None else ssl.create_default_context(cafile=trusted)) as client:
                answered = await client.get(f"{scheme}://127.0.0.1:{listening.getsockname()[1]}/none")
        finally:
            server.should_exit = True
            await serving
    assert answered.status_code == 404
    found: str | None = answered.headers.get("strict-transport-security")
    return found


ADDRESSES = [
    "10.0.0.1",
    "10.0.0.2",
    "::ffff:10.0.0.1",
    "2001:db8::1",
    "2001:db8::2",
    "2001:db8:0:1::1",
    "192.0.2.7",
    "198.51.100.9",
]
"""Three of one IPv4 host or its neighbour, three of two IPv6 networks, the back end, a proxy."""


def whose(address: str) -> str:
    if address.startswith("::ffff:"):
        return address[7:]
    return address.rsplit("::", 1)[0] if ":" in address else address


@given(steps=st.lists(st.tuples(st.sampled_from(ADDRESSES), st.booleans()), max_size=80))
def test_what_is_open_is_never_more_than_its_bounds_and_what_ended_makes_room(steps: list[tuple[str, bool]]) -> None:
    async def run() -> None:
        limits = {"connections": 12, "connections_per_address": 4, "connections_reserved": 2}
        counted = front(backend_addresses=("192.0.2.0/24",), trusted_proxies=("198.51.100.9",), **limits)
        opened: list[str] = []
        for address, is_new in steps:
            if not is_new:
                if opened:
                    counted.left(opened.pop())
                continue
            is_backend, is_proxy = address == "192.0.2.7", address == "198.51.100.9"
            room = len(opened) < (14 if is_backend else 12)
            share = sum(whose(other) == whose(address) for other in opened) < 4
            assert counted.admits(address) == (room and (share or is_backend or is_proxy))
            if room and (share or is_backend or is_proxy):
                opened.append(address)

    asyncio.run(run())


def test_the_page_that_says_later_says_when() -> None:
    known = dict.fromkeys(("rp_id", "path", "credentials", "challenge"), "")
    assert html("later.html", known, status=503).headers["retry-after"] == "60"
    assert "retry-after" not in html("nothing.html", known, status=404).headers
