"""Code in a session of the code interpreter that tries to get out, to reach others, to stay, to fill its host or to lie about what it did.

The attempts of `tests.support.escapes` are made in the very process of the session, after its libraries were loaded, as a model's code is.
"""

import asyncio
import contextlib
import json
import os
import pickle
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.code.client import SocketCodeRunner
from gateway.code.port import CodeEnding, CodeOutcome, CodeUnavailable, CodeWanted, GivenFile
from gateway.code.sessions import SessionBounds
from gateway.sandbox import session as jailed_session
from gateway.sandbox.session import SessionLimits
from tests.support import escapes
from tests.support.code_workers import light_worker, ran, session, worker
from tests.support.waiting import wait_until

CALL_S = 2


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    """A worker as it is served."""
    with worker("python", "--call-s", "20") as (_, path):  # of what runs here nothing is without end
        yield path


@pytest.fixture(scope="module")
def light() -> Iterator[Path]:
    """The same jails without libraries: for what takes its session down."""
    with (
        pytest.MonkeyPatch.context() as patched,
        light_worker(SessionBounds(sessions=24, at_once=8), SessionLimits(wall_s=CALL_S, cpu_s=CALL_S)) as path,
    ):
        patched.setattr(jailed_session, "GRACE_S", 1)
        yield path


OWN = {"attempt_to_use_open_descriptors", "attempt_to_find_the_canary_in_the_environment"}
"""A session has two descriptors and an environment of its own, which have tests of their own."""
DEADLY = {"attempt_to_call_as_i386", "attempt_to_call_as_x32"}
"""The kernel ends who calls by the numbers of another architecture."""
SHARED = sorted({*escapes.ATTEMPTS, *escapes.CALLS} - OWN - DEADLY)
_FUNCTIONS = Path(escapes.__file__).read_text().split('if __name__ == "__main__":')[0]
TRIES = f"""
import sys
sys.argv = ["program.py", "{os.getpid()}"]
{_FUNCTIONS}
def tried(attempt):
    try:
        result = attempt()
        return repr(result)[:200] if result else None
    except (OSError, ImportError, AttributeError, ValueError):
        return None
    except BaseException as error:
        return f"a fault of the attempt: {{error!r}}"
attempts = {{**ATTEMPTS, **CALLS}}
"""


@pytest.fixture(scope="module")
def held(path: Path) -> dict[str, str | None]:
    """What each attempt got, in one session."""
    outcome = asyncio.run(
        ran(path, f"{TRIES}\nprint(json.dumps({{name: tried(attempts[name]) for name in {SHARED!r}}}))", "escapes")
    )
    assert outcome.ending is CodeEnding.DONE, outcome
    got: dict[str, str | None] = json.loads(outcome.logs.splitlines()[-1])
    return got


@pytest.mark.parametrize("attempt", SHARED)
def test_an_attempt_to_get_out_of_a_session_is_held(held: dict[str, str | None], attempt: str) -> None:
    assert held[attempt] is None


@pytest.mark.parametrize("attempt", sorted(DEADLY))
async def test_calls_by_the_numbers_of_another_architecture_end_the_session(light: Path, attempt: str) -> None:
    outcome = await ran(light, f"{TRIES}\nprint('got', tried(attempts[{attempt!r}]))", "deadly")
    assert outcome.ending is CodeEnding.BROKEN or "got None" in outcome.logs


async def test_a_session_has_two_pipes_and_an_environment_of_its_own_alone(light: Path) -> None:
    is_open = "import os, stat\ndef is_open(n):\n    try: os.fstat(n)\n    except OSError: return False\n    return True\n"
    looks = "print({n: stat.S_ISFIFO(os.fstat(n).st_mode) for n in range(3, 1024) if is_open(n)}, sorted(os.environ))"
    told = (await ran(light, is_open + looks, "descriptors")).logs
    assert told.startswith("{3: True, 4: True} ")
    names = (
        "HOME",
        "LC_ALL",
        "MPLBACKEND",
        "MPLCONFIGDIR",
        "NUMEXPR_NUM_THREADS",
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "PWD",
    )
    assert told.endswith(f"{sorted(names)}\n")


