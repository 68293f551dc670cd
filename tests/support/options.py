"""What the suite runs over, chosen on pytest's command line (`tests/conftest.py`)."""

from dataclasses import dataclass


@dataclass
class Options:
    core: str = "embedded"
    """`embedded`, or `remote`: the sandbox bank over HTTP, wherever a whole gateway is asked."""


OPTIONS = Options()
