"""How long something is kept, by the calendar."""

from datetime import UTC, datetime

import pytest

from audit.periods import after

AT = datetime(2024, 2, 29, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("period", "end"),
    [
        ("P7Y", datetime(2031, 2, 28, 12, tzinfo=UTC)),
        ("P4Y", datetime(2028, 2, 29, 12, tzinfo=UTC)),
        ("P13M", datetime(2025, 3, 29, 12, tzinfo=UTC)),
        ("P30D", datetime(2024, 3, 30, 12, tzinfo=UTC)),
        ("P1Y2M3D", datetime(2025, 5, 2, 12, tzinfo=UTC)),
        ("P0D", AT),
    ],
)
def test_periods_are_counted_by_the_calendar(period: str, end: datetime) -> None:
    assert after(AT, period) == end


@pytest.mark.parametrize("period", ["", "P", "7Y", "P7", "PT5M", "P1W", "P-1Y", "P1D1Y", "P9999Y", " P7Y", "P7Y\n", "P\u0667Y"])
def test_what_is_no_period_is_refused(period: str) -> None:
    with pytest.raises(ValueError, match=r"period|calendar"):
        after(AT, period)
