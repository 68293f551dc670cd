"""SIGINT and SIGTERM: the first asks the process to end in order, the second ends it at once.

To end at once is as safe as a crash, and no safer: what was recorded is durable, and the next start goes on with it.
"""

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

ASKED = (signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True)
class StopRequest:
    """`by`: the signal that asked; None as long as none did."""

    by: signal.Signals | None = None

    @property
    def status(self) -> int:
        """The exit status of a process that ended in order: of SIGTERM it is 0, since that is how a service is ended."""
        return 128 + signal.SIGINT if self.by is signal.SIGINT else 0


@contextlib.contextmanager
def asked_to_stop(stop: Callable[[], None], *, kept: bool = False) -> Iterator[StopRequest]:
    """While it lasts, the first of these signals calls `stop` on the running loop; another one then ends the process at once.

    `kept`: another process keeps this one, asks it by SIGTERM, maybe twice, and ends it by force if need be. SIGINT, which a terminal
    sends to both, is for the keeper alone. In a thread there are no signals, and nothing is done.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    loop, asking = asyncio.get_running_loop(), (signal.SIGTERM,) if kept else ASKED
    before = {item: signal.getsignal(item) for item in asking}

    def asked(by: signal.Signals) -> None:
        request.by = request.by or by
        if not kept:
            for item in asking:
                loop.remove_signal_handler(item)
                signal.signal(item, signal.SIG_DFL)  # the system's own way, which a busy loop cannot delay
        stop()

    for item in asking:
        loop.add_signal_handler(item, asked, item)
    try:
        yield request
    finally:
        for item in asking:
            loop.remove_signal_handler(item)
            signal.signal(item, before[item])
