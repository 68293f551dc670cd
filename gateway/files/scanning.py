"""What looks at a file before anything else reads it: nothing, a command of the bank's, or ClamAV. What was not looked at is not taken."""

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from gateway.domain.errors import Unavailable

SCAN_S = 120
"""How long a look may take. One that takes longer counts as none."""

_CHUNK_BYTES = 64 * 1024
NO_SCAN = "file_scan_unavailable"


class FileScanner(Protocol):
    async def is_clean(self, content: AsyncIterator[bytes]) -> bool:
        """Whether this may be kept and read. Unavailable: whether it may is not known."""


class NoFileScanner:
    """Everything is taken as it is."""

    async def is_clean(self, content: AsyncIterator[bytes]) -> bool:
        return True


class CommandScanner:
    """A command that reads the file from its standard input: 0 is clean, 1 is not, anything else is no answer. `clamdscan -` is one."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    async def is_clean(self, content: AsyncIterator[bytes]) -> bool:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
        except OSError as error:
            raise Unavailable(NO_SCAN) from error
        try:
            async with asyncio.timeout(SCAN_S):
                await _fed(process.stdin, content)
                status = await process.wait()
        except TimeoutError:
            raise Unavailable(NO_SCAN) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if status not in (0, 1):
            raise Unavailable(NO_SCAN)
        return status == 0


class ClamdScanner:
    """A ClamAV daemon at `host:port`, or at the path of its socket, by the command INSTREAM of its protocol (clamd(8))."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def is_clean(self, content: AsyncIterator[bytes]) -> bool:
        try:
            async with asyncio.timeout(SCAN_S):
                answer = await self._asked(content)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            raise Unavailable(NO_SCAN) from error
        if answer == "stream: OK":
            return True
        if answer.startswith("stream: ") and answer.endswith(" FOUND"):
            return False
        raise Unavailable(NO_SCAN)

    async def _asked(self, content: AsyncIterator[bytes]) -> str:
        reader, writer = await self._connected()
        try:
            writer.write(b"zINSTREAM\0")
            async for part in content:
                for at in range(0, len(part), _CHUNK_BYTES):
                    chunk = part[at : at + _CHUNK_BYTES]
                    writer.write(struct.pack("!I", len(chunk)) + chunk)
                    await writer.drain()
            writer.write(struct.pack("!I", 0))
            await writer.drain()
            return (await reader.readuntil(b"\0"))[:-1].decode("utf-8", "replace").strip()
        finally:
            writer.close()

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._address.startswith("/"):
            return await asyncio.open_unix_connection(self._address)
        host, _, port = self._address.rpartition(":")
        return await asyncio.open_connection(host, int(port))


async def _fed(to: asyncio.StreamWriter | None, content: AsyncIterator[bytes]) -> None:
    if to is None:
        raise Unavailable(NO_SCAN)
    try:
        async for part in content:
            to.write(part)
            await to.drain()
        to.close()
        await to.wait_closed()
    except (BrokenPipeError, ConnectionResetError):  # it has seen enough
        return
