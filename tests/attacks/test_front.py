"""Floods, slow requests and oversized heads, before any token is looked at. On loopback, each bounded in count and time."""

import contextlib
import json
import select
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.certificates import Authority
from tests.support.fronts import Fronted, fronted, read_all
from tests.support.waiting import WAITS_S

HEAD = 2048
FIELDS = 16
URL = 512
START = b"GET /livez HTTP/1.1\r\nhost: a\r\n"


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronted]:
    bounds = {"head_bytes": HEAD, "head_fields": FIELDS, "url_bytes": URL, "head_s": 1, "body_idle_s": 1, "keep_alive_s": 2}
    with fronted(tmp_path_factory.mktemp("front"), **bounds) as running:
        yield running


def status(told: bytes) -> int:
    return int(told.split(b" ", 2)[1]) if told else 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(size=st.integers(HEAD - 40, HEAD + 40), cut=st.integers(1, HEAD - 40))
def test_a_head_is_taken_up_to_its_bound_to_the_byte_however_it_is_cut(front: Fronted, size: int, cut: int) -> None:
    end = b"\r\nconnection: close\r\n\r\n"
    head = START + b"x: " + b"y" * (size - len(START) - 3 - len(end)) + end
    assert len(head) == size
    assert status(front.answered(head[:cut], head[cut:])) == (200 if size <= HEAD else 431)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(fields=st.integers(FIELDS - 2, FIELDS + 2), url=st.integers(URL - 2, URL + 2))
def test_headers_and_address_have_bounds_of_their_own(front: Fronted, fields: int, url: int) -> None:
    target = b"/livez?".ljust(url, b"q")
    sent = b"GET %s HTTP/1.1\r\nhost: a\r\nconnection: close\r\n" % target + b"a:\r\n" * (fields - 2) + b"\r\n"
    assert status(front.answered(sent)) == (414 if url > URL else 431 if fields > FIELDS else 200)


@pytest.mark.parametrize("flood", [b"x: " + b"y" * 2 * HEAD, b"a:\r\n" * FIELDS, b""], ids=["one value", "many headers", "none"])
def test_a_request_behind_another_one_is_bounded_and_the_first_is_answered(front: Fronted, flood: bytes) -> None:
    """Twice the bound: what was read together with the request before it is not counted again."""
    told = front.answered(START + b"\r\n" + START + flood + b"connection: close\r\n\r\n")
    assert told.count(b"HTTP/1.1 200") == (1 if flood else 2)


@pytest.mark.parametrize("sent", [b"G", START, START + b"x: y", b"\r\n"])
def test_a_head_that_does_not_end_is_given_up(front: Fronted, sent: bytes) -> None:
    started = time.monotonic()
    assert status(front.answered(sent)) == 408
    assert time.monotonic() - started > 1


def test_a_head_of_one_byte_at_a_time_gains_no_time(front: Fronted) -> None:
    with front.connect() as connection:
        connection.settimeout(0.2)
        ended = time.monotonic() + WAITS_S
        told = b""
        for byte in START + b"x: " + b"y" * 400:
            assert time.monotonic() < ended
            with contextlib.suppress(ConnectionError):
                connection.send(bytes([byte]))
            with contextlib.suppress(TimeoutError, ConnectionError):
                told = connection.recv(100)
                break
    assert status(told) == 408


def test_a_connection_without_a_byte_ends_without_an_answer(front: Fronted) -> None:
    assert front.answered() == b""


def test_a_body_that_pauses_is_given_up_and_what_keeps_coming_is_not(front: Fronted) -> None:
    head = b"POST /v1/conversations HTTP/1.1\r\nhost: a\r\nauthorization: Bearer %s\r\ncontent-length: 6\r\n\r\n"
    head %= front.token().encode()
    assert status(front.answered(head + b"{")) == 408
    with front.connect() as connection:
        connection.sendall(head)
        for _ in range(6):
            time.sleep(0.4)
            connection.sendall(b" ")
        assert status(connection.recv(65536)) in (200, 400), "it took more than two seconds, and never paused for one"


