"""Days in tokens: "today", "on Friday", "24 December", "2026-12-24". What may be two days ("03/04", "next Friday") is not read. Pure."""

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from gateway.domain.reading import SaidDay
from gateway.grounding.grammar import ENGLISH
from gateway.grounding.tokens import Piece, Token

_ENDINGS = {"st", "nd", "rd", "th"}
_WRITTEN = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})|(\d{1,2})[/.](\d{1,2})[/.](\d{2,4})")
_YEARS_AHEAD = 400


def days(pieces: Sequence[Piece], at: int) -> Iterator[tuple[SaidDay, int]]:
    """The ways to read a day that begins here, after "on" if that was said, and where each ends; the longest first."""
    for phrases, ahead in ((ENGLISH.after_tomorrow, 2), (ENGLISH.tomorrow, 1), (ENGLISH.today, 0)):
        end = phrases.end(pieces, at)
        if end is not None:
            yield SaidDay(in_days=ahead), end
            return
    if at >= len(pieces):
        return
    if pieces[at].text in ENGLISH.weekdays:
        yield SaidDay(weekday=ENGLISH.weekdays[pieces[at].text]), at + 1
    elif pieces[at].text == "this" and at + 1 < len(pieces) and pieces[at + 1].text in ENGLISH.weekdays:
        yield SaidDay(weekday=ENGLISH.weekdays[pieces[at + 1].text]), at + 2
    elif pieces[at].kind is Token.DATE:
        found = _written(pieces[at].text)
        if found is not None:
            yield found, at + 1
    else:
        yield from _of_month(pieces, at)


def _written(text: str) -> SaidDay | None:
    """ISO 8601, or day and month where only one of them can be the month."""
    matched = _WRITTEN.fullmatch(text)
    if matched is None:
        return None
    if matched[1]:
        return _checked(int(matched[3]), int(matched[2]), int(matched[1]))
    day, month, year = int(matched[4]), int(matched[5]), int(matched[6])
    if day <= 12 and month <= 12 and day != month:
        return None
    return _checked(max(day, month), min(day, month), year + 2000 if year < 100 else year)


def _of_month(pieces: Sequence[Piece], at: int) -> Iterator[tuple[SaidDay, int]]:
    """ "24 December 2026", "24th of December", "December 24th", "the 24th"."""
    texts = [piece.text for piece in pieces[at : at + 6]]
    number = _day_number(pieces, at + (texts[:1] == ["the"]))
    if number is not None:
        day, end = number
        after = end + (end < len(pieces) and pieces[end].text == "of")
        month = ENGLISH.months.get(pieces[after].text) if after < len(pieces) else None
        if month is not None:
            yield from _with_year(pieces, day, month, after + 1)
        elif pieces[end - 1].text in _ENDINGS:
            yield SaidDay(day=day), end
    elif texts and texts[0] in ENGLISH.months:
        number = _day_number(pieces, at + 1)
        if number is not None:
            yield from _with_year(pieces, number[0], ENGLISH.months[texts[0]], number[1])


def _with_year(pieces: Sequence[Piece], day: int, month: int, end: int) -> Iterator[tuple[SaidDay, int]]:
    after = end + (end < len(pieces) and pieces[end].text == ",")
    if after < len(pieces) and re.fullmatch(r"20\d\d", pieces[after].text):
        found = _checked(day, month, int(pieces[after].text))
        if found is not None:
            yield found, after + 1
    elif _checked(day, month, 2024) is not None:
        yield SaidDay(day=day, month=month), end


def _day_number(pieces: Sequence[Piece], at: int) -> tuple[int, int] | None:
    """A day of a month, and where it ends: "24", "24th"."""
    if at >= len(pieces) or not re.fullmatch(r"\d{1,2}", pieces[at].text) or not 1 <= int(pieces[at].text) <= 31:
        return None
    has_ending = at + 1 < len(pieces) and pieces[at + 1].is_joined and pieces[at + 1].text in _ENDINGS
    return int(pieces[at].text), at + 1 + has_ending


def _checked(day: int, month: int, year: int) -> SaidDay | None:
    try:
        date(year, month, day)
    except ValueError:
        return None
    return SaidDay(day=day, month=month, year=year)


def resolved(said: SaidDay, on: date) -> date | None:
    """The day that is meant, by the day on which it was said: the first that fits, that day included. None if there is none."""
    if said.in_days is not None:
        return on + timedelta(days=said.in_days)
    if said.year is not None and said.month is not None and said.day is not None:
        return date(said.year, said.month, said.day)
    for ahead in range(_YEARS_AHEAD):
        day = on + timedelta(days=ahead)
        if said.weekday is not None and day.weekday() == said.weekday:
            return day
        if said.day is not None and day.day == said.day and said.month in (None, day.month):
            return day
    return None
