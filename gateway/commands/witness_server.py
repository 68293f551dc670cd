"""The HTTP side of a witness: one route, few bytes, and a thread for what waits for the disk. Knows nothing of a gateway."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Generator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from audit.witness.protocol import BODY_MOST, SIZE_TYPE, WitnessRefusal
from audit.witness.state import Witness, WitnessUnavailable

BODY_S = 10
"""How long a body may take to come."""

WAITING_MOST = 64
"""Submissions that wait for their turn; those beyond are asked to come again."""

CONNECTIONS = 256
_KEEP_ALIVE_S = 60
_RETRY = {"retry-after": "1"}


@dataclass(frozen=True, slots=True)
class WitnessAddress:
    """Where it listens; with TLS where there is a certificate (PEM, and its key)."""

    host: str
    port: int
    certificate: Path | None = None
    key: Path | None = None

    @property
    def is_private(self) -> bool:
        """Whether what goes to and fro cannot be changed on the way: TLS, or loopback."""
        return self.certificate is not None or self.host in ("127.0.0.1", "::1", "localhost")


def application(witness: Witness) -> Starlette:
    """`POST /add-checkpoint` of C2SP tlog-witness."""
    waiting = 0

    async def add_checkpoint(request: Request) -> Response:
        nonlocal waiting
        if waiting >= WAITING_MOST:
            return _said(HTTPStatus.SERVICE_UNAVAILABLE, "too many submissions at once", _RETRY)
        waiting += 1
        try:
            async with asyncio.timeout(BODY_S):
                body = await _body(request)
            if body is None:
                return _said(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a submission has at most {BODY_MOST} bytes")
            return Response(await asyncio.to_thread(witness.add_checkpoint, body), media_type="text/plain; charset=utf-8")
        except WitnessRefusal as refusal:
            return _refused(refusal)
        except WitnessUnavailable as error:
            return _said(HTTPStatus.SERVICE_UNAVAILABLE, str(error), _RETRY)
        except (TimeoutError, ClientDisconnect):
            return _said(HTTPStatus.REQUEST_TIMEOUT, "the body did not come in time")
        finally:
            waiting -= 1

    return Starlette(routes=[Route("/add-checkpoint", add_checkpoint, methods=["POST"])])


async def serve_witness(witness: Witness, address: WitnessAddress, told: Callable[[str], None]) -> int:
    """Serve until SIGINT (130) or SIGTERM (0); the exit status. `told`: is given the URL once it listens. OSError."""
    listening = _bound(address)
    config = uvicorn.Config(
        application(witness),
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=BODY_S,
    )
    shown = f"[{address.host}]" if ":" in address.host else address.host
    url = f"{'http' if address.certificate is None else 'https'}://{shown}:{listening.getsockname()[1]}"
    server, loop, by = _Server(config, lambda: told(url)), asyncio.get_running_loop(), list[signal.Signals]()

    def asked(which: signal.Signals) -> None:
        by.append(which)
        server.should_exit = True

    for which in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(which, asked, which)
    await server.serve(sockets=[listening])
    return 128 + signal.SIGINT if by and by[0] is signal.SIGINT else 0


class _Server(uvicorn.Server):
    """uvicorn raises each signal again once it has ended; here the status says what ended it. `told`: is called once it serves."""

    def __init__(self, config: uvicorn.Config, told: Callable[[], None]) -> None:
        super().__init__(config)
        self._told = told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._told()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _bound(address: WitnessAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family, backlog=CONNECTIONS)


async def _body(request: Request) -> bytes | None:
    """The whole body, None where it is too large."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > BODY_MOST:
            return None
    return content


def _refused(refusal: WitnessRefusal) -> Response:
    if refusal.held is not None:
        return Response(f"{refusal.held}\n", status_code=refusal.status, headers={"content-type": SIZE_TYPE})
    return _said(refusal.status, str(refusal))


def _said(status: HTTPStatus, reason: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(f"{reason}\n", status_code=status, headers=headers)
