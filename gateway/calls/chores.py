"""A background task that fails raises an alarm and goes on at its next turn."""

import contextlib
import logging
from collections.abc import Iterator

from gateway.domain.alarms import Alarm, Chore

_LOG = logging.getLogger("tellergate.recovery")


@contextlib.contextmanager
def alarmed(chore: Chore) -> Iterator[None]:
    """A chore that fails is an alarm, and has its next turn."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # a chore that died in silence would leave the log without checkpoints
        _LOG.log(*Alarm.CHORE_FAILED.line(chore=chore.value, cause=type(error).__name__))
