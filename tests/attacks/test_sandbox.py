"""Programs that try to get out of the jail, to stay in it for ever, to fill it, or to lie about what they did."""

import asyncio
import contextlib
import hashlib
import json
import os
import pickle
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sandbox import bubblewrap, jail, processes
from gateway.sandbox.bubblewrap import BubblewrapSandbox
from gateway.sandbox.port import FinishedProgram, ProgramEnding, ProgramLimits, SandboxUnavailable
from tests.support import escapes, jails
from tests.support.jails import parts, ran
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True, scope="module")
def _here() -> None:
    """Asked for once, outside of any event loop, whether this host can."""
    jails.jail()


CANARY = "CANARY_OF_THE_GATEWAY"
NAMES = """import ctypes
ctypes.CDLL(None).prctl(15, NAME.encode(), 0, 0, 0)
"""
"""Gives a program a name that this host's list of processes shows."""


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What each attempt got in one jail, by name, with a secret in our environment and in an open descriptor that children inherit."""
    secret = tmp_path_factory.mktemp("secret") / "canary"
    secret.write_text(CANARY)
    descriptor = os.open(secret, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    os.environ[CANARY] = "1"
    try:
        finished = asyncio.run(ran(Path(escapes.__file__).read_text(), str(os.getpid()), processes=8))
    finally:
        del os.environ[CANARY]
        os.close(descriptor)
    assert finished.ending is ProgramEnding.DONE, finished.stderr.decode()
    got: dict[str, str | None] = json.loads(finished.stdout)
    return got


@pytest.mark.parametrize("attempt", sorted(escapes.ATTEMPTS))
def test_an_attempt_to_get_out_is_held(held: dict[str, str | None], attempt: str) -> None:
    assert held[attempt] is None


@pytest.mark.parametrize("call", sorted(escapes.CALLS))
def test_a_system_call_that_no_program_needs_does_not_exist(held: dict[str, str | None], call: str) -> None:
    assert held[call] is None


def test_without_the_jail_the_same_attempts_get_through(tmp_path: Path) -> None:
    """So that an attempt that is held was held by the jail."""
    bare = [sys.executable, escapes.__file__, str(os.getpid()), "bare"]
    told = subprocess.run(bare, cwd=tmp_path, env={"CANARY": "1"}, capture_output=True, check=True).stdout
    through = {name for name, got in json.loads(told).items() if got}
    assert len(through) >= 60
    for name in ("read_the_users", "read_proc_of_this_process", "find_a_shell", "make_a_netlink_socket", "make_a_unix_socket"):
        assert f"attempt_to_{name}" in through
    for name in (
        "find_the_canary_in_the_environment",
        "find_the_canary_in_memory",
        "see_the_worker_by_its_number",
        "find_our_own_code",
    ):
        assert f"attempt_to_{name}" in through
    assert {"call_ptrace", "call_bpf", "call_keyctl", "call_unshare", "call_mount", "call_setns"} <= through


def left_of(name: str) -> list[str]:
    """Processes of this host that have this name."""
    found = []
    for process in Path("/proc").glob("[0-9]*/comm"):
        with contextlib.suppress(OSError):
            if process.read_text().strip() == name:
                found.append(process.parent.name)
    return found


def commands_with(argument: int) -> list[str]:
    """Processes of this host whose command has this argument."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(argument).encode() in process.read_bytes().split(b"\0"):
                found.append(process.parent.name)
    return found


async def test_a_fork_bomb_ends_with_the_jail() -> None:
    name = f"bomb{os.getpid()}"
    bomb = NAMES.replace("NAME", repr(name)) + "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"
    finished = await ran(bomb, wall_s=0.5, processes=6)
    assert finished.ending is ProgramEnding.TIME
    await wait_until(lambda: left_of(name) == [], most_s=10)


async def test_processes_are_bounded() -> None:
    count = """import os, time
made = 0
try:
    for _ in range(100):
        if os.fork() == 0: time.sleep(30)
        made += 1
except OSError: pass
print(made)
"""
    assert (await ran(count, processes=5)).stdout == b"4\n"  # and itself


