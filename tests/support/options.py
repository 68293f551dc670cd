"""What the suite runs over, and how long: chosen on pytest's command line (`tests/conftest.py`)."""

from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

SHORT_SHARE = 5
"""The short form of a property test plays one example in so many of the long form's."""


@dataclass
class Options:
    core: str = "embedded"
    """`embedded`, or `remote`: the sandbox bank over HTTP, wherever a whole gateway is asked."""

    is_long: bool = False
    """Whether the tests that have a short and a long form run in the long one."""


OPTIONS = Options()


def long_or(long: T, short: T) -> T:
    """The first in the long form of the suite, the second in the short one."""
    return long if OPTIONS.is_long else short


def examples(count: int) -> int:
    """How many examples a property test plays: `count` in the long form, its share in the short one."""
    return long_or(count, max(4, count // SHORT_SHARE))
