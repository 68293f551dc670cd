"""Health and version over HTTP: without a token, each dependency by its name, nothing about where it is."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from adapters.core import CoreUnavailable
from gateway.app.bundle import read_bundle
from gateway.app.serving import build_app
from tests.doors.conftest import Served
from tests.support.teller import teller

CHECKS = {"store", "log", "keys", "core", "issuer_keys", "policies"}


def test_the_real_server_is_live_and_ready_and_says_its_version(served: Served) -> None:
    with httpx.Client(base_url=served.url) as bare:
        check(bare)


def check(bare: httpx.Client) -> None:
    assert bare.get("/livez").json() == {"status": "live"}
    ready = bare.get("/readyz")
    assert ready.status_code == 200
    policies = {"version": "1", "bundle": read_bundle().hash}
    checks = {**dict.fromkeys(CHECKS, "ok"), "model": "unavailable"}
    assert ready.json() == {"status": "ready", "checks": checks, "policies": policies}, "port 9"
    told = bare.get("/version").json()
    assert (told["name"], told["api"], set(told)) == ("tellergate", "v1", {"name", "version", "api"})
    for path in ("/livez", "/readyz", "/version"):
        answered = bare.get(path)
        assert answered.headers["cache-control"] == "no-store"
        assert "127.0.0.1" not in answered.text
        assert bare.post(path).status_code == 405


@pytest.mark.parametrize("name", ["store", "log", "keys"])
async def test_without_a_dependency_it_is_live_and_not_ready(tmp_path: Path, name: str) -> None:
    async with teller(tmp_path / "data") as asked:
        gateway: Any = asked.gateway
        part = {"store": gateway.book, "log": gateway.log, "keys": gateway.log.keys}[name]

        class Gone:
            async def read(self, _question: Any) -> Any:
                raise OSError("s3cr3t address")

        kept, part._database = part._database, Gone()
        try:
            live, ready = await statuses(gateway)
        finally:
            part._database = kept
        assert live.status_code == 200
        assert (ready.status_code, ready.headers["retry-after"]) == (503, "1")
        assert ready.json()["status"] == "not_ready"
        assert ready.json()["checks"][name] == "unavailable"
        assert "s3cr3t" not in ready.text


async def test_a_core_that_is_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with teller(tmp_path / "data") as asked:
        gateway: Any = asked.gateway

        async def down(*_: Any) -> None:
            raise CoreUnavailable("s3cr3t")

        monkeypatch.setattr(gateway, "core", SimpleNamespace(product=down))
        _, ready = await statuses(gateway)
        assert (ready.status_code, ready.json()["checks"]["core"]) == (503, "unavailable")


async def statuses(gateway: Any) -> tuple[httpx.Response, httpx.Response]:
    transport = httpx.ASGITransport(build_app(gateway))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        return await client.get("/livez"), await client.get("/readyz")