async def test_what_goes_on_in_the_background_ends_with_the_program() -> None:
    name = f"stays{os.getpid()}"
    stays = (
        NAMES.replace("NAME", repr(name))
        + "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(60)\n"
    )
    finished = await ran(stays, processes=4)
    assert finished.ending is ProgramEnding.DONE
    await wait_until(lambda: left_of(name) == [], most_s=10)


async def test_a_run_that_is_cancelled_leaves_nothing_running() -> None:
    name = f"asked{os.getpid()}"
    run = asyncio.create_task(ran(NAMES.replace("NAME", repr(name)) + "import time\ntime.sleep(60)\n"))
    await wait_until(lambda: left_of(name) != [])
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await wait_until(lambda: left_of(name) == [], most_s=10)  # the kernel is told, and takes its time


async def test_a_run_that_is_stopped_at_any_moment_of_its_start_leaves_no_process() -> None:
    """Also before bubblewrap asked to be taken along with its parent."""
    room = (4 << 20) + os.getpid()  # by which the command of these jails is told from others
    for moment in range(12):
        run = asyncio.create_task(ran("import time\ntime.sleep(60)", box_bytes=room))
        await asyncio.sleep(moment * 0.005)
        run.cancel()
        await asyncio.wait([run], timeout=20)
        assert run.cancelled(), moment
    await wait_until(lambda: commands_with(room) == [], most_s=10)


async def test_memory_is_bounded() -> None:
    finished = await ran("held = []\nwhile True: held.append(bytearray(1 << 20))\n", memory_bytes=128 << 20)
    assert finished.ending is ProgramEnding.FAILED
    assert b"MemoryError" in finished.stderr


async def test_files_are_bounded_in_bytes_and_in_number() -> None:
    fills = """import os
try:
    with open("large", "wb", buffering=0) as file:
        while True: file.write(bytes(1 << 16))
except OSError: print(os.stat("large").st_size)
"""
    assert int((await ran(fills, box_bytes=1 << 20)).stdout) <= 1 << 20
    many = "import os\nnumber = 0\nwhile True:\n    os.mkdir(f'folder{number}')\n    number += 1\n"
    assert (await ran(many)).ending is ProgramEnding.FILES


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_a_flood_of_output_is_cut_and_stopped(stream: str) -> None:
    finished = await ran(f"import sys\nwhile True: sys.{stream}.write('x' * 1000)\n", output_bytes=50_000)
    assert finished.ending is ProgramEnding.OUTPUT
    assert len(getattr(finished, stream)) == 50_000


async def test_time_is_bounded_by_the_clock_and_by_the_processor() -> None:
    assert (await ran("import time\nprint('begun', flush=True)\ntime.sleep(60)\n", wall_s=0.3)).ending is ProgramEnding.TIME
    spins = "import signal as s\ns.signal(s.SIGXCPU, s.SIG_IGN)\ns.signal(s.SIGTERM, s.SIG_IGN)\nwhile True: pass\n"
    finished = await ran(spins, cpu_s=1, wall_s=30)
    assert (finished.ending, finished.exit_code) == (ProgramEnding.FAILED, -9)


@pytest.mark.parametrize("sent", ["SIGKILL", "SIGSTOP"])
async def test_whoever_stops_the_runner_is_heard_no_more(sent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "_GRACE_S", 0.3)
    finished = await ran(f"import os, signal, time\nos.kill(os.getppid(), signal.{sent})\ntime.sleep(60)\n", wall_s=0.3)
    assert finished == FinishedProgram(ProgramEnding.BROKEN)


LEAVES = """import os, socket
os.chdir('out')
os.symlink('/runner.py', 'symlink')
os.symlink('/box/kept', 'inside')
os.mkdir('folder')
open('folder/deep', 'w').write('deep')
try: os.mkfifo('fifo')
except OSError: pass
open('../kept', 'w').write('kept')
os.link('../kept', 'hardlink')
open('plain', 'w').write('plain')
open('unreadable', 'w').write('x'); os.chmod('unreadable', 0)
"""


