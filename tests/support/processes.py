"""Commands of `tellergate` in processes of their own, on loopback."""

import contextlib
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.cli import main
from tests.support.databases import url
from tests.support.forks import Forked, fork
from tests.support.waiting import WAITS_S


def start(*command: str, log: Path | None = None) -> tuple[Forked, dict[str, Any]]:
    """A command that says in one line of JSON where it listens. `log`: where its standard error goes."""
    with contextlib.ExitStack() as stack:
        told = None if log is None else stack.enter_context(log.open("w")).fileno()
        process = fork(command, stderr=told)
    return process, json.loads(process.stdout.readline())


@contextmanager
def started(*command: str, log: Path | None = None) -> Iterator[tuple[Forked, dict[str, Any]]]:
    """The same, until the end of the test, when it must stop by itself; one that was killed already is left alone."""
    process, said = start(*command, log=log)
    try:
        yield process, said
    finally:
        was_running = process.poll() is None
        process.terminate()
        status = process.wait(WAITS_S)
        process.stdout.close()
        assert not was_running or status in (0, -15)


@contextmanager
def sandbox_bank(data: Path) -> Iterator[list[str]]:
    """The sandbox bank of a gateway's folder in a process of its own; the options with which `serve` uses it."""
    trust, token = permits_of(data), data / "core.token"
    command = ("sandbox-bank", "--data", str(data), "--port", "0", "--credential-file", str(token), "--permit-key", str(trust))
    with started(*command, "--json") as (_, said):
        yield ["--core-url", said["url"], "--core-credential-file", str(token)]


def permits_of(data: Path) -> Path:
    """A file with what verifies the permits of this folder's log."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert main(["keys", "permits", "--data", str(data), "--database", url(data)]) == 0
    trust = data / "permits.json"
    trust.write_text(printed.getvalue())
    return trust