def test_an_idle_connection_ends_and_one_that_is_used_does_not(front: Fronted) -> None:
    with front.connect() as connection:
        for _ in range(3):
            connection.sendall(START + b"\r\n")
            told = b""
            while not told.endswith(b'"live"}'):
                part = connection.recv(65536)
                assert part, told
                told += part
            time.sleep(1.2)
        assert read_all(connection) == b""


def test_what_follows_a_body_in_chunks_is_no_header(front: Fronted) -> None:
    chunked = b"transfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    post = b"POST /v1/conversations HTTP/1.1\r\nhost: a\r\n"
    bearer = b"authorization: Bearer %s\r\n" % front.token().encode()
    assert status(front.answered(post + bearer + chunked + b"2\r\n{}\r\n0\r\n\r\n")) == 200
    assert status(front.answered(post + chunked + b"2\r\n{}\r\n0\r\n" + bearer + b"\r\n")) == 401


@pytest.mark.parametrize("flood", [b"0\r\na: " + b"b" * 3 * HEAD, b"0\r\n" + b"a:\r\n" * 2 * FIELDS, b"1;" + b"a" * 3 * HEAD])
def test_trailers_and_extensions_of_chunks_are_bounded(front: Fronted, flood: bytes) -> None:
    bearer = b"authorization: Bearer %s\r\n" % front.token().encode()
    told = front.answered(
        b"POST /v1/conversations HTTP/1.1\r\nhost: a\r\n" + bearer + b"transfer-encoding: chunked\r\n\r\n" + flood
    )
    assert status(told) == 431


def test_what_is_no_http_or_another_protocol_is_answered_and_not_logged(front: Fronted) -> None:
    before = front.log.stat().st_size
    for _ in range(20):
        assert status(front.answered(b"\x16\x03\x01\x00\r\n\r\n")) == 400
        offered = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAA\r\n"
        with front.connect() as connection:
            connection.sendall(START + offered + b"\r\n")
            assert status(connection.recv(65536)) == 200
    logged = front.log.read_text()[before:]
    assert all(json.loads(line).get("route") or json.loads(line).get("alarm") for line in logged.splitlines()), logged


def test_memory_under_a_flood_of_small_headers_stays_flat(tmp_path: Path) -> None:
    with fronted(tmp_path, head_s=60) as front:
        front.answered(START + b"connection: close\r\n\r\n")
        before, sent = front.resident_bytes, 0
        with contextlib.ExitStack() as stack:
            for _ in range(400):
                connection = stack.enter_context(front.connect())
                with contextlib.suppress(ConnectionError):
                    connection.sendall(START + b"a:b\r\n" * 30_000)  # 60 MB in all
                sent += 150_000
            for _ in range(100):  # and such as are not refused: they stay, half open
                stack.enter_context(front.connect()).sendall(START + b"a:b\r\n" * 90 + b"x: " + b"y" * 12_000)
            front.answered(START + b"connection: close\r\n\r\n", source="127.0.0.2")
            grown = front.resident_bytes - before
        assert sent >= 60_000_000
        assert grown < 48_000_000, f"{grown} bytes more"


def test_one_address_takes_its_share_and_others_are_served(tmp_path: Path) -> None:
    bounds = {"connections": 40, "connections_per_address": 20, "connections_reserved": 2, "backend_addresses": ["127.0.0.9"]}
    whole = START + b"connection: close\r\n\r\n"
    with fronted(tmp_path, head_s=60, **bounds) as front:
        with contextlib.ExitStack() as stack:

            def held(source: str, wanted: int, most: int) -> int:
                return staying([stack.enter_context(front.connect(source)) for _ in range(wanted)], most)

            assert held("127.0.0.1", 60, 20) == 20
            assert status(front.answered(whole, source="127.0.0.2")) == 200
            assert [held("127.0.0.2", 30, 20), held("127.0.0.3", 5, 0)] == [20, 0]
            assert front.answered(whole, source="127.0.0.3") == b""
            assert status(front.answered(whole, source="127.0.0.9")) == 200
            assert held("127.0.0.9", 5, 2) == 2
        waited = time.monotonic() + WAITS_S
        while status(front.answered(whole, source="127.0.0.3")) != 200:
            assert time.monotonic() < waited, "what ended makes room"
        while not front.alarms:
            assert time.monotonic() < waited
            time.sleep(0.1)
        assert [line["requests"] for line in front.alarms] == [0], "once a minute"
        assert 0 < int(str(front.alarms[0]["connections"])) <= 60 + 30 + 5 + 1 + 5


