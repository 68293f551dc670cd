"""What the sandbox bank asks for an exchange. Pure, in integers alone.

1. A currency has a middle rate of the day: its base, moved by at most 1 % either way by a hash of the day.
2. The rate offered is the ratio of two middle rates less the spread of 1.5 %, with ten digits after the point, rounded down.
3. Where the customer fixes what is sold, they get `sell * rate`, rounded down to the minor unit; where they fix what is bought, they
   give `buy / rate`, rounded up.
4. The fee is 0.25 % of what is sold, rounded up.
"""

import hashlib
from datetime import date, datetime, timedelta

from adapters.core import MAX_MINOR, FxQuote, Money, exponent

LIFETIME = timedelta(minutes=5)
RATE_DIGITS = 10

_RATE_UNIT = 10_000_000_000

_SPREAD, _FEE, _MOST_MOVED, _WHOLE = 150, 25, 100, 10_000
"""Hundredths of a percent, and a hundred percent of them."""

_BASE = {
    "GBP": 1_000_000_000,
    "BHD": 1_968_000_000,
    "CHF": 905_000_000,
    "EUR": 855_000_000,
    "JPY": 5_130_000,
    "USD": 742_000_000,
}
"""Billionths of a pound for one unit of the currency."""


def offered(sell: str, buy: str, day: date) -> int | None:
    """Units of `buy` for one of `sell`, times 10 ** RATE_DIGITS; None for a pair that is not quoted."""
    if sell == buy or sell not in _BASE or buy not in _BASE:
        return None
    return _middle(sell, day) * (_WHOLE - _SPREAD) * _RATE_UNIT // (_middle(buy, day) * _WHOLE)


def quoted(id_: str, sell: str, buy: str, amount: Money, now: datetime) -> FxQuote | None:
    """A quote of this moment, as the port says it. ValueError for an amount in a third currency."""
    if amount.currency not in (sell, buy):
        raise ValueError("the amount is in neither of the two currencies")
    rate = offered(sell, buy, now.date())
    if rate is None:
        return None
    # One minor unit of what is sold is rate * upper / lower minor units of what is bought
    upper, lower = 10 ** exponent(buy), 10 ** exponent(sell) * _RATE_UNIT
    if amount.currency == sell:
        given, gotten = amount.minor, amount.minor * rate * upper // lower
    else:
        given, gotten = -(-amount.minor * lower // (rate * upper)), amount.minor
    fee = -(-given * _FEE // _WHOLE)
    if gotten < 1 or max(given + fee, gotten) > MAX_MINOR:
        return None
    whole, fraction = divmod(rate, _RATE_UNIT)
    said = f"{whole}.{fraction:0{RATE_DIGITS}d}"
    return FxQuote(id_, Money(given, sell), Money(gotten, buy), said, Money(fee, sell), now + LIFETIME)


def _middle(currency: str, day: date) -> int:
    """The middle rate of a day, in billionths of a pound times 10,000."""
    if currency == "GBP":
        return _BASE[currency] * _WHOLE
    digest = hashlib.sha256(f"{day.isoformat()} {currency}".encode()).digest()
    moved = int.from_bytes(digest[:4], "big") % (2 * _MOST_MOVED + 1) - _MOST_MOVED
    return _BASE[currency] * (_WHOLE + moved)
