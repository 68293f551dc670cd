"""Ctrl-C while modules are imported."""

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def ended_by_an_interrupt() -> Iterator[None]:
    """While modules are imported nothing has begun, and Ctrl-C may end the process at once: as an exception it would come out of the middle
    of somebody's class body.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
