"""When a model's server is asked again: as it says, within bounds, and else after waits that grow."""

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from hypothesis import given
from hypothesis import strategies as st

from gateway.runs.exchange import _asked_wait_s, _is_passing, _wait_s

STATUSES = st.integers(200, 599)


@given(st.floats(0.001, 1e9))
def test_a_number_is_read_and_milliseconds_come_first(seconds: float) -> None:
    assert _asked_wait_s({"retry-after": repr(seconds)}) == seconds
    assert _asked_wait_s({"retry-after": "7", "retry-after-ms": repr(seconds)}) == seconds / 1000


@given(st.integers(-100_000, 100_000))
def test_a_date_is_read_by_the_servers_own_clock(seconds: int) -> None:
    now = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    at = format_datetime(now + timedelta(seconds=seconds), usegmt=True)
    assert _asked_wait_s({"retry-after": at, "date": format_datetime(now, usegmt=True)}) == seconds
    assert _asked_wait_s({"retry-after": at}) is None


@given(st.text())
def test_whatever_it_says_the_wait_is_a_time_that_can_be_waited(said: str) -> None:
    found = _asked_wait_s({"retry-after": said})
    if _is_passing(503, found):
        assert 0 < _wait_s(0, found) <= 120


@given(st.sampled_from(["nan", "inf", "-inf", "1e999", "-5", "121"]), st.integers(0, 2000))
def test_what_is_no_wait_is_none(said: str, tried: int) -> None:
    found = _asked_wait_s({"retry-after": said})
    assert not _is_passing(503, found) or 0.375 <= _wait_s(tried, found) <= 8


@given(st.integers(0, 2000))
def test_waits_grow_and_end(tried: int) -> None:
    longest = min(0.5 * 2 ** min(tried, 20), 8.0)
    assert longest * 0.75 <= _wait_s(tried, None) <= longest
    assert math.isfinite(_wait_s(tried, None))


@given(STATUSES, st.one_of(st.none(), st.floats(allow_nan=True)))
def test_only_what_may_pass_is_asked_again(status: int, asked_s: float | None) -> None:
    if _is_passing(status, asked_s):
        assert status in (200, 408, 409, 429) or status >= 500
        assert asked_s is None or not asked_s > 120
