"""How long something is kept: ISO 8601 durations of years, months and days, counted by the calendar."""

import calendar
import re
from datetime import datetime, timedelta

_PERIOD = re.compile(r"P(?=\d)(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,5})D)?", re.ASCII)


def after(moment: datetime, period: str) -> datetime:
    """`moment` and this period, such as P7Y or P13M. A day that the month does not have is its last. ValueError for what is none."""
    found = _PERIOD.fullmatch(period)
    if found is None:
        raise ValueError(f"{period} is no period of years, months and days, such as P7Y")
    years, months, days = (int(number or 0) for number in found.groups())
    year, month = divmod(moment.year * 12 + moment.month - 1 + years * 12 + months, 12)
    try:
        day = min(moment.day, calendar.monthrange(year, month + 1)[1])
        return moment.replace(year=year, month=month + 1, day=day) + timedelta(days=days)
    except (OverflowError, ValueError):
        raise ValueError(f"{period} ends beyond the calendar") from None
