"""The log of the process: one JSON object a line, to standard error, from the level that the settings say."""

import logging

from gateway.app.settings import Settings


def start_logging(settings: Settings) -> None:
    """For the process that serves. Each line is JSON already, and whoever logs holds no input in it."""
    logging.basicConfig(level=settings.log_level.upper(), format="%(message)s")
    # No line names them, and to find them out costs each line of the access log microseconds ("Optimization" in logging's HOWTO)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