async def test_of_what_is_left_for_us_only_regular_files_are_taken_and_no_link_is_followed() -> None:
    finished = await ran(LEAVES)
    assert (finished.ending, dict(finished.files_out)) == (ProgramEnding.DONE, {"hardlink": b"kept", "plain": b"plain"})


@pytest.mark.parametrize("target", ["/usr/lib", "/", "/nowhere", "/box"])
async def test_a_folder_that_became_a_link_is_not_followed(target: str) -> None:
    finished = await ran(f"import os\nos.rmdir('out')\nos.symlink({target!r}, 'out')\n")
    assert (finished.ending, finished.files_out) == (ProgramEnding.DONE, {})


@pytest.mark.parametrize(
    "leaves",
    [
        "[open(f'out/{n}', 'w') for n in range(20)]",  # too many
        "open('out/sparse', 'wb').truncate(3 << 20)",  # one too large, of which nothing is on the disk
        "[open(f'out/{n}', 'wb').write(bytes(400_000)) for n in range(4)]",  # too large together
        "open('out/' + 'n' * 200, 'w')",  # a name too long
    ],
)
async def test_too_much_left_for_us_is_not_taken_at_all(leaves: str) -> None:
    finished = await ran(leaves, files_out=16, files_out_bytes=1_000_000)
    assert (finished.ending, finished.files_out) == (ProgramEnding.FILES, {})


@pytest.mark.parametrize("name", ["b'out/line\\nbreak'", "b'out/\\xff\\xfe'", "'out/\\u202egpj.exe'"])
async def test_a_name_that_cannot_be_shown_is_no_report(name: str) -> None:
    assert (await ran(f"open({name}, 'w').close()")).ending is ProgramEnding.BROKEN


