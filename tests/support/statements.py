"""Statements in twelve locales and several shapes, with or without an identifier in one of their rows. For tests and benchmarks."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from random import Random

from tests.support.bank_answers import NARROW, NBSP, indian, number


@dataclass(frozen=True)
class Locale:
    """How days and amounts are written, and a currency."""

    day: str
    thousands: str
    decimals: str
    currency: str
    is_lakh: bool = False

    def amount(self, value: Decimal) -> str:
        return indian(value) if self.is_lakh else number(value, self.thousands, self.decimals)


LOCALES = {
    "en-GB": Locale("%d/%m/%Y", ",", ".", "GBP"),
    "en-US": Locale("%m/%d/%y", ",", ".", "USD"),
    "en-IN": Locale("%d-%m-%Y", ",", ".", "INR", is_lakh=True),
    "de-DE": Locale("%d.%m.%Y", ".", ",", "EUR"),
    "de-CH": Locale("%d.%m.%y", "’", ".", "CHF"),
    "fr-FR": Locale("%d/%m/%Y", NARROW, ",", "EUR"),
    "sv-SE": Locale("%Y-%m-%d", NBSP, ",", "SEK"),
    "cs-CZ": Locale("%d. %m. %Y", NBSP, ",", "CZK"),
    "hu-HU": Locale("%Y. %m. %d.", NBSP, ",", "HUF"),
    "tr-TR": Locale("%d.%m.%Y", ".", ",", "TRY"),
    "ja-JP": Locale("%Y/%m/%d", ",", "", "JPY"),
    "ar-BH": Locale("%d/%m/%Y", ",", ".", "BHD"),
}
WHO = ("Greenfield Market", "Café Zoë", "Stadtwerke", "Metro Transit", "東京ガス", "Rent 12A")
_PLACES = {"JPY": 0, "BHD": 3}

Cells = tuple[str, ...]


def rows(random: Random, locale: Locale, count: int, said: str = "") -> list[Cells]:
    """Day, description, amount, currency, balance and the bank's reference; one row's description ends with `said`."""
    places = _PLACES.get(locale.currency, 2)
    where = random.randrange(count)
    made: list[Cells] = []
    for at in range(count):
        day = date(2026, random.randint(1, 12), random.randint(1, 28)).strftime(locale.day)
        amount, balance = (locale.amount(Decimal(random.randint(1, 10 ** random.randint(3, 9))).scaleb(-places)) for _ in range(2))
        what = random.choice(WHO) + (f" {said}" if said and at == where else "")
        made.append((day, what, amount, locale.currency, balance, f"FT{random.randint(10**6, 10**7 - 1)}"))
    return made


def _list(locale: Locale, made: Sequence[Cells]) -> str:
    return "".join(f"- {day}: {what}, {amount} {currency} ({reference})\n" for day, what, amount, currency, _, reference in made)


def _bare(locale: Locale, made: Sequence[Cells]) -> str:
    """Day, amount and balance beside each other, as a model lists them."""
    return "".join(f"{day} {amount} {balance} {what}\n" for day, what, amount, _, balance, _ in made)


def _figures_first(locale: Locale, made: Sequence[Cells]) -> str:
    return "".join(f"{amount} {day} {what}\n" for day, what, amount, *_ in made)


def _table(locale: Locale, made: Sequence[Cells]) -> str:
    return "| Day | What | Amount | Balance |\n|---|---|---:|---:|\n" + "".join(
        f"| {day} | {what} | {amount} {currency} | {balance} |\n" for day, what, amount, currency, balance, _ in made
    )


def _csv(locale: Locale, made: Sequence[Cells]) -> str:
    between = ";" if locale.decimals == "," else ","
    plain = ((day, what, amount.replace(locale.thousands, ""), *rest) for day, what, amount, *rest in made)
    return "day,what,amount,currency,balance,reference\n" + "".join(
        between.join(f'"{it}"' if between in it else it for it in cells) + "\n" for cells in plain
    )


def _json(locale: Locale, made: Sequence[Cells]) -> str:
    return json.dumps(
        [{"day": day, "what": what, "amount": {"value": amount, "currency": currency}} for day, what, amount, currency, *_ in made],
        ensure_ascii=False,
        separators=_json_separators(made),
    )


def _json_separators(made: Sequence[Cells]) -> tuple[str, str]:
    return (",", ":") if len(made) % 2 else (", ", ": ")


def _rates(locale: Locale, made: Sequence[Cells]) -> str:
    return "".join(
        f"{day} {what}: 1 {currency} = 193.{reference[2:]}1, {amount} at 1{locale.decimals or '.'}0{reference[2:5]} p.a. 4.25 %\n"
        for day, what, amount, currency, _, reference in made
    )


def _sentences(locale: Locale, made: Sequence[Cells]) -> str:
    return " ".join(
        f"On {day} at 10:{at:02d} you paid {amount} {currency} for {what}; {balance} is left."
        for at, (day, what, amount, currency, balance, _) in enumerate(made)
    )


SHAPES: dict[str, Callable[[Locale, Sequence[Cells]], str]] = {
    "list": _list,
    "days and figures alone": _bare,
    "figures first": _figures_first,
    "table": _table,
    "CSV": _csv,
    "JSON": _json,
    "rates": _rates,
    "sentences": _sentences,
}
