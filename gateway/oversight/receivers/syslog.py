"""Messages by syslog over TLS (RFC 5425), one connection for each batch.

Syslog has no acknowledgement of its own. RFC 5425 section 4.4 has one for the connection: who gets `close_notify` must answer it, and it
comes behind all messages. So a batch is acknowledged by the receiver's `close_notify`, and by nothing less: a cut connection is none, nor
is a receiver that ends by itself. That one resets the connection where it has not read all that its kernel took (TCP, RFC 2525 section
2.17), hence the order: all octets with its kernel, then our `close_notify`, its own, and an end without a reset. What a receiver has read
and then loses, it has lost: syslog has no word for that.
"""

import asyncio
import contextlib
import fcntl
import socket
import ssl
import struct
import termios
import time
from concurrent.futures import ThreadPoolExecutor

from audit.streams.syslog import framed, message
from gateway.oversight.streams import StreamBatch, StreamNotTaken

TIMEOUT_S = 15.0


class SyslogReceiver:
    """Sends to one host and port, in a thread of its own: a receiver that stalls holds up nobody else."""

    def __init__(self, host: str, port: int, tls: ssl.SSLContext, *, timeout_s: float = TIMEOUT_S) -> None:
        self._host, self._port, self._tls, self._timeout_s = host, port, tls, timeout_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="stream")

    async def send(self, batch: StreamBatch) -> int:
        octets = b"".join(framed(message(record, line)) for record, line in batch.lines)
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._told, octets)
        except OSError as error:  # an SSLError and a TimeoutError are OSErrors
            raise StreamNotTaken(type(error).__name__) from None
        return len(batch.lines)

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown)

    def _told(self, octets: bytes) -> None:
        """Returns once the receiver has closed in order. OSError."""
        deadline = time.monotonic() + self._timeout_s
        with socket.create_connection((self._host, self._port), timeout=self._timeout_s) as plain:
            plain.settimeout(_left_s(deadline))
            with self._tls.wrap_socket(plain, server_hostname=self._host) as secured:
                at = 0
                while at < len(octets):
                    secured.settimeout(_left_s(deadline))
                    at += secured.send(octets[at : at + 16_384])
                _wait_until_taken(secured, deadline)
                _refuse_ended(secured)
                secured.settimeout(_left_s(deadline))
                with secured.unwrap() as ended:
                    ended.settimeout(_left_s(deadline))
                    if ended.recv(1):
                        raise ConnectionError("octets behind the end")


def _wait_until_taken(secured: ssl.SSLSocket, deadline: float) -> None:
    """Until the receiver's kernel has every octet (SIOCOUTQ of Linux)."""
    while struct.unpack("i", fcntl.ioctl(secured.fileno(), termios.TIOCOUTQ, bytes(4)))[0]:
        time.sleep(min(0.002, _left_s(deadline)))


def _refuse_ended(secured: ssl.SSLSocket) -> None:
    """ConnectionError where the receiver has ended by itself, which acknowledges nothing."""
    secured.settimeout(0)
    with contextlib.suppress(ssl.SSLWantReadError):
        secured.recv(1)
        raise ConnectionError("the receiver ended by itself")


def _left_s(deadline: float) -> float:
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError
    return left_s
