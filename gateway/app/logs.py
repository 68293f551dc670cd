"""The log of the process: one JSON object a line, to standard error, from the level that the settings say."""

import json
import logging
from datetime import UTC, datetime
from pathlib import PurePath

from gateway.app.settings import Settings

OWN = "tellergate"
"""The root of this gateway's loggers, whose lines are JSON already, and hold no input."""

_TELLS_INPUT = "mcp"
"""A package whose messages repeat what a client sent."""

_MESSAGE_MOST = 500


class _OneLine(logging.Formatter):
    """A library's line as ours are: no line ends in it, no trace, and no message of a package that repeats what was sent."""

    def format(self, record: logging.LogRecord) -> str:
        root = record.name.partition(".")[0]
        if root == OWN:
            return record.getMessage()
        told: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "library": record.name,
            "at": f"{PurePath(record.pathname).name}:{record.lineno}",
        }
        if root != _TELLS_INPUT:
            told["message"] = record.getMessage()[:_MESSAGE_MOST]
        if record.exc_info and record.exc_info[0] is not None:
            told["error"] = record.exc_info[0].__name__
        return json.dumps(told)


def start_logging(settings: Settings) -> None:
    """For the process that serves. Each line is one of JSON, and whoever logs holds no input in it."""
    written = logging.StreamHandler()
    written.setFormatter(_OneLine())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[written])
    logging.getLogger(_TELLS_INPUT).setLevel(logging.WARNING)  # it has a line for each request, and so have we
    # No line names them, and to find them out costs each line of the access log microseconds ("Optimization" in logging's HOWTO)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
