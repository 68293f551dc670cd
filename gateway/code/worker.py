"""The worker's side: takes calls over a Unix socket and runs them in its sessions. Holds no secret, and keeps nothing on any disk."""

import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from aiohttp import web

from gateway.code.port import CodeUnavailable
from gateway.code.sessions import CodeSessions, FilesMissing, KeyTaken
from gateway.code.wire import (
    KEY_FORM,
    READY_PATH,
    SESSION_FORM,
    SESSIONS_PATH,
    CallMalformed,
    Exactly,
    outcome_frames,
    pieces,
    read_call,
)

_EXPIRES_S = 10
"""Seconds between two looks at what is idle."""

_BODY_S = 120
"""Seconds in which the next part of a body must come."""


class SocketTaken(Exception):
    """Something else is where the socket is to be, or listens there; the message says what."""


def application(sessions: CodeSessions, tier: str) -> web.Application:
    """The routes of a worker. `tier`: what it says of itself."""
    app = web.Application(client_max_size=0)

    def is_other(request: web.Request) -> web.StreamResponse | None:
        """Models were told what they can do: who asks for another tier gets nothing run."""
        if request.query.get("tier", tier) == tier:
            return None
        return web.json_response({"problem": f"this worker is of the tier {tier}, and another is asked for"}, status=503)

    async def run(request: web.Request) -> web.StreamResponse:
        session, key = request.match_info["session"], request.match_info["key"]
        if not SESSION_FORM.fullmatch(session) or not KEY_FORM.fullmatch(key):
            return web.json_response({"problem": "no session, or no key"}, status=400)
        if (other := is_other(request)) is not None:
            return other
        exactly = _exactly(request)
        try:
            asked, coming = await read_call(session, key, exactly)
            outcome = await sessions.run(asked, {item: pieces(exactly) for item in coming})
        except FilesMissing as missing:
            return web.json_response({"missing": list(missing.identifiers)}, status=428)
        except KeyTaken:
            return web.json_response({"problem": "other code has run under this key"}, status=409)
        except CodeUnavailable as unavailable:
            return web.json_response({"problem": unavailable.problem}, status=503)
        except (CallMalformed, asyncio.IncompleteReadError, ConnectionError, TimeoutError):
            return web.json_response({"problem": "no call"}, status=400)
        answer = web.StreamResponse()
        with suppress(ConnectionError):  # who asked is gone; the outcome waits for who asks again
            await answer.prepare(request)
            for part in outcome_frames(outcome):
                await answer.write(part)
            await answer.write_eof()
        return answer

    async def forget(request: web.Request) -> web.StreamResponse:
        await sessions.forget(request.match_info["session"])
        return web.Response(status=204)

    async def ready(request: web.Request) -> web.StreamResponse:
        if (other := is_other(request)) is not None:
            return other
        return web.json_response({"status": "ready", "tier": tier, "sessions": len(sessions)})

    app.router.add_post(f"{SESSIONS_PATH}/{{session}}/calls/{{key}}", run)
    app.router.add_delete(f"{SESSIONS_PATH}/{{session}}", forget)
    app.router.add_get(READY_PATH, ready)
    return app


def _exactly(request: web.Request) -> Exactly:
    async def exactly(size: int) -> bytes:
        async with asyncio.timeout(_BODY_S):
            return await request.content.readexactly(size)

    return exactly


@asynccontextmanager
async def listening(sessions: CodeSessions, tier: str, path: Path, *, mode: int = 0o600) -> AsyncIterator[None]:
    """Serves calls at this socket while it lasts; then ends all sessions, and removes the socket. SocketTaken; OSError."""
    await asyncio.to_thread(_make_room, path)
    server = web.AppRunner(application(sessions, tier), access_log=None, shutdown_timeout=1)
    await server.setup()
    before = os.umask(0o777 & ~mode)
    try:
        site = web.UnixSite(server, str(path))
        await site.start()
    finally:
        os.umask(before)
    expiring = asyncio.create_task(_expiring(sessions))
    try:
        yield
    finally:
        expiring.cancel()
        await sessions.close()
        await server.cleanup()
        await asyncio.to_thread(path.unlink, missing_ok=True)


async def _expiring(sessions: CodeSessions) -> None:
    while True:
        await asyncio.sleep(_EXPIRES_S)
        await sessions.expire()


def _make_room(path: Path) -> None:
    """Removes the socket of a worker that ended without doing so."""
    try:
        state = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(state.st_mode):
        raise SocketTaken(f"{path} is there, and no socket: name another path")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink()
            return
    raise SocketTaken(f"another process listens at {path}: end it, or name another path")
