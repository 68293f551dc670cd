"""`tellergate code`: the code interpreter's worker, and whether it takes calls."""

import argparse
import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Iterator

import uvloop

from gateway.app.stopping import asked_to_stop
from gateway.code.client import SocketCodeRunner
from gateway.code.interpreter import Interpreter
from gateway.code.sessions import CodeSessions, SessionBounds
from gateway.code.worker import SocketTaken, listening
from gateway.commands.printing import GOOD, UNAVAILABLE, USAGE, failed, print_json
from gateway.sandbox.port import MEBIBYTE

_SESSIONS = {"compute": 64, "python": 4}
_CALL_S = {"compute": 5, "python": 60}
_RANGES = {"sessions": (1, 1000), "at_once": (1, 256), "call_s": (1, 180), "idle_s": (10, 86_400), "memory_mib": (512, 65_536)}
_OURS = "TELLERGATE_"


def serve(options: argparse.Namespace) -> int:
    """Run code until SIGINT, which is told as interrupted, or SIGTERM; with --until-eof, until standard input ends."""
    for name, by_tier in (("sessions", _SESSIONS), ("call_s", _CALL_S)):
        if getattr(options, name) is None:
            setattr(options, name, by_tier[options.tier])
    for name, (least, most) in _RANGES.items():
        if not least <= getattr(options, name) <= most:
            return failed(f"--{name.replace('_', '-')} is from {least} to {most}", USAGE)
    if held := sorted(name for name in os.environ if name.startswith(_OURS)):
        problem = f"its environment has what is the gateway's ({', '.join(held)}), and code of strangers runs beside it"
        return failed(f"{problem}: start it without", USAGE)
    if options.socket.parent.is_dir() and options.socket.parent.stat().st_mode & 0o002:
        return failed(f"anybody can put another socket into {options.socket.parent}: name a folder that others cannot write", USAGE)
    try:
        made, refusal = _tier(options)
    except ImportError:
        return failed("the extra `code` is not installed: pip install 'tellergate[code]'", USAGE)
    if refusal is not None:
        return failed(f"{refusal}; see `Documents in a sandbox` in the operators' guide", UNAVAILABLE)
    os.environ.clear()  # nothing that is started from here has any of it
    bounds = SessionBounds(sessions=options.sessions, at_once=options.at_once, idle_s=options.idle_s)
    try:
        return uvloop.run(_served(options, made, bounds))
    except SocketTaken as taken:
        return failed(str(taken), USAGE)
    except OSError as error:
        return failed(f"no socket can be made at {options.socket}: {error.strerror}", USAGE)


def status(options: argparse.Namespace) -> int:
    """Whether a worker takes calls at a socket."""

    async def asked() -> str | None:
        async with SocketCodeRunner(options.socket) as runner:
            return await runner.problem()

    problem = uvloop.run(asked())
    if problem is not None:
        if options.json:
            print_json({"status": "unavailable", "problem": problem})
        return failed(f"{problem}; is `tellergate code serve` running at {options.socket}?", UNAVAILABLE)
    if options.json:
        print_json({"status": "ready"})
    else:
        print("ready")
    return GOOD


def _tier(options: argparse.Namespace) -> tuple[Callable[[], Interpreter], str | None]:
    """What makes the interpreter, and why this host cannot run it. ImportError: its extra is not installed."""
    if options.tier == "compute":
        from gateway.code.compute import MontyInterpreter

        return lambda: MontyInterpreter(call_s=options.call_s), None
    from gateway.code.jailed import JailedInterpreter, refusal
    from gateway.sandbox.session import SessionLimits

    limits = SessionLimits(wall_s=options.call_s, cpu_s=options.call_s, memory_bytes=options.memory_mib * MEBIBYTE)

    def made() -> Interpreter:
        interpreter = JailedInterpreter(limits)
        interpreter.make_ready()
        return interpreter

    return made, refusal()


async def _served(options: argparse.Namespace, made: Callable[[], Interpreter], bounds: SessionBounds) -> int:
    stopped = asyncio.Event()
    with asked_to_stop(stopped.set) as request, _ended_by_input(stopped, asked=options.until_eof):
        async with listening(CodeSessions(made(), bounds), options.tier, options.socket, mode=0o660 if options.group else 0o600):
            if options.json:
                print_json({"socket": str(options.socket), "tier": options.tier, "sessions": bounds.sessions})
            else:
                print(
                    f"runs code ({options.tier}) for who reaches {options.socket}: {bounds.sessions} sessions at once", flush=True
                )
            await stopped.wait()
    return request.status


@contextlib.contextmanager
def _ended_by_input(stopped: asyncio.Event, *, asked: bool) -> Iterator[None]:
    if not asked:
        yield
        return
    loop = asyncio.get_running_loop()

    def came() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            stopped.set()

    loop.add_reader(sys.stdin.fileno(), came)
    try:
        yield
    finally:
        loop.remove_reader(sys.stdin.fileno())