HELD_IN_PLACE = {
    "a process of its own": ("import os\nos.fork()", "PermissionError"),
    "a program": ("import os, sys\nos.execv(sys.executable, [sys.executable, '-c', 'print(1)'])", "PermissionError"),
    "a program by another call": ("import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'print(1)'])", "PermissionError"),
    "processes of a pool": ("import multiprocessing as m\nm.get_context('fork').Process(target=print).start()", "PermissionError"),
    "bounds of its keeper": (
        "import os, resource\nresource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (1, 1))",
        "PermissionError",
    ),
    "more memory": ("held = []\nwhile True: held.append(bytearray(1 << 24))", "MemoryError"),
    "an array beyond it": ("import numpy\nnumpy.ones(1 << 30)", "MemoryError"),
    "more descriptors": (
        "import os\nheld = []\ntry:\n    while True: held.append(os.dup(1))\nfinally:\n    for one in held: os.close(one)",
        "OSError",
    ),
    "threads without end": (
        "import threading, time\nfor n in range(100): threading.Thread(target=time.sleep, args=(0.5,), daemon=True).start()",
        "can't start new thread",
    ),
    "the folder of packages": ("open('/packages/numpy/left', 'w')", "Read-only file system"),
    "a server": ("import http.server\nhttp.server.HTTPServer(('127.0.0.1', 0), None)", "OSError"),
    "a download": ("import urllib.request\nurllib.request.urlopen('http://127.0.0.1/')", "Error"),
    "a shared memory": (
        "from multiprocessing import shared_memory as s\ns.SharedMemory(create=True, size=10)",
        "FileNotFoundError",
    ),
}


@pytest.mark.parametrize("wants", sorted(HELD_IN_PLACE))
async def test_what_a_session_may_not_have_is_refused_in_place_and_it_goes_on(path: Path, wants: str) -> None:
    code, error = HELD_IN_PLACE[wants]
    outcome = await ran(path, code, "in place")
    assert outcome.ending is CodeEnding.FAILED, outcome
    assert error in outcome.logs
    assert (await ran(path, "held = None\n'on'", "in place")).logs == "'on'\n"


async def test_files_of_a_session_are_bounded_in_bytes(path: Path) -> None:
    fills = """import os
try:
    with open("/mnt/scratch/large", "wb", buffering=0) as file:
        while True: file.write(bytes(1 << 20))
except OSError: print(os.stat("/mnt/scratch/large").st_size >> 20)
os.unlink("/mnt/scratch/large")"""
    assert 0 < int((await ran(path, fills, "in place")).logs) <= 192


ENDS = {
    "files without end": ("import os\nn = 0\nwhile True:\n    os.mkdir(f'f{n}')\n    n += 1", CodeEnding.FILES),
    "output without end": ("while True: print('x' * 1000)", CodeEnding.OUTPUT),
    "no end": ("while True: pass", CodeEnding.TIME),
    "no end, and deaf": (
        "import signal, time\nfor n in (signal.SIGTERM, signal.SIGINT, signal.SIGXCPU): signal.signal(n, signal.SIG_IGN)\ntime.sleep(60)",
        CodeEnding.TIME,
    ),
    "an end of its own": ("import os\nos._exit(0)", CodeEnding.BROKEN),
    "a crash": ("import ctypes\nctypes.string_at(0)", CodeEnding.BROKEN),
    "its keeper's end": ("import os, signal, time\nos.kill(os.getppid(), signal.SIGKILL)\ntime.sleep(60)", CodeEnding.BROKEN),
    "its keeper's sleep": ("import os, signal, time\nos.kill(os.getppid(), signal.SIGSTOP)\ntime.sleep(60)", CodeEnding.BROKEN),
    "statuses without end": ("import os\nos.write(4, b'dddd')\nimport time\ntime.sleep(60)", CodeEnding.BROKEN),
    "another status": ("import os\nos.write(4, b'x')\nimport time\ntime.sleep(60)", CodeEnding.BROKEN),
    "a name that cannot be shown": ("open(b'line\\nbreak', 'w').close()", CodeEnding.BROKEN),
    "little by little": (
        "import time\nwhile True:\n    try: exec('while True: pass')\n    except BaseException: pass",
        CodeEnding.TIME,
    ),
    "its own hand": ("import os\nos.kill(os.getpid(), 9)", CodeEnding.MEMORY),
    "its own sleep": ("import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)", CodeEnding.TIME),
    "a kernel that reads nothing more": ("import os\nos.dup2(0, 3)\nNone", CodeEnding.DONE),
}


