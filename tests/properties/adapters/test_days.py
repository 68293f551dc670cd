"""The bank's days: its zone, its holidays, and the days of a standing order."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.core import Frequency
from adapters.cores.sandbox.days import Schedule, bank_day, bank_holidays, is_past_cut_off, working_day

# As published by the government for England and Wales.
PUBLISHED = {
    2020: "01-01 04-10 04-13 05-08 05-25 08-31 12-25 12-28",
    2021: "01-01 04-02 04-05 05-03 05-31 08-30 12-27 12-28",
    2022: "01-03 04-15 04-18 05-02 06-02 06-03 08-29 09-19 12-26 12-27",
    2023: "01-02 04-07 04-10 05-01 05-08 05-29 08-28 12-25 12-26",
    2024: "01-01 03-29 04-01 05-06 05-27 08-26 12-25 12-26",
    2025: "01-01 04-18 04-21 05-05 05-26 08-25 12-25 12-26",
    2026: "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28",
    2027: "01-01 03-26 03-29 05-03 05-31 08-30 12-27 12-28",
    2028: "01-03 04-14 04-17 05-01 05-29 08-28 12-25 12-26",
}

days = st.dates(date(2020, 1, 1), date(2090, 1, 1))
frequencies = st.sampled_from(Frequency)
schedules = st.builds(lambda first_on, frequency: Schedule(first_on, frequency, first_on.day), days, frequencies)


@pytest.mark.parametrize("year", sorted(PUBLISHED))
def test_the_holidays_are_those_that_were_published(year: int) -> None:
    assert sorted(f"{day:%m-%d}" for day in bank_holidays(year)) == PUBLISHED[year].split()


@given(days)
def test_a_working_day_is_the_first_that_is_one(day: date) -> None:
    found = working_day(day)
    assert found.weekday() < 5
    assert found not in bank_holidays(found.year)
    assert timedelta(0) <= found - day <= timedelta(days=5)
    for between in range((found - day).days):
        passed = day + timedelta(days=between)
        assert passed.weekday() > 4 or passed in bank_holidays(passed.year)


@pytest.mark.parametrize(
    ("first_on", "frequency", "expected"),
    [
        (date(2026, 1, 31), Frequency.MONTHLY, "2026-01-31 2026-02-28 2026-03-31 2026-04-30 2026-05-31"),
        (date(2024, 1, 31), Frequency.MONTHLY, "2024-01-31 2024-02-29 2024-03-31 2024-04-30 2024-05-31"),
        (date(2026, 1, 30), Frequency.MONTHLY, "2026-01-30 2026-02-28 2026-03-30"),
        (date(2025, 11, 30), Frequency.QUARTERLY, "2025-11-30 2026-02-28 2026-05-30 2026-08-30"),
        (date(2024, 2, 29), Frequency.YEARLY, "2024-02-29 2025-02-28 2026-02-28 2027-02-28 2028-02-29"),
        (date(2025, 12, 24), Frequency.WEEKLY, "2025-12-24 2025-12-31 2026-01-07"),
        (date(2026, 3, 20), Frequency.FORTNIGHTLY, "2026-03-20 2026-04-03 2026-04-17"),
    ],
    ids=str,
)
def test_a_schedule_keeps_the_day_that_was_meant(first_on: date, frequency: Frequency, expected: str) -> None:
    schedule = Schedule(first_on, frequency, first_on.day)
    assert [schedule.day(turn).isoformat() for turn in range(len(expected.split()))] == expected.split()


@given(schedules, st.integers(0, 200))
def test_turns_are_a_period_apart_and_no_two_are_paid_on_one_day(schedule: Schedule, turn: int) -> None:
    one, other = schedule.day(turn), schedule.day(turn + 1)
    least, most = {
        Frequency.WEEKLY: (7, 7),
        Frequency.FORTNIGHTLY: (14, 14),
        Frequency.MONTHLY: (28, 31),
        Frequency.QUARTERLY: (89, 92),
        Frequency.YEARLY: (365, 366),
    }[schedule.frequency]
    assert least <= (other - one).days <= most
    assert working_day(one) < working_day(other)


@given(schedules, st.integers(0, 40), frequencies)
def test_another_frequency_goes_on_from_the_same_day(schedule: Schedule, turn: int, frequency: Frequency) -> None:
    changed = schedule.changed(turn, frequency)
    assert changed.day(0) == schedule.day(turn)
    by_month = {Frequency.MONTHLY, Frequency.QUARTERLY, Frequency.YEARLY}
    if {schedule.frequency, frequency} <= by_month:
        assert changed.month_day == schedule.month_day, "the 31st is still meant after a February"


@pytest.mark.parametrize(
    ("moment", "day", "is_past"),
    [
        (datetime(2026, 3, 28, 23, 59, 59, tzinfo=UTC), date(2026, 3, 28), True),
        (datetime(2026, 3, 29, 0, 0, tzinfo=UTC), date(2026, 3, 29), False),  # winter time still
        (datetime(2026, 3, 29, 22, 59, 59, tzinfo=UTC), date(2026, 3, 29), True),
        (datetime(2026, 3, 29, 23, 0, tzinfo=UTC), date(2026, 3, 30), False),  # summer time: midnight in London
        (datetime(2026, 10, 24, 23, 0, tzinfo=UTC), date(2026, 10, 25), False),  # the last summer midnight
        (datetime(2026, 10, 25, 23, 30, tzinfo=UTC), date(2026, 10, 25), True),  # a day of 25 hours
        (datetime(2026, 10, 26, 0, 0, tzinfo=UTC), date(2026, 10, 26), False),
        (datetime(2026, 3, 27, 15, 29, 59, tzinfo=UTC), date(2026, 3, 27), False),
        (datetime(2026, 3, 27, 15, 30, tzinfo=UTC), date(2026, 3, 27), True),
        (datetime(2026, 3, 30, 14, 29, 59, tzinfo=UTC), date(2026, 3, 30), False),
        (datetime(2026, 3, 30, 14, 30, tzinfo=UTC), date(2026, 3, 30), True),
    ],
    ids=str,
)
def test_a_day_begins_and_is_cut_off_by_the_clocks_in_london(moment: datetime, day: date, is_past: bool) -> None:
    assert (bank_day(moment), is_past_cut_off(moment)) == (day, is_past)
