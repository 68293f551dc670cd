"""Health and version over HTTP: without a token, each dependency by its name, nothing about where it is."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.core import CoreUnavailable
from gateway.app.bundle import read_bundle
from gateway.app.development.local_issuer import LocalIssuer
from gateway.app.serving import build_app
from gateway.domain.principal import SCOPE_KILL
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


class Gone:
    """A database that is away."""

    async def read(self, _question: Any) -> Any:
        raise OSError("s3cr3t address")


class Down:
    """A core that is away."""

    async def product(self, _product: str) -> Any:
        raise CoreUnavailable("s3cr3t")


@pytest.mark.parametrize("name", ["store", "log"])
async def test_without_what_every_function_needs_it_is_live_and_not_ready(tmp_path: Path, name: str) -> None:
    async with teller(tmp_path / "data") as asked:
        gateway: Any = asked.gateway
        part = {"store": gateway.book, "log": gateway.log}[name]
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


@pytest.mark.parametrize("name", ["core", "keys"])
async def test_what_all_processes_share_takes_none_of_them_out_and_a_kill_switch_is_engaged_without_it(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with teller(tmp_path / "data") as asked:
        gateway: Any = asked.gateway
        if name == "core":
            monkeypatch.setattr(gateway, "core", Down())
        else:
            monkeypatch.setattr(gateway.log.keys, "_database", Gone())
        _, ready = await statuses(gateway)
        assert (ready.status_code, ready.json()["status"], ready.json()["checks"][name]) == (200, "ready", "unavailable")
        assert "s3cr3t" not in ready.text
        token = LocalIssuer(gateway.settings.data).token("bank", agent=None, scope=SCOPE_KILL, client="bank")
        async with client_of(gateway) as client:
            switch = {"scope": "agent", "subject": "a-rogue", "reason": "a test"}
            engaged = await client.post("/v1/kill-switches", json=switch, headers={"authorization": f"Bearer {token}"})
        assert (engaged.status_code, engaged.json()["state"], engaged.json()["recorded"]) == (200, "engaged", True)
        monkeypatch.undo()


def client_of(gateway: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(build_app(gateway)), base_url="http://127.0.0.1")


async def statuses(gateway: Any) -> tuple[httpx.Response, httpx.Response]:
    async with client_of(gateway) as client:
        return await client.get("/livez"), await client.get("/readyz")
