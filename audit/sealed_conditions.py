"""Conditions on what records keep sealed: amounts and payees. There is no index of them: each candidate is opened and looked at.

The conventions of what is sealed: an amount is `{"value": "38.63", "currency": "GBP"}`; `sealed.decision_request` is what the policies were
asked, with `context.money` in minor units and `context.payee.known`; `sealed.intent` is what the customer was shown. Pure.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from audit.disclosure import JSON
from audit.leaf import Plain

_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,6})?"
_AMOUNT = re.compile(
    rf"(?:(?P<sign>>=|<=|>|<)?(?P<one>{_NUMBER})|(?P<low>{_NUMBER})\.\.(?P<high>{_NUMBER}))(?P<currency>[A-Z]{{3}})?", re.ASCII
)
_BETWEEN = re.compile(r"[\s\-.]+")


class ConditionInvalid(ValueError):
    """It is no amount."""


@dataclass(frozen=True, slots=True)
class AmountRange:
    """An amount from `low` to `high`, either open (None); `strict`: a bound itself is not in it. `currency` None: whichever it is."""

    low: Decimal | None
    high: Decimal | None
    strict: bool
    currency: str | None

    @classmethod
    def parse(cls, text: str) -> "AmountRange":
        """`500`, `>500`, `>=500`, `<20.50`, `100..200`, each with a currency or without: `>500EUR`, without spaces. ConditionInvalid."""
        found = _AMOUNT.fullmatch(text)
        if found is None:
            raise ConditionInvalid(
                "an amount is 500, >500, >=500, <20.50 or 100..200, with a currency behind it or without: >500EUR"
            )
        low, high, one = (Decimal(found[name]) if found[name] else None for name in ("low", "high", "one"))
        sign = found["sign"]
        if one is not None:
            low, high = (None if sign in ("<", "<=") else one), (None if sign in (">", ">=") else one)
        return cls(low, high, sign in (">", "<"), found["currency"])

    def has(self, value: Decimal, currency: str) -> bool:
        """Whether this amount is in it."""
        if self.currency not in (None, currency):
            return False
        above = self.low is None or (value > self.low if self.strict else value >= self.low)
        below = self.high is None or (value < self.high if self.strict else value <= self.high)
        return above and below


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedCondition:
    """What must hold of the opened values of a call. `payee`: an account number, a saved payee's id or a name, as it stands on record."""

    amount: AmountRange | None = None
    amount_text: str | None = None
    payee: str | None = None
    new_payee: bool | None = None

    def holds(self, values: Mapping[str, JSON], grounding: Mapping[str, object]) -> bool:
        """`values` by their path, as `query.reveal` gives them; `grounding` as in the leaf."""
        if self.amount is not None and not any(self.amount.has(*amount) for amount in amounts(values)):
            return False
        if self.payee is not None and _folded(self.payee) not in {_folded(text) for text in payees(values)}:
            return False
        return self.new_payee is None or self.new_payee is is_new_payee(values, grounding)

    def facts(self) -> dict[str, Plain]:
        """For the record of the question; whom the payee names is not said: it may be a person, and these facts are for ever."""
        told: dict[str, Plain] = {"by_amount": self.amount_text, "by_payee": None if self.payee is None else "given"}
        told["by_new_payee"] = self.new_payee
        return {name: value for name, value in told.items() if value is not None}


def condition_of(amount: str | None, payee: str | None, new_payee: str | None) -> SealedCondition | None:
    """None where nothing sealed is asked about. ConditionInvalid."""
    if amount is None and payee is None and new_payee is None:
        return None
    if new_payee not in (None, "yes", "no"):
        raise ConditionInvalid("new_payee is yes or no")
    return SealedCondition(
        amount=None if amount is None else AmountRange.parse(amount),
        amount_text=amount,
        payee=payee,
        new_payee=None if new_payee is None else new_payee == "yes",
    )


def amounts(values: Mapping[str, JSON]) -> Iterator[tuple[Decimal, str]]:
    """The amounts of a call's arguments and of what the customer was shown, with their currencies."""
    for path, value in values.items():
        if path.startswith("arguments."):
            yield from _money(value)
    for call in _shown(values):
        yield from _money(call.get("amount"))


def payees(values: Mapping[str, JSON]) -> Iterator[str]:
    """Whom and which accounts the call named: ids, account numbers and names, as they stand on record. Functions differ in what they
    call their payee, so every argument is looked at."""
    for path, value in values.items():
        if path.startswith("arguments."):
            yield from _texts(value)
    claim = values.get("sealed.claim")
    if isinstance(claim, dict) and isinstance(claim.get("payee"), str):
        yield str(claim["payee"]).partition(":")[2]
    for call in _shown(values):
        yield from _texts(call.get("payee"))


def is_new_payee(values: Mapping[str, JSON], grounding: Mapping[str, object]) -> bool | None:
    """Whether the customer had never paid them before: nothing shows that they had. None where nobody was to be paid.

    The policies were told (`context.payee.known`); of a call that was refused before them, `grounding` tells on what its payee was based.
    """
    asked = values.get("sealed.decision_request")
    for request in asked if isinstance(asked, list) else ():
        context = request.get("context") if isinstance(request, dict) else None
        payee = context.get("payee") if isinstance(context, dict) else None
        if isinstance(payee, dict) and isinstance(payee.get("known"), bool):
            return not payee["known"]
    based_on = grounding.get("payee")
    return None if based_on is None else based_on not in ("known", "own")


def _shown(values: Mapping[str, JSON]) -> Iterator[Mapping[str, JSON]]:
    """The calls of what the customer was shown."""
    intent = values.get("sealed.intent")
    calls = intent.get("calls") if isinstance(intent, dict) else None
    yield from (call for call in calls if isinstance(call, dict)) if isinstance(calls, list) else ()


def _money(value: JSON) -> Iterator[tuple[Decimal, str]]:
    if isinstance(value, dict) and value.keys() == {"value", "currency"}:
        try:
            yield Decimal(str(value["value"])), str(value["currency"])
        except InvalidOperation:
            return


def _texts(value: JSON) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)


def _folded(text: str) -> str:
    return _BETWEEN.sub("", text).casefold()
