"""The time, as whoever needs it is given it."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Aware datetimes in UTC."""


def utc_now() -> datetime:
    return datetime.now(UTC)
