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

    explores: bool = False
    """Whether they look for what nobody has seen yet, for as long as that takes."""


OPTIONS = Options()


def long_or(long: T, short: T, explored: T | None = None) -> T:
    """The first in the long form of the suite, the second in the short one; `explored`, where there is one, where the suite explores."""
    if OPTIONS.explores and explored is not None:
        return explored
    return long if OPTIONS.is_long else short


def examples(count: int) -> int:
    """How many examples a property test plays: `count` in the long form, its share in the short one."""
    return long_or(count, max(4, count // SHORT_SHARE))
