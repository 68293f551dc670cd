"""Amounts of money: integer minor units and an ISO 4217 currency, a decimal string on the wire, no float anywhere. Pure."""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from iso4217 import Currency as IsoCurrency

MAX_MINOR = 10**15
"""Largest amount that any part of the system handles, in minor units."""

_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,17})(?:\.([0-9]{1,6}))?", re.ASCII)


@cache
def exponent(currency: str) -> int:
    """Digits after the decimal point of an ISO 4217 currency. ValueError for an unknown one or one without minor unit."""
    try:
        digits = IsoCurrency(currency).exponent
    except ValueError:
        digits = None
    if digits is None:
        raise ValueError("not an ISO 4217 currency with a minor unit")
    return int(digits)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of at most `MAX_MINOR` minor units in an ISO 4217 currency. Negative only in ledgers and balances."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        exponent(self.currency)
        if abs(self.minor) > MAX_MINOR:
            raise ValueError("amount out of range")

    @classmethod
    def parse(cls, value: str, currency: str) -> "Money":
        """A positive amount from its wire form: "12.50" and "GBP". No sign, exponent, leading zero or surplus digit.

        Fewer fraction digits than the currency's are padded ("12.5" GBP is 12.50); more are an error, never rounded.
        """
        digits = exponent(currency)
        matched = _DECIMAL.fullmatch(value)
        if matched is None:
            raise ValueError("an amount is a decimal string such as 12.50")
        whole, fraction = matched[1], matched[2] or ""
        if len(fraction) > digits:
            raise ValueError(f"{currency} has {digits} fraction digits")
        minor = int(whole + fraction.ljust(digits, "0"))
        if not 0 < minor <= MAX_MINOR:
            raise ValueError("amount out of range")
        return cls(minor, currency)

    @classmethod
    def of(cls, number: Decimal, currency: str, *, signed: bool = False) -> "Money":
        """An amount from an exact number of major units; positive unless `signed`. ValueError rather than rounding."""
        digits = exponent(currency)
        if not number.is_finite() or abs(number.adjusted()) > 20 or len(number.as_tuple().digits) > 60:
            raise ValueError("amount out of range")
        sign, figures, power = number.as_tuple()
        minor, shift = int("".join(map(str, figures))), int(power) + digits
        if shift < 0 and minor % 10**-shift:
            raise ValueError(f"{currency} has {digits} fraction digits")
        minor = minor * 10**shift if shift >= 0 else minor // 10**-shift
        if minor > MAX_MINOR or (not signed and (sign or not minor)):
            raise ValueError("amount out of range")
        return cls(-minor if sign else minor, currency)

    @property
    def value(self) -> str:
        """The decimal string of the wire, always with the currency's full number of fraction digits."""
        digits = exponent(self.currency)
        if digits == 0:
            return str(self.minor)
        sign, rest = ("-", -self.minor) if self.minor < 0 else ("", self.minor)
        text = str(rest).rjust(digits + 1, "0")
        return f"{sign}{text[:-digits]}.{text[-digits:]}"