@pytest.fixture(scope="module")
def ended(light: Path) -> dict[str, CodeOutcome]:
    """What came of each, in a session of its own, all at once."""

    async def together() -> list[CodeOutcome]:
        return await asyncio.gather(*(ran(light, code, f"ends by {name}") for name, (code, _) in ENDS.items()))

    return dict(zip(ENDS, asyncio.run(together()), strict=True))


@pytest.mark.parametrize("by", sorted(ENDS))
def test_what_takes_a_session_down_is_told_as_what_it_was(ended: dict[str, CodeOutcome], by: str) -> None:
    assert ended[by].ending is ENDS[by][1], ended[by]
    assert ended[by].files == ()


async def test_after_each_end_a_session_begins_anew(light: Path, ended: dict[str, CodeOutcome]) -> None:
    again = await asyncio.gather(
        *(ran(light, "'again'", f"ends by {name}") for name in ("files without end", "output without end", "no end"))
    )
    assert {(outcome.logs, outcome.anew) for outcome in again} == {("'again'\n", True)}


async def test_all_calls_of_a_session_together_have_a_bound_of_processor_time() -> None:
    limits = SessionLimits(wall_s=CALL_S, cpu_s=CALL_S, cpu_session_s=1)
    with light_worker(SessionBounds(), limits) as path:
        spends = "import time\nuntil = time.process_time() + 0.4\nwhile time.process_time() < until: pass"
        endings = [(await ran(path, spends)).ending for _ in range(3)]
    assert endings[0] is CodeEnding.DONE
    assert CodeEnding.TIME in endings


async def test_a_session_that_closed_its_streams_is_ended_in_time_all_the_same(light: Path) -> None:
    ended = await ran(light, "import os, time\nos.close(1)\nos.close(2)\ntime.sleep(60)", "closed")
    assert ended == CodeOutcome(CodeEnding.TIME, anew=True)


LEAVES = """import os
os.symlink('/etc/passwd', 'symlink.txt')
os.symlink('/mnt/scratch/kept', 'inside.txt')
os.makedirs('folder', exist_ok=True)
open('folder/deep', 'w').write('deep')
try: os.mkfifo('fifo')
except OSError: pass
open('/mnt/scratch/kept', 'w').write('kept')
os.link('/mnt/scratch/kept', 'hardlink.txt')
open('plain.txt', 'w').write('plain')
open('unreadable.txt', 'w').write('x'); os.chmod('unreadable.txt', 0)
None"""


async def test_of_what_a_call_leaves_only_regular_files_are_taken_and_no_link_is_followed(light: Path) -> None:
    outcome = await ran(light, LEAVES, "leaves")
    assert outcome.ending is CodeEnding.DONE
    assert {file.name: file.content for file in outcome.files} == {"hardlink.txt": b"kept", "plain.txt": b"plain"}


@pytest.mark.parametrize(
    "leaves",
    [
        "[open(f'many-{n}', 'w') for n in range(20)]",
        "open('sparse', 'wb').truncate(33 << 20)",
        "open('n' * 200, 'w')",
    ],
)
async def test_too_much_left_is_not_taken_at_all(light: Path, leaves: str) -> None:
    clean = "import os\nfor name in os.listdir():\n    if os.path.isfile(name): os.unlink(name)\nNone"
    await ran(light, clean, "leaves")
    outcome = await ran(light, f"{leaves}\nNone", "leaves")
    assert (outcome.ending, outcome.files) == (CodeEnding.FILES, ())
    assert (await ran(light, clean, "leaves")).ending is CodeEnding.DONE


