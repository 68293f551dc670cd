"""Twenty answers as models give them, over what the bank told: lists, tables, rates and dates in many forms. For tests."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

NBSP = "\u00a0"
NARROW = "\u202f"


@dataclass(frozen=True)
class Row:
    """One booked transaction; `reference` is the bank's own."""

    day: date
    time: str
    amount: Decimal
    currency: str
    who: str
    mask: str
    reference: str


@dataclass(frozen=True)
class Told:
    """What one customer's functions answered."""

    rows: Sequence[Row]
    rate: str
    limits: Sequence[tuple[str, str]]


MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
MONATE = ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember")
MOIS = ("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre")


def number(amount: Decimal, thousands: str, decimals: str) -> str:
    """`amount` with its own decimals, in a locale's separators."""
    return f"{amount:,}".replace(",", "\0").replace(".", decimals).replace("\0", thousands)


def indian(amount: Decimal) -> str:
    """Lakhs and crores: 12,34,567.89."""
    whole, _, rest = str(amount).partition(".")
    head, tail = whole[:-3], whole[-3:]
    groups = [head[max(at - 2, 0) : at] for at in range(len(head), 0, -2)][::-1]
    return ",".join([*groups, tail]) + (f".{rest}" if rest else "")


def _listed(line: Callable[[Row], str], before: str = "Here is what was booked:\n\n") -> Callable[[Told], str]:
    return lambda told: before + "\n".join(map(line, told.rows)) + "\n"


def _table(cells: Callable[[Row], Sequence[str]], head: str = "| Day | Amount | Who |\n|---|---:|---|\n") -> Callable[[Told], str]:
    return lambda told: head + "".join(f"| {' | '.join(cells(row))} |\n" for row in told.rows)


def _csv(delimiter: str, cells: Callable[[Row], Sequence[object]]) -> Callable[[Told], str]:
    def written(told: Told) -> str:
        out = io.StringIO()
        csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(map(cells, told.rows))
        return f"```csv\n{out.getvalue()}```\n"

    return written


def _json(told: Told) -> str:
    rows = [
        {"day": f"{row.day}T{row.time}Z", "amount": {"value": str(row.amount), "currency": row.currency}, "account": row.mask}
        for row in told.rows
    ]
    return json.dumps({"transactions": rows, "rate": told.rate}, ensure_ascii=False)


def _numbers_alone(told: Told) -> str:
    """As arrays for a chart."""
    days = [f"{row.day:%Y-%m-%d}" for row in told.rows]
    return json.dumps({"x": days, "y": [float(row.amount) for row in told.rows]}, separators=(",", ":"))


def _rates(told: Told) -> str:
    rate = told.rate
    more = " ".join(f"On {row.day:%d/%m/%Y} at {row.time[:5]} it was {rate}." for row in told.rows[:20])
    return f"The rate is {rate}, or {rate.replace('.', ',')}. 1 GBP = {rate} EUR; fee 0.25 %, rate p.a. 4.75%, 19,00{NBSP}%. {more}"


def _limits(told: Told) -> str:
    return "\n".join(f"{at}. {window}: **{most}** left of {most} (100%)" for at, (window, most) in enumerate(told.limits, 1))


ANSWERS: dict[str, Callable[[Told], str]] = {
    "list, ISO": _listed(lambda it: f"- {it.day} {number(it.amount, ',', '.')} {it.currency} {it.who}"),
    "list, amounts first": _listed(lambda it: f"* {number(it.amount, ',', '.')} on {it.day:%d/%m/%Y} to {it.who} ({it.mask})"),
    "list, days and amounts alone": _listed(lambda it: f"{it.day} {it.amount}"),
    "list, UK short days": _listed(lambda it: f"{it.day:%d/%m/%y} £{number(it.amount, ',', '.')}"),
    "list, months by name": _listed(
        lambda it: f"{it.day.day} {MONTHS[it.day.month - 1]} {it.day.year} {it.time[:5]} {number(it.amount, ',', '.')}"
    ),
    "list, US": _listed(
        lambda it: f"1. {MONTHS[it.day.month - 1]} {it.day.day}, {it.day.year}: ${number(it.amount, ',', '.')} ({it.day:%m/%d/%Y})"
    ),
    "list, German": _listed(lambda it: f"{it.day:%d.%m.%Y} {number(it.amount, '.', ',')} {it.currency} {it.who}"),
    "list, German short": _listed(lambda it: f"{it.day:%d.%m.} {number(it.amount, '.', ',')}"),
    "list, German in words": _listed(
        lambda it: f"- {it.day.day}. {MONATE[it.day.month - 1]} {it.day.year}: {number(it.amount, '.', ',')} €"
    ),
    "list, French": _listed(lambda it: f"• {it.day.day} {MOIS[it.day.month - 1]} {it.day.year} {number(it.amount, NARROW, ',')} €"),
    "list, Czech": _listed(lambda it: f"{it.day.day}. {it.day.month}. {it.day.year} {number(it.amount, NBSP, ',')} Kč"),
    "list, Swiss": _listed(lambda it: f"{it.day:%d.%m.%Y} CHF {number(it.amount, '’', '.')}"),
    "list, Japanese": _listed(
        lambda it: f"{it.day.year}年{it.day.month}月{it.day.day}日 {number(it.amount, ',', '.')}円 {it.day:%Y/%m/%d}"
    ),
    "list, Indian": _listed(lambda it: f"{it.day:%d-%m-%Y} ₹{indian(it.amount)}"),
    "table": _table(lambda it: (f"{it.day}", f"{number(it.amount, ',', '.')} {it.currency}", it.who)),
    "table, times and masks": _table(lambda it: (f"{it.day} {it.time}", it.mask, f"{it.amount}", f"`{it.reference}`")),
    "CSV": _csv(",", lambda it: (it.day, it.amount, it.currency, it.mask, it.amount)),
    "CSV, semicolons": _csv(";", lambda it: (f"{it.day:%d.%m.%Y}", number(it.amount, "", ","), number(it.amount, ".", ","))),
    "JSON": _json,
    "arrays": _numbers_alone,
    "rates": _rates,
    "limits": _limits,
}
