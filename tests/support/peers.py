"""Peers of the tests out of npm: installed beside their folder, or in a cache outside of the tree, by their lock's hash; and started."""

import hashlib
import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.children import ending
from tests.support.postgres import absent
from tests.support.waiting import WAITS_S

PEERS = Path(__file__).parents[1] / "peers"
STARTS_S = 30.0
STARTS = 3
"""How often one is started that says nothing: Node was seen to stand still for ever while it started."""


@contextmanager
def served(command: list[str], place: Path, environment: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """A peer that runs in `place` until the block ends, and the line of JSON that it says when it is up.

    AssertionError when it ends without a line, or STARTS of them say nothing for STARTS_S each.
    """
    with started(command, cwd=place, env=environment, stderr=subprocess.DEVNULL) as (_, said):
        yield said


@contextmanager
def started(command: list[str], **how: Any) -> Iterator[tuple["subprocess.Popen[bytes]", dict[str, Any]]]:
    """The same with its process, started as `how` says to subprocess.Popen; its standard output is a pipe."""
    for _ in range(STARTS):
        with subprocess.Popen(command, stdout=subprocess.PIPE, **how) as process, ending(process):
            assert process.stdout is not None
            if select.select([process.stdout], [], [], STARTS_S)[0]:
                line = process.stdout.readline()
                assert line, f"{command} ended before it said anything"
                yield process, json.loads(line)
                return
    raise AssertionError(f"{command} said nothing, {STARTS} times")


def ran(command: Sequence[str | Path], *, check: bool = True, **how: Any) -> "subprocess.CompletedProcess[str]":
    """What a program that changes nothing printed: it is started again when it takes longer than WAITS_S, at most STARTS times.

    subprocess.CalledProcessError where it fails, unless `check` says that it may.
    """
    for _ in range(STARTS):
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=WAITS_S, check=check, **how)
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError(f"{command} did not end, {STARTS} times")


def installed(name: str, package: str, program: str) -> Path:
    """The folder of a peer with its packages. Skips the test by name where it cannot be had; with REQUIRE_PEERS it fails."""
    peer, files = PEERS / name, ("package.json", "package-lock.json", program)
    if (peer / "node_modules" / package).is_dir():
        return peer
    if not (shutil.which("node") and shutil.which("npm")):
        absent(f"{package} (node and npm)")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tellergate"
    digest = hashlib.sha256(b"".join((peer / file).read_bytes() for file in files)).hexdigest()[:16]
    place = cache / f"{name}-{digest}"
    if place.is_dir():
        return place
    cache.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=cache))
    for file in files:
        shutil.copy(peer / file, made / file)
    npm = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=made, capture_output=True, text=True, check=False
    )
    if npm.returncode:
        shutil.rmtree(made)
        absent(package)
    try:
        made.rename(place)
    except OSError:  # another run was quicker
        shutil.rmtree(made)
    return place