PLANTS = "import os\nopen('/mnt/scratch/target', 'w').write('as it was')\nos.symlink('/mnt/scratch/target', 'next.csv')"
READS = "print(open('next.csv').read(), os.path.islink('next.csv'), open('/mnt/scratch/target').read())"


async def test_a_file_that_is_given_takes_the_place_of_a_link_and_follows_none(light: Path) -> None:
    await ran(light, PLANTS, "leaves")
    assert (await ran(light, READS, "leaves", files={"next.csv": b"given"})).logs == "given False as it was\n"


async def test_a_folder_that_became_something_else_ends_the_session(light: Path) -> None:
    moved = await ran(light, "import os\nos.rename('/mnt/data', '/mnt/moved')\nos.symlink('/usr', '/mnt/data')\nNone", "moved")
    assert moved.files == ()
    after = await ran(light, "1", "moved", files={"a.csv": b"given"})
    assert after.ending is CodeEnding.BROKEN
    assert (await ran(light, "import os\nsorted(os.listdir('/mnt'))", "moved")).logs == "['data', 'scratch']\n"


async def test_a_pickle_that_comes_back_is_bytes_and_nothing_more(light: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    trap = pickle.dumps(Trap())
    outcome = await ran(light, f"open('state.pkl', 'wb').write({trap!r})\nprint({trap!r})", "leaves")
    assert {file.name: file.content for file in outcome.files} == {"state.pkl": trap}
    assert not (tmp_path / "sprung").exists()


async def test_nothing_goes_on_between_two_calls(light: Path) -> None:
    begins = """import threading, time
ticks = 0
def tick():
    global ticks
    while True:
        ticks += 1
        time.sleep(0.005)
        if ticks == 20: print("late", flush=True)
threading.Thread(target=tick, daemon=True).start()"""
    begun = await ran(light, begins, "ticks")
    assert begun.logs == ""
    await asyncio.sleep(0.6)  # in which it would tick a hundred times
    told = await ran(light, "ticks", "ticks")
    assert int(told.logs.split()[-1]) < 15
    assert "late" in (await ran(light, "time.sleep(0.3)", "ticks")).logs


POISONS = {
    "builtins": "import builtins\nfor n in ('print', 'exec', 'eval', 'repr', 'len'): setattr(builtins, n, lambda *a, **k: 'mine')",
    "modules": "import sys\nfor n in list(sys.modules):\n    if n not in ('sys', 'builtins'): sys.modules[n] = None",
    "streams": "import sys\nsys.stdout = sys.stderr = None",
    "closed streams": "import os\nos.close(1); os.close(2)",
    "the stack": "import sys\nframe = sys._getframe(2)\nframe.f_globals.clear()",
    "exit hooks": "import atexit, sys\natexit.register(lambda: print('hook'))\nsys.exit(0)",
    "a trace": "import sys\nsys.settrace(lambda *a: 1 / 0)\nsys.setprofile(lambda *a: 1 / 0)",
    "a status of its own": "import os, time\nos.write(4, b'd')\ntime.sleep(1)",
    "code for itself": "import os\nos.pipe()\nos.write(4, b'f')",
}


@pytest.fixture(scope="module")
def poisoned(light: Path) -> dict[str, tuple[CodeOutcome, CodeOutcome]]:
    """What came of each poison, and of a call after it in the same session; two at a time, each in a session of its own."""

    async def one(name: str, code: str) -> tuple[CodeOutcome, CodeOutcome]:
        return await ran(light, code, f"poison {name}"), await ran(light, "print('after')", f"poison {name}")

    async def all_of_them() -> list[tuple[CodeOutcome, CodeOutcome]]:
        return await asyncio.gather(*(one(name, code) for name, code in POISONS.items()))

    return dict(zip(POISONS, asyncio.run(all_of_them()), strict=True))


@pytest.mark.parametrize("poison", sorted(POISONS))
async def test_a_poisoned_session_harms_itself_alone(
    light: Path, poisoned: dict[str, tuple[CodeOutcome, CodeOutcome]], poison: str
) -> None:
    """What it says of itself may be a lie; that it ends, its form, its bounds, and what others have of it are not."""
    for outcome in poisoned[poison]:
        assert outcome.ending in (CodeEnding.DONE, CodeEnding.FAILED, CodeEnding.BROKEN, CodeEnding.TIME)
        assert outcome.files == ()
        assert "hook" not in outcome.logs
        assert "/ours" not in outcome.logs
    assert (await ran(light, "print('well')", "healthy")).logs == "well\n"


async def test_a_figure_that_cannot_be_saved_is_told_and_ends_nothing(path: Path) -> None:
    lies = "import matplotlib.pyplot as p\np.figure()\nsaves = p.Figure.savefig\np.Figure.savefig = lambda *a, **k: 1 / 0"
    outcome = await ran(path, lies, "healthy")
    assert (outcome.ending, outcome.files) == (CodeEnding.FAILED, ())
    assert "a figure could not be saved" in outcome.logs
    saved = await ran(path, "p.Figure.savefig = saves\np.show()", "healthy")
    assert [file.content[:4] for file in saved.files] == [b"\x89PNG"]


async def test_a_folder_of_another_session_is_not_there(light: Path) -> None:
    await ran(light, "open('secret.txt', 'w').write('of one')\nNone", "healthy")
    looks = "import os\nprint([f for _, _, fs in os.walk('/mnt') for f in fs], os.path.exists('/mnt/data/secret.txt'))"
    assert (await ran(light, looks, "neighbour")).logs == "[] False\n"


def jails_of(process: int) -> list[str]:
    """Processes of this host that this one started, and theirs."""
    parents: dict[str, list[str]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents.setdefault(status.read_text().rpartition(")")[2].split()[1], []).append(status.parent.name)
    found, open_ones = [], [str(process)]
    while open_ones:
        children = parents.get(open_ones.pop(), [])
        found += children
        open_ones += children
    return found


async def test_a_worker_that_is_killed_answers_nothing_runs_nothing_twice_and_leaves_nothing() -> None:
    with worker("python", "--sessions", "2") as (process, path):
        assert (await ran(path, "x = 1\nx", key="answered")).logs == "1\n"
        running = asyncio.create_task(ran(path, "import time\ntime.sleep(30)", key="broken-off"))
        coming = asyncio.create_task(fed_until_killed(path))
        await wait_until(lambda: Opening.began)
        await asyncio.sleep(0.2)
        left = jails_of(process.pid)
        assert left
        process.kill()
        assert await running == CodeOutcome(CodeEnding.LOST)
        with pytest.raises(CodeUnavailable):
            await coming
        process.wait(10)
        with pytest.raises(CodeUnavailable):
            await ran(path, "1", key="after")
        await wait_until(lambda: not any(Path(f"/proc/{one}").exists() for one in left), most_s=10)


class Opening:
    """A file that never comes to its end."""

    began = False

    async def __call__(self) -> AsyncIterator[bytes]:
        yield b"a" * 1000
        Opening.began = True
        await asyncio.sleep(2)
        yield b"a" * 1000


async def fed_until_killed(path: Path) -> CodeOutcome:
    async with SocketCodeRunner(path) as runner:
        return await runner.run(CodeWanted(session("fed"), "fed", "1", [GivenFile("endless", "endless.bin", 2000, Opening())]))


COMPUTE_S = 1


@pytest.fixture(scope="module")
def compute() -> Iterator[Path]:
    with worker("compute", "--call-s", str(COMPUTE_S)) as (_, path):
        yield path


COMPUTE_HELD = {
    "a file": "open('/etc/passwd').read()",
    "a file to write": "import pathlib\npathlib.Path('/tmp/left-by-code').write_text('x')",
    "a listing": "import os\nos.listdir('/')",
    "the environment": "import os\nos.environ['PATH']",
    "a variable": "import os\nos.getenv('PATH') or missing",
    "a program": "import os\nos.system('id')",
    "a process": "import subprocess",
    "a socket": "import socket",
    "memory": "import ctypes",
    "a pickle": "import pickle",
    "a package": "import numpy",
    "an import by name": "__import__('subprocess')",
    "all classes": "().__class__.__base__.__subclasses__()",
    "frames": "import sys\nsys._getframe(0).f_globals",
    "modules": "import sys\nsys.modules['os'].system('id')",
    "code objects": "(lambda: 1).__code__.replace(co_code=b'')",
    "globals of a function": "(lambda: 1).__globals__['__builtins__']",
    "a format that reads": "'{0.__class__.__init__.__globals__}'.format(open)",
}


@pytest.mark.parametrize("wants", sorted(COMPUTE_HELD))
async def test_code_of_the_small_tier_gets_nothing_of_the_system_and_goes_on(compute: Path, wants: str) -> None:
    outcome = await ran(compute, COMPUTE_HELD[wants], "held")
    assert outcome.ending is CodeEnding.FAILED, outcome
    assert (await ran(compute, "'on'", "held")).logs == "'on'\n"


COMPUTE_ENDS = {
    "no end": "while True: pass",
    "a long sleep": "import time\ntime.sleep(60)",
    "a large text": "'a' * (1 << 30)",
    "a large number": "10 ** 10 ** 10",
    "a large format": "'%1000000000d' % 1",
    "a large list": "held = []\nwhile True: held.append('x' * 100000)",
    "a slow pattern": "import re\nre.match('(a+)+$', 'a' * 60 + 'b')",
    "a deep value": "held = []\nfor _ in range(200000): held = [held]\nheld",
    "deep code": "(" * 5000 + ")" * 5000,
    "a deep call": "def call(n): return call(n + 1)\ncall(0)",
    "a flood": "while True: print('x' * 10000)",
}


async def test_the_small_tier_ends_in_time_and_within_its_memory_whatever_is_asked(compute: Path) -> None:
    begun = asyncio.get_running_loop().time()
    outcomes = await asyncio.gather(*(ran(compute, code, f"small {name}") for name, code in COMPUTE_ENDS.items()))
    took = asyncio.get_running_loop().time() - begun
    allowed = {CodeEnding.FAILED, CodeEnding.TIME, CodeEnding.MEMORY, CodeEnding.BROKEN, CodeEnding.DONE}
    told = dict(zip(COMPUTE_ENDS, outcomes, strict=True))
    assert {outcome.ending for outcome in outcomes} <= allowed
    assert {name for name in ("no end", "a long sleep", "a flood") if told[name].ending is CodeEnding.TIME} == {
        "no end",
        "a long sleep",
        "a flood",
    }
    assert {told[name].ending for name in ("a large text", "a large list")} == {CodeEnding.MEMORY}
    assert all(len(outcome.logs) < 70_000 for outcome in outcomes)
    assert took < 25, "each within a second or two, two at a time"
    assert (await ran(compute, "6 * 7", "small after")).logs == "42\n"


async def test_a_killed_worker_of_the_small_tier_leaves_no_process() -> None:
    """The kernel ends none of it, but each ends with its pipes, at the latest when its call's time is over."""
    with worker("compute", "--call-s", "2") as (process, path):
        running = asyncio.create_task(ran(path, "while True: pass"))
        await wait_until(lambda: jails_of(process.pid) != [])
        await asyncio.sleep(0.2)
        left = jails_of(process.pid)
        process.kill()
        assert await running == CodeOutcome(CodeEnding.LOST)
        await wait_until(lambda: not any(Path(f"/proc/{one}").exists() for one in left), most_s=12)