async def test_a_pickle_that_comes_back_is_bytes_and_nothing_more(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    trap = pickle.dumps(Trap())
    finished = await ran(f"open('out/state.pkl', 'wb').write({trap!r})\nprint({trap!r})\n")
    assert finished.files_out == {"state.pkl": trap}
    assert not (tmp_path / "sprung").exists()


async def test_a_report_of_the_program_s_own_reaches_nobody() -> None:
    """It has no descriptor that leads out but those that are counted as its output."""
    forged = b"".join(processes.framed(part) for part in (b"ready", b'{"ending":"done","exit_code":0,"files":[]}', b"forged", b""))
    finished = await ran(
        f"import os\nfor number in (0, *range(3, 1024)):\n    try: os.write(number, {forged!r})\n    except OSError: pass\nprint('mine')\n"
    )
    assert (finished.ending, finished.stdout) == (ProgramEnding.DONE, b"mine\n")


def report(*messages: bytes) -> bytes:
    return b"".join(map(processes.framed, messages))


@given(
    st.lists(
        st.one_of(st.binary(max_size=40), st.sampled_from([b"ready", b'{"ending":"done","exit_code":0,"files":["a"]}'])), max_size=6
    )
)
def test_what_comes_out_is_believed_in_its_form_alone(messages: list[bytes]) -> None:
    limits = ProgramLimits(output_bytes=10, files_out=2, files_out_bytes=100)
    for told in (report(*messages), report(b"ready", *messages), report(*messages)[:-1]):
        try:
            finished = bubblewrap._read_report(told, limits)
        except bubblewrap._NoReport:
            continue
        if finished is not None:
            assert len(finished.stdout) <= 10
            assert len(finished.files_out) <= 2


@pytest.mark.parametrize(
    "head",
    [
        b"[" * 100_000,
        b"{}",
        b"[]",
        b'{"ending":"won","exit_code":0,"files":[]}',
        b'{"ending":"done","exit_code":"0","files":[]}',
        b'{"ending":"done","exit_code":0,"files":["../up"]}',
        b'{"ending":"done","exit_code":0,"files":["a","a"]}',
        b'{"ending":"done","exit_code":0,"files":{"a":1}}',
        b'{"ending":["done"],"exit_code":0,"files":[]}',
    ],
)
def test_a_report_in_another_form_is_none(head: bytes) -> None:
    files = [b""] * head.count(b'"a"') or [b""] * head.count(b"up")
    with pytest.raises(bubblewrap._NoReport):
        bubblewrap._read_report(report(b"ready", head, b"", b"", *files), ProgramLimits())


async def test_runs_see_nothing_of_each_other() -> None:
    looks = (
        "import os, sys, time\nopen(sys.argv[1], 'w').close()\ntime.sleep(0.3)\nprint(sorted(os.listdir()), os.listdir('out'))\n"
    )
    first, second = await asyncio.gather(ran(looks, "one"), ran(looks, "two"))
    assert (first.stdout, second.stdout) == (b"['one', 'out'] []\n", b"['out', 'two'] []\n")
    assert (await ran("import os\nprint(os.listdir('/box'))")).stdout == b"['out']\n"


async def test_what_it_is_given_arrives_whole_or_it_does_not_run() -> None:
    content = os.urandom(1_000_000)
    shown = "import hashlib, sys\nprint(hashlib.sha256(open('given.bin', 'rb').read()).hexdigest(), sys.argv[1:])"
    assert (await ran(shown, "é", files={"given.bin": content})).stdout.decode().split()[0] == hashlib.sha256(content).hexdigest()
    assert (await ran("print('ran')", files={"given.bin": content}, box_bytes=500_000)) == FinishedProgram(ProgramEnding.TOO_LARGE)


async def test_a_source_that_fails_ends_the_run_with_its_own_error() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"part"
        raise LookupError("the content is damaged")

    with pytest.raises(LookupError, match="damaged"):
        await jails.jail().run("print('ran')", (), {"given.bin": broken()}, ProgramLimits())


@pytest.mark.parametrize("name", ["../up", "/etc/passwd", "out", ".hidden", "", "a/b", "a\nb", "n" * 200])
async def test_a_file_is_given_under_a_plain_name_alone(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a file"):
        await BubblewrapSandbox().run("", (), {name: parts(b"")}, ProgramLimits())


async def test_more_than_run_at_once_wait_and_then_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bubblewrap, "WAITING_S", 0.1)
    sandbox = jails.jail(at_once=1)
    first = asyncio.create_task(sandbox.run("import time\ntime.sleep(1)", (), {}, ProgramLimits()))
    await asyncio.sleep(0.01)
    with pytest.raises(SandboxUnavailable):
        await sandbox.run("", (), {}, ProgramLimits())
    assert (await first).ending is ProgramEnding.DONE
    assert (await sandbox.run("", (), {}, ProgramLimits())).ending is ProgramEnding.DONE


@pytest.mark.parametrize("missing", ["bubblewrap", "libseccomp", "namespaces"])
async def test_where_a_wall_is_missing_nothing_runs(missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said = {"bubblewrap": "package `bubblewrap`", "libseccomp": "library `libseccomp`", "namespaces": "No permissions to create"}
    jail._program.cache_clear()
    if missing == "bubblewrap":
        monkeypatch.setattr(jail, "_SEARCHED", str(tmp_path))
    elif missing == "libseccomp":
        monkeypatch.setattr(processes, "filter_program", raises_runtime_error)
    else:
        refuses = tmp_path / "bwrap"
        refuses.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2\nexit 1\n")
        refuses.chmod(0o755)
        monkeypatch.setattr(jail, "_SEARCHED", f"{tmp_path}:/usr/bin")
    try:
        sandbox = BubblewrapSandbox()
        with pytest.raises(SandboxUnavailable) as refused:
            await sandbox.run("open('out/ran', 'w')", (), {}, ProgramLimits())
        assert said[missing] in refused.value.problem
        assert said[missing] in (await asyncio.to_thread(sandbox.refusal) or "")
    finally:
        jail._program.cache_clear()


def raises_runtime_error() -> bytes:
    raise RuntimeError("Unable to find libseccomp")