def staying(opened: list[socket.socket], most: int) -> int:
    """How many of these are not closed, once no more than `most` are, or nothing came for so long; and a moment later."""
    ended: list[socket.socket] = []
    until = time.monotonic() + WAITS_S
    while len(opened) - len(ended) > most and time.monotonic() < until:
        ended, _, _ = select.select(opened, [], [], 0.1)
    time.sleep(0.2)
    return len(opened) - len(select.select(opened, [], [], 0)[0])


def test_handshakes_are_counted_and_end(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = authority.issue("server")
    tls = {"tls_certificate": str(server.certificate), "tls_key": str(server.key)}
    trusted = ssl.create_default_context(cafile=authority.file)
    with fronted(tmp_path, connections_per_address=20, head_s=1, **tls) as front:

        def asked(source: str) -> int:
            with trusted.wrap_socket(front.connect(source), server_hostname="127.0.0.1") as secured:
                secured.sendall(START + b"connection: close\r\n\r\n")
                return status(read_all(secured))
            return 0

        with contextlib.ExitStack() as stack:
            opened = [stack.enter_context(front.connect()) for _ in range(40)]
            assert staying(opened, 20) <= 20
            assert asked("127.0.0.2") == 200
            for connection in opened[:20]:
                connection.settimeout(WAITS_S)
                assert read_all(connection) == b"", "each ended by itself"
        assert asked("127.0.0.1") == 200
        for _ in range(30):
            with contextlib.suppress(OSError), front.connect() as plain:
                plain.sendall(START + b"\r\n")
                read_all(plain)
        assert asked("127.0.0.1") == 200, "what was no TLS is counted no longer"


def test_a_kill_switch_is_engaged_and_a_customer_is_served_under_a_flood(tmp_path: Path) -> None:
    """How long that takes, `tests.benchmarks.one_customer` says."""
    with fronted(tmp_path, head_s=60, calls_per_minute=100_000) as front, front.client("127.0.0.2") as other:
        customer = {"authorization": f"Bearer {front.token()}"}
        officer = {"authorization": f"Bearer {front.token('monitor', agent=None, client='monitor', scope='kill_switch')}"}
        conversation = other.post("/v1/conversations", json={}, headers=customer).json()["id"]
        with contextlib.ExitStack() as stack:
            half_open = []
            for _ in range(1100):
                connection = stack.enter_context(front.connect())
                with contextlib.suppress(ConnectionError):
                    connection.sendall(START + b"a:b\r\n" * 20)
                half_open.append(connection)
            for number in range(20):
                item = {"type": "function_call", "call_id": f"call-{number}", "name": "list_accounts", "arguments": "{}"}
                body = {"shape": "responses", "conversation_id": conversation, "turn_id": f"t{number}", "calls": [item]}
                answered = other.post("/v1/function-calls", json=body, headers=customer)
                assert answered.json()["results"][0]["status"] == "done", answered.text
            wanted = {"scope": "client", "subject": "some-app", "reason": "a flood"}
            with front.client("127.0.0.2") as fresh:
                engaged = fresh.post("/v1/kill-switches", json=wanted, headers=officer)
            assert engaged.status_code == 200, engaged.text


def test_what_comes_before_the_handshake_is_not_taken_for_a_request(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server = authority.issue("server")
    trusted = ssl.create_default_context(cafile=authority.file)
    with fronted(tmp_path, tls_certificate=str(server.certificate), tls_key=str(server.key)) as front:
        for _ in range(20):
            connection = front.connect()
            connection.sendall(START + b"\r\n")  # with the very first packet
            with pytest.raises(OSError, match=r"SSL|EOF|reset"), trusted.wrap_socket(connection, server_hostname="127.0.0.1"):
                pass
        assert not [line for line in front.log.read_text().splitlines() if "livez" in line]
