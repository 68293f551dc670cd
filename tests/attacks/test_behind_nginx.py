"""Through a real nginx with the configuration of `deploy/`: what it hands on, what it strips, and what comes back as it comes."""

import base64
import contextlib
import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.app.development.local_issuer import LocalIssuer
from tests.support.assisted import OWN
from tests.support.certificates import Authority, Issued
from tests.support.fronts import fronted
from tests.support.nginx import free_port, nginx
from tests.support.oidc import Client, Oidc, provider
from tests.support.waiting import WAITS_S
from tests.support.window import Window, code, window

PATH = "/v1/functions?shape=mcp"


@pytest.fixture(scope="module")
def oidc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oidc]:
    with provider(tmp_path_factory.mktemp("oidc")) as running:
        yield running


def trusting(authority: Authority, shown: Issued | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority.file)
    if shown is not None:
        context.load_cert_chain(shown.certificate, shown.key)
    return context


def test_a_token_bound_to_a_certificate_is_taken_of_its_holder_alone(oidc: Oidc, tmp_path: Path) -> None:
    authority, port = Authority(tmp_path), free_port()
    own, other = authority.issue("own"), authority.issue("other")
    client: Client = oidc.sign_in(as_client="server", certificate=own.certificate.read_text())
    public = f"https://127.0.0.1:{port}"
    with contextlib.ExitStack() as stack:
        behind = stack.enter_context(window(tmp_path, oidc, public_url=public, trusted_proxies=["127.0.0.1"]))
        url = stack.enter_context(nginx(tmp_path, authority, port, int(httpx.URL(behind.url).port or 0)))
        through = Window(url, public)

        def answered(shown: Issued | None, **more: str) -> httpx.Response:
            return through.send(client, "GET", PATH, scheme="Bearer", verify=trusting(authority, shown), headers=more)

        assert answered(own).status_code == 200
        claimed = {"client-cert": f":{base64.b64encode(own.der).decode()}:"}
        for refused in (answered(other), answered(None), answered(None, **claimed), answered(other, **claimed)):
            assert (refused.status_code, code(refused)) == (401, "invalid_token")
        assert answered(own, **{"client-cert": ":AAAA:"}).status_code == 200
        done = through.transfer(client, scheme="Bearer", verify=trusting(authority, own))
        assert done.json()["results"][0]["status"] == "done"


def test_host_and_request_ids_go_through_and_a_run_is_streamed(tmp_path: Path) -> None:
    authority, port = Authority(tmp_path), free_port()
    public = f"https://127.0.0.1:{port}"
    settings = {"public_url": public, "trusted_proxies": ["127.0.0.1"], "confirm_origin": f"https://localhost:{port}"}
    with contextlib.ExitStack() as stack:
        front = stack.enter_context(fronted(tmp_path, **settings))
        url = stack.enter_context(nginx(tmp_path, authority, port, front.port))
        http = stack.enter_context(httpx.Client(base_url=url, verify=trusting(authority), timeout=WAITS_S))
        answered = http.get("/livez", headers={"x-request-id": "mine-1"})
        assert (answered.status_code, answered.headers.get_list("x-request-id")) == (200, ["mine-1"])
        assert answered.headers["strict-transport-security"] == "max-age=31536000"
        assert http.get("/livez").headers["x-request-id"].startswith("req_")
        assert http.get(PATH, headers={"host": f"localhost:{port}"}).status_code == 404, "the confirm page's host"
        assert http.get(PATH).status_code == 401, "the gateway's own"
        issuer = LocalIssuer(front.data)
        making = {"authorization": f"Bearer {issuer.token('dev-app', agent=None, scope='assistants')}"}
        own = {"authorization": f"Bearer {issuer.token('alice', agent=None, strong=True, scope=OWN)}"}
        made = http.post("/v1/assistants", json={"model": "any"}, headers=making).json()
        thread = {"messages": [{"role": "user", "content": "Good day"}]}
        wanted = {"assistant_id": made["id"], "stream": True, "thread": thread}
        with http.stream("POST", "/v1/threads/runs", json=wanted, headers=own) as streamed:
            assert streamed.headers["content-type"].startswith("text/event-stream")
            events = [line[7:] for line in streamed.iter_lines() if line.startswith("event: ")]
        assert (events[0], events[-1]) == ("thread.created", "done")
        assert "thread.run.completed" in events


def test_events_are_handed_on_before_the_next_one_is_made(tmp_path: Path) -> None:
    """The test stands where the gateway would: it makes the next event once the client has the one before."""
    authority, port = Authority(tmp_path), free_port()
    with socket.create_server(("127.0.0.1", 0)) as gateway, nginx(tmp_path, authority, port, gateway.getsockname()[1]):
        gateway.settimeout(WAITS_S)
        raw = socket.create_connection(("127.0.0.1", port), WAITS_S)
        with trusting(authority).wrap_socket(raw, server_hostname="127.0.0.1") as client:
            client.sendall(b"GET /v1/threads/runs HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            taken, _ = gateway.accept()
            with taken:
                assert taken.recv(65536).startswith(b"GET /v1/threads/runs HTTP/1.1\r\n")
                taken.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
                told = b""
                for number in range(3):
                    event = f"data: {json.dumps({'number': number})}\n\n".encode()
                    taken.sendall(event)
                    while event not in told:
                        part = client.recv(65536)
                        assert part, told
                        told += part
