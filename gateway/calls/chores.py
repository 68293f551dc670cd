"""A background task that fails raises an alarm and goes on at its next turn."""

import contextlib
import logging
from collections.abc import Iterator

_LOG = logging.getLogger("tellergate.recovery")


@contextlib.contextmanager
def alarmed(chore: str) -> Iterator[None]:
    """A chore that fails is an alarm, and has its next turn."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # a chore that died in silence would leave the log without checkpoints
        _LOG.warning('{"alarm": "chore_failed", "chore": "%s", "cause": "%s"}', chore, type(error).__name__)
