"""Descriptors: the limit is raised at the start, what does not fit is said, and a flood leaves those that the gateway needs."""

import contextlib
import json
import re
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from gateway.app import descriptors, host_checks
from gateway.app.settings import Settings
from tests.support.children import ending
from tests.support.fronts import Fronted


@contextlib.contextmanager
def limited(folder: Path, soft: int, hard: int, **changes: object) -> Iterator[Fronted]:
    """A gateway of development mode that was started with these limits, in a process that never had others."""
    file, log, data = folder / "front.toml", folder / "front.log", folder / "data"
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in changes.items()))
    serve = f"exec {sys.executable} -m gateway.cli serve --dev --data {data} --port 0 --json --config {file} --audit-wait-ms 20000"
    command = ["sh", "-c", f"ulimit -Sn {soft} && ulimit -Hn {hard} && {serve}"]
    with log.open("w") as told, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=told, text=True) as process:
        assert process.stdout is not None
        with ending(process):
            said = json.loads(process.stdout.readline())
            yield Fronted(said["url"], int(httpx.URL(said["url"]).port or 0), process.pid, data, log)
        assert process.returncode in (0, -15)


def test_under_a_flood_the_gateway_opens_what_it_needs_itself(tmp_path: Path) -> None:
    """Far more connections than it has descriptors, and each call opens connections and files of its own."""
    bounds = {"connections": 128, "connections_per_address": 100, "connections_reserved": 16, "head_s": 60}
    with limited(tmp_path, 256, 1300, **bounds) as front, contextlib.ExitStack() as stack:
        found = re.search(r"Max open files\s+(\d+)\s+(\d+)", Path(f"/proc/{front.process_id}/limits").read_text())
        assert found is not None
        assert found.groups() == ("1300", "1300")
        assert [json.loads(line)["needed"] for line in front.log.read_text().splitlines() if "descriptors_few" in line] == [2128]
        for _ in range(1500):
            connection = stack.enter_context(front.connect())
            with contextlib.suppress(ConnectionError):
                connection.sendall(b"GET /livez HTTP/1.1\r\nhost: a\r\n")
        bearer = {"authorization": f"Bearer {front.token()}"}
        with front.client("127.0.0.2") as other:
            for _ in range(5):
                assert other.post("/v1/conversations", json={}, headers=bearer).status_code == 200
            assert other.get("/readyz").status_code == 200
        assert len([*Path(f"/proc/{front.process_id}/fd").iterdir()]) < 256


@pytest.mark.parametrize(
    ("connections", "hard", "fits"), [(2048, 4096, True), (2049, 4096, False), (16, 4095, False), (100_000, 524_288, True)]
)
def test_settings_that_do_not_fit_the_limit_are_a_finding_with_its_sum(
    connections: int, hard: int, fits: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (1024, hard))
    settings = Settings(data=tmp_path, development=False, connections=connections)
    monkeypatch.setattr(host_checks, "CHECKS", host_checks.CHECKS[-1:])  # the others look at files
    found = host_checks.host_findings(settings)
    assert [item.setting for item in found] == ([] if fits else ["process"])
    assert all(f"connections {connections}" in item.problem for item in found)
    assert (descriptors.needed(settings) <= hard) == fits or connections == 16
