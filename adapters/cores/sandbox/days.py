"""The bank's days: its time zone and cut-off, the working days of England and Wales, and the days on which a standing order pays. Pure.

A day belongs to the bank: it begins at midnight in London, whatever UTC says. Payments that were planned are made on working days; one
that falls on another day moves to the next.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from adapters.core import Frequency

ZONE = ZoneInfo("Europe/London")
CUT_OFF = time(15, 30)
"""In the bank's zone: from then on nothing more is planned for the same day."""

MOST_AHEAD = timedelta(days=10 * 366)
"""How far from today the day of a planned payment, or the first one of a standing order, may be."""

_DAY = timedelta(days=1)
_MONDAY = 0

_PROCLAIMED = frozenset({date(2022, 6, 3), date(2022, 9, 19), date(2023, 5, 8)})
"""Days that were given once, by proclamation: the two jubilee and funeral days of 2022, the coronation of 2023."""

_MOVED = {date(2020, 5, 4): date(2020, 5, 8), date(2022, 5, 30): date(2022, 6, 2)}
"""Mondays of the rule that were no holidays, and the days that were given for them."""


def bank_day(now: datetime) -> date:
    """The bank's day at this moment (an aware datetime)."""
    return now.astimezone(ZONE).date()


def is_past_cut_off(now: datetime) -> bool:
    """Whether it is too late, at this moment, to plan a payment for the same bank day."""
    return now.astimezone(ZONE).time() >= CUT_OFF


def working_day(day: date) -> date:
    """This day, or the next on which planned payments are made."""
    while day.weekday() > 4 or day in bank_holidays(day.year):
        day += _DAY
    return day


@cache
def bank_holidays(year: int) -> frozenset[date]:
    """The bank holidays of England and Wales in this year: those of the Banking and Financial Dealings Act 1971 and its proclamations.

    A New Year's Day, Christmas Day or Boxing Day at a weekend is made up for on the next day that is none. Known from 2020 on.
    """
    easter = _easter(year)
    fixed = {
        easter - 2 * _DAY,
        easter + _DAY,
        _first_monday(year, 5),
        _last_monday(year, 5),
        _last_monday(year, 8),
    }
    days = {_MOVED.get(day, day) for day in fixed} | {day for day in _PROCLAIMED if day.year == year}
    for day in (date(year, 1, 1), date(year, 12, 25), date(year, 12, 26)):
        days.add(next(given for given in (day + after * _DAY for after in range(7)) if given.weekday() < 5 and given not in days))
    return frozenset(days)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The days of a standing order, before any of them is moved: counted from `first_on`, in steps of its frequency.

    `month_day` is the day of the month that is meant (1 to 31): a shorter month has its last day in its place, and the months after it
    go back to the day that was meant.
    """

    first_on: date
    frequency: Frequency
    month_day: int

    def day(self, turn: int) -> date:
        """The day of this turn; 0 is the first. OverflowError or ValueError beyond the year 9999."""
        if self.frequency in _DAYS:
            return self.first_on + turn * _DAYS[self.frequency]
        months = self.first_on.month - 1 + turn * _MONTHS[self.frequency]
        year, month = self.first_on.year + months // 12, months % 12 + 1
        return date(year, month, min(self.month_day, monthrange(year, month)[1]))

    def changed(self, turn: int, frequency: Frequency) -> "Schedule":
        """The schedule that goes on from this turn's day at another frequency."""
        first_on = self.day(turn)
        keeps = self.frequency in _MONTHS and frequency in _MONTHS
        return Schedule(first_on, frequency, self.month_day if keeps else first_on.day)


_DAYS = {Frequency.WEEKLY: 7 * _DAY, Frequency.FORTNIGHTLY: 14 * _DAY}
_MONTHS = {Frequency.MONTHLY: 1, Frequency.QUARTERLY: 3, Frequency.YEARLY: 12}


def _first_monday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + (_MONDAY - first.weekday()) % 7 * _DAY


def _last_monday(year: int, month: int) -> date:
    last = date(year, month, monthrange(year, month)[1])
    return last - (last.weekday() - _MONDAY) % 7 * _DAY


def _easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar, by the computus of Meeus, Jones and Butcher."""
    golden = year % 19
    century, in_century = divmod(year, 100)
    moon = (19 * golden + century - century // 4 - (century - (century + 8) // 25 + 1) // 3 + 15) % 30
    weekday = (32 + 2 * (century % 4) + 2 * (in_century // 4) - moon - in_century % 4) % 7
    late = (golden + 11 * moon + 22 * weekday) // 451
    month, day = divmod(moon + weekday - 7 * late + 114, 31)
    return date(year, month, day + 1)
