"""How the bank stores what it answered: an instruction's answer, so that a resend reads exactly what the first one said; a quote and a
payee check, so that a later order can name them. Pure."""

import json
from typing import Any

from adapters.core import Declined, Done, FxQuote, PayeeCheck
from adapters.cores.sandbox.tables import micros
from adapters.tagged import tagged, untagged


def to_text(answer: Done | Declined) -> str:
    """JSON in which every value carries its type. TypeError for a value that no answer may hold."""
    if isinstance(answer, Declined):
        return json.dumps({"declined": answer.code})
    return json.dumps({"done": {name: tagged(value) for name, value in answer.output.items()}})


def from_text(text: str) -> Done | Declined:
    """The answer that `to_text` wrote."""
    stored: dict[str, Any] = json.loads(text)
    if "declined" in stored:
        return Declined(stored["declined"])
    return Done({name: untagged(value) for name, value in stored["done"].items()})


def quote_row(customer: str, quote: FxQuote) -> dict[str, str | int | None]:
    """A row of `quote`."""
    return {
        "id": quote.id,
        "customer": customer,
        "sell_minor": quote.sell.minor,
        "sell_currency": quote.sell.currency,
        "buy_minor": quote.buy.minor,
        "buy_currency": quote.buy.currency,
        "rate": quote.rate,
        "fee_minor": quote.fee.minor,
        "expires_at_us": micros(quote.expires_at),
    }


def check_row(customer: str, name: str, identifier: str, check: PayeeCheck) -> dict[str, str | int | None]:
    """A row of `payee_check`: which name and account the check is bound to."""
    return {
        "id": check.id,
        "customer": customer,
        "name": name,
        "identifier": identifier,
        "outcome": check.outcome,
        "actual_name": check.actual_name,
        "expires_at_us": micros(check.expires_at),
    }
