"""The operations listener: it answers while the API is flooded, and neither has a route of the other."""

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.certificates import Authority
from tests.support.fronts import Fronted, fronted
from tests.support.waiting import WAITS_S

CONNECTIONS = 40


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Fronted, str]]:
    port = free_port()
    with fronted(
        tmp_path_factory.mktemp("operated"), operations_port=port, metrics=True, connections=CONNECTIONS, head_s=60
    ) as running:
        yield running, f"http://127.0.0.1:{port}"


def test_the_operations_listener_answers_while_every_connection_of_the_api_is_taken(operated: tuple[Fronted, str]) -> None:
    front, operations = operated
    with contextlib.ExitStack() as flood:
        for _ in range(CONNECTIONS):
            flood.enter_context(front.connect()).sendall(b"GET /livez HTTP/1.1\r\n")
        time.sleep(0.1)
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{front.url}/livez", timeout=WAITS_S)
        begun = time.monotonic()
        assert httpx.get(f"{operations}/none", timeout=WAITS_S).status_code == 404
        assert time.monotonic() - begun < 1


def test_metrics_are_on_the_operations_listener_alone(operated: tuple[Fronted, str]) -> None:
    front, operations = operated
    answered = httpx.get(f"{operations}/metrics", timeout=WAITS_S)
    assert (answered.status_code, answered.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert 'tellergate_worker_up{worker="0"} 1.0\n' in answered.text
    assert "\ntellergate_log_size{" in answered.text
    assert httpx.get(f"{front.url}/metrics", timeout=WAITS_S).status_code == 404


@pytest.mark.parametrize("path", ["/v1/functions?shape=chat", "/v1/calls/call_0", "/docs", "/console/playground"])
def test_no_route_of_customers_is_on_the_operations_listener(operated: tuple[Fronted, str], path: str) -> None:
    front, operations = operated
    headers = {"authorization": f"Bearer {front.token()}"}
    assert httpx.get(f"{front.url}{path}", headers=headers, timeout=WAITS_S).status_code in (200, 400, 404)
    answered = httpx.get(f"{operations}{path}", headers=headers, timeout=WAITS_S)
    assert (answered.status_code, answered.json()["error"]["code"]) == (404, "not_found")
    assert "default-src 'none'" in answered.headers["content-security-policy"]
    assert answered.headers["cache-control"] == "no-store"


def test_with_authorities_for_clients_nobody_without_a_certificate_of_theirs_gets_as_far_as_http(tmp_path: Path) -> None:
    authority, port = Authority(tmp_path), free_port()
    server, officer = authority.issue("server"), authority.issue("officer")
    (tmp_path / "strangers").mkdir()
    strangers = Authority(tmp_path / "strangers")
    tls = {
        "operations_port": port,
        "operations_tls_certificate": str(server.certificate),
        "operations_tls_key": str(server.key),
        "operations_client_ca": str(authority.file),
    }
    with fronted(tmp_path, **tls) as front:
        assert httpx.get(f"{front.url}/livez", timeout=WAITS_S).status_code == 200
        for shown in (None, strangers.issue("officer"), officer):
            context = ssl.create_default_context(cafile=authority.file)
            if shown is not None:
                context.load_cert_chain(shown.certificate, shown.key)
            with httpx.Client(verify=context, timeout=WAITS_S) as client:
                if shown is officer:
                    answered = client.get(f"https://127.0.0.1:{port}/none")
                    assert (answered.status_code, answered.headers["strict-transport-security"]) == (404, "max-age=31536000")
                else:
                    with pytest.raises(httpx.TransportError):
                        client.get(f"https://127.0.0.1:{port}/none")
