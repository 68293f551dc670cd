"""Window arithmetic. Pure: integers in, integers out."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from adapters.core import Money
from gateway.domain.mandate import Limits, StandingMandate

DAY = timedelta(days=1)
WEEK = timedelta(days=7)
MONTH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Totals:
    """What a customer has reserved or spent in one currency, in minor units, over rolling windows that end now."""

    day_minor: int = 0
    week_minor: int = 0
    month_minor: int = 0
    day_count: int = 0

    def including(self, minor: int) -> "Totals":
        return Totals(self.day_minor + minor, self.week_minor + minor, self.month_minor + minor, self.day_count + 1)


@dataclass(frozen=True, slots=True)
class Starts:
    """When each rolling window that ends at `now` began; exclusive."""

    day: datetime
    week: datetime
    month: datetime

    @classmethod
    def at(cls, now: datetime) -> "Starts":
        return cls(now - DAY, now - WEEK, now - MONTH)


def exceeded(limits: Limits, totals: Totals, minor: int) -> str | None:
    """The name of the first limit that a payment of `minor` units would pass, or None. A limit may be reached, not passed."""
    after = totals.including(minor)
    checks = (
        ("payment", minor, limits.payment_minor),
        ("day", after.day_minor, limits.day_minor),
        ("week", after.week_minor, limits.week_minor),
        ("month", after.month_minor, limits.month_minor),
        ("day_count", after.day_count, limits.day_count),
    )
    return next((name for name, amount, limit in checks if amount > limit), None)


def standing_holds(mandate: StandingMandate, automatic: Totals, amount: Money, rest_minor: int = 0, rest_count: int = 0) -> bool:
    """Whether one more payment stays within a standing mandate, with the rest of its request. A bound may be reached, not passed.

    `automatic`: all that was paid under it, by whichever agent.
    """
    after = automatic.including(amount.minor)
    return (
        amount.currency == mandate.currency
        and amount.minor <= mandate.payment_minor
        and after.day_minor + rest_minor <= mandate.day_minor
        and after.day_count + rest_count <= mandate.day_count
    )
