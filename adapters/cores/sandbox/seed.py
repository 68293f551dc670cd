"""Fills an empty sandbox bank with a year of history, the same for the same date, and makes load-test customers.

Everything goes through the ledger, in order of time, so that seeded books hold to the same rules as any others.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from sqlalchemy import Connection, func, insert, select

from adapters.core import Frequency, Money
from adapters.cores.sandbox import payees, people
from adapters.cores.sandbox.days import working_day
from adapters.cores.sandbox.ledger import LedgerAnswer, LedgerGroup, Pend, Wording, name_for
from adapters.cores.sandbox.tables import (
    account,
    account_owner,
    balance,
    beneficiary,
    card,
    direct_debit,
    micros,
    payee_directory,
    payment,
    standing_order,
)

HISTORY_DAYS = 365
LOAD_FUNDS_MINOR = 10**12
"""What each account of a load-test customer opens with, in pence."""

_LOAD_CHUNK = 500
_SORT_CODE = "209912"
_BANK = "Sandbox Bank"


def seed_if_empty(connection: Connection, now: datetime) -> None:
    """Seed, unless there is an account already. Opening is one transaction: a seed is there as a whole or not at all."""
    if connection.execute(select(func.count()).select_from(account)).scalar_one() == 0:
        _seed(connection, now)


def seed_load(connection: Connection, now: datetime, count: int, first: int = 0) -> list[str]:
    """Customers `load-<number>` from `first` on, each with two GBP accounts of ample funds. Returns their names."""
    names = [f"load-{number:07d}" for number in range(first, first + count)]
    for start in range(0, count, _LOAD_CHUNK):
        holdings = [
            people.Holding(f"{name}.{side}", (name,), side.title(), "current", "GBP", LOAD_FUNDS_MINOR)
            for name in names[start : start + _LOAD_CHUNK]
            for side in ("main", "spare")
        ]
        ledger = LedgerGroup(connection, now)
        _accounts(connection, ledger, holdings)
        for holding in holdings:
            _book(ledger, _opening(holding, now))
        ledger.flush()
    return names


@dataclass(frozen=True, slots=True)
class _Event:
    """One booking of the past: where from, where to, how much, and how it reads."""

    at: datetime
    debit: str
    credit: str
    amount: Money
    wording: Wording
    name: str
    payee: str | None = None


def account_id(name: str) -> str:
    """The identifier of the account with this name in `people`."""
    return name_for("a", 0, name)


def _seed(connection: Connection, now: datetime) -> None:
    random = Random("sandbox")  # noqa: S311 - amounts and hours of an invented past
    ledger = LedgerGroup(connection, now)
    currencies = sorted({holding.currency for holding in people.HOLDINGS})
    connection.execute(insert(account), [_clearing(currency) for currency in currencies])
    connection.execute(insert(balance), [_empty(account_id(f"clearing.{currency}"), currency) for currency in currencies])
    _accounts(connection, ledger, people.HOLDINGS)
    start = datetime.combine(now.date() - timedelta(days=HISTORY_DAYS), time(8), UTC)
    connection.execute(insert(beneficiary), [_payee(payee, now) for payee in people.PAYEES])
    for holding in people.HOLDINGS:
        if holding.opening_minor:
            _book(ledger, _opening(holding, start))
    past = sorted(_events(now, random), key=lambda it: (it.at, it.name))
    for event in past:
        _book(ledger, event)
    payments = [_paid(event) for event in past]
    for name, merchant, minor in people.HELD:
        _hold(ledger, now, name, merchant, minor)
    ledger.flush()
    connection.execute(insert(payment), [row for row in payments if row is not None] + [_planned(it, now) for it in people.PLANNED])
    connection.execute(insert(card), [_card(plastic) for plastic in people.CARDS])
    connection.execute(insert(standing_order), [_standing(order, now.date()) for order in people.STANDING])
    last = {(event.debit, event.wording.creditor_name): event for event in past}
    connection.execute(insert(direct_debit), [_collected(it, last, now.date()) for it in people.COLLECTED])
    connection.execute(insert(payee_directory), list(_directory()))


def _accounts(connection: Connection, ledger: LedgerGroup, holdings: Any) -> None:
    connection.execute(insert(account), [_account(holding) for holding in holdings])
    owners = [{"account": account_id(it.name), "customer": customer} for it in holdings for customer in it.owners]
    connection.execute(insert(account_owner), owners)
    connection.execute(insert(balance), [_empty(account_id(holding.name), holding.currency) for holding in holdings])
    clearing = {account_id(f"clearing.{holding.currency}") for holding in holdings}
    ledger.load({account_id(holding.name) for holding in holdings} | clearing, ())


def _book(ledger: LedgerGroup, event: _Event) -> None:
    ledger.turn_to(event.at)
    id_ = name_for("m", micros(event.at), event.name)
    paid = None if event.payee is None else name_for("p", micros(event.at), event.name)
    body = Pend(id_, event.debit, event.credit, event.amount, event.at + timedelta(minutes=1), event.wording, paid)
    for answer in (ledger.pend(body), ledger.post(id_)):
        if answer is not LedgerAnswer.CREATED:
            raise ValueError(f"the seed does not add up: {event.name}: {answer}")


def _opening(holding: people.Holding, at: datetime) -> _Event:
    wording = Wording("OPENING BALANCE", "opening", _BANK, "", holding.title, "")
    clearing = account_id(f"clearing.{holding.currency}")
    amount = Money(holding.opening_minor, holding.currency)
    return _Event(at, clearing, account_id(holding.name), amount, wording, f"{holding.name} opening")


def _events(now: datetime, random: Random) -> Iterator[_Event]:
    known = {holding.name: holding for holding in people.HOLDINGS}
    first = now.date() - timedelta(days=HISTORY_DAYS - 1)
    for ago in range(HISTORY_DAYS - 1):
        day = first + timedelta(days=ago)
        for number, habit in enumerate(people.HABITS):
            if habit.day == (day.day if habit.every == "month" else day.weekday()):
                at = datetime.combine(day, time(random.randrange(8, 20), random.randrange(60), random.randrange(60)), UTC)
                minor = random.randint(*habit.minor)
                yield _event(
                    known, f"{number} {day}", at, (habit.account, habit.party, habit.sign * minor), (habit.category, habit.memo)
                )
    for oddity in people.ODDITIES:
        at = datetime.combine(now.date() - timedelta(days=oddity.days_ago), time(7, 15), UTC)
        yield _event(known, f"odd {oddity.memo}", at, (oddity.account, oddity.party, oddity.minor), ("transfer", oddity.memo))


def _event(
    known: dict[str, people.Holding], name: str, at: datetime, money: tuple[str, str, int], words: tuple[str, str]
) -> _Event:
    own_name, party, minor = money
    own = known[own_name]
    payee = _PAYEES.get(party)
    other = known.get(party)
    mine = (own.title, _number(own.name))
    if other is not None:
        theirs, side = (other.title, _number(other.name)), account_id(other.name)
    else:
        theirs = (party, _number(party)) if payee is None else (payee.title, payee.identifier)
        side = account_id(f"clearing.{own.currency}")
    ways = (account_id(own.name), side)
    parties = mine + theirs
    if minor > 0:
        ways, parties = ways[::-1], theirs + mine
    wording = Wording(words[1], words[0], *parties)
    paid = None if payee is None or minor > 0 else party
    return _Event(at, *ways, Money(abs(minor), own.currency), wording, f"{name} {own_name}", paid)


_PAYEES = {payee.name: payee for payee in people.PAYEES}


def _number(name: str) -> str:
    return str(int.from_bytes(name.encode(), "big") % 89_999_999 + 10_000_000)


def _hold(ledger: LedgerGroup, now: datetime, name: str, merchant: str, minor: int) -> None:
    holding = next(it for it in people.HOLDINGS if it.name == name)
    wording = Wording(f"AUTH {merchant.upper()}", "card", holding.title, _number(name), merchant, "")
    ledger.turn_to(now)
    body = Pend(
        name_for("m", 0, "hold", name),
        account_id(name),
        account_id(f"clearing.{holding.currency}"),
        Money(minor, holding.currency),
        now + timedelta(days=5),
        wording,
    )
    if ledger.pend(body) is not LedgerAnswer.CREATED:
        raise ValueError(f"the seed does not add up: hold on {name}")


def _clearing(currency: str) -> dict[str, Any]:
    row = _account(people.Holding(f"clearing.{currency}", (), f"Clearing {currency}", "nostro", currency, 0))
    return row | {"kind": "clearing", "iban": None}


def _account(holding: people.Holding) -> dict[str, Any]:
    number = _number(holding.name)
    return {
        "id": account_id(holding.name),
        "kind": "customer",
        "name": holding.title,
        "product": holding.product,
        "currency": holding.currency,
        "status": holding.status,
        "iban": _iban(number),
        "sort_code": _SORT_CODE,
        "number": number,
        "overdraft_minor": holding.overdraft_minor,
    }


def _iban(number: str) -> str:
    """ISO 13616: the check digits make the rearranged number one, modulo 97."""
    basic = f"SAND{_SORT_CODE}{number}"
    digits = "".join(str(int(letter, 36)) for letter in f"{basic}GB00")
    return f"GB{98 - int(digits) % 97:02d}{basic}"


def _empty(id_: str, currency: str) -> dict[str, Any]:
    return {"account": id_, "currency": currency, "booked_minor": 0, "entries": 0, "booked_at_us": 0}


def _payee(payee: people.Payee, now: datetime) -> dict[str, Any]:
    return {
        "id": name_for("b", 0, payee.name),
        "account": account_id(payee.account),
        "name": payee.title,
        "identifier": payee.identifier,
        "created_at_us": micros(now - timedelta(days=payee.saved_days_ago)),
        "removed_at_us": None,
    }


def _paid(event: _Event) -> dict[str, Any] | None:
    if event.payee is None:
        return None
    row = _payment(event.payee, event.amount, event.wording.memo[:18], event.at)
    return row | {
        "id": name_for("p", micros(event.at), event.name),
        "status": "ACSC",
        "settled_at_us": micros(event.at),
        "execute_on": None,
    }


def _planned(planned: people.Planned, now: datetime) -> dict[str, Any]:
    row = _payment(planned.payee, Money(planned.minor, _currency(planned.account)), planned.reference, now - timedelta(days=2))
    on = working_day(now.date() + timedelta(days=planned.in_days)).isoformat()
    return row | {"id": name_for("p", 0, "planned", planned.payee), "status": "SCHD", "settled_at_us": None, "execute_on": on}


def _payment(name: str, amount: Money, reference: str, at: datetime) -> dict[str, Any]:
    payee = _PAYEES[name]
    return {
        "account": account_id(payee.account),
        "credit": account_id(f"clearing.{amount.currency}"),
        "beneficiary": name_for("b", 0, name),
        "amount_minor": amount.minor,
        "currency": amount.currency,
        "counterparty_name": payee.title,
        "reference": reference,
        "created_at_us": micros(at),
        "through_assistant": 0,
        "key": None,
        "standing_order": None,
    }


def _card(plastic: people.Plastic) -> dict[str, Any]:
    return {
        "id": name_for("k", 0, plastic.name),
        "account": account_id(plastic.account),
        "last4": plastic.last4,
        "scheme": plastic.scheme,
        "status": plastic.status,
        "thawed": "active",
        "holder": plastic.holder,
        "replaces": None,
    }


def _collected(debit: people.Collected, last: dict[tuple[str, str], _Event], today: date) -> dict[str, Any]:
    found = last.get((account_id(debit.account), debit.creditor))
    return {
        "id": name_for("d", 0, debit.account, debit.creditor),
        "account": account_id(debit.account),
        "creditor_name": debit.creditor,
        "reference": debit.reference,
        "status": debit.status,
        "last_minor": None if found is None else found.amount.minor,
        "currency": _currency(debit.account),
        "last_on": None if found is None else found.at.date().isoformat(),
        "next_on": _next(debit.day, today).isoformat() if debit.status == "active" else None,
    }


def _directory() -> Iterator[dict[str, Any]]:
    own = [
        (f"{_SORT_CODE}{_number(holding.name)}", people.HOLDERS[owner], False)
        for holding in people.HOLDINGS
        if holding.status != "closed"
        for owner in holding.owners
    ]
    for identifier, holder, opted_out in (*own, *people.DIRECTORY):
        key, bank = payees.account_key(identifier)
        yield {"identifier": key, "holder": holder, "bank": bank, "opted_out": int(opted_out)}


def _standing(order: people.SeedStandingOrder, today: date) -> dict[str, Any]:
    first_on = _next(order.day, today)
    return {
        "id": name_for("s", 0, order.account, order.payee),
        "account": account_id(order.account),
        "beneficiary": name_for("b", 0, order.payee),
        "amount_minor": order.minor,
        "currency": _currency(order.account),
        "frequency": Frequency.MONTHLY.value,
        "first_on": first_on.isoformat(),
        "month_day": first_on.day,
        "turn": 0,
        "next_on": working_day(first_on).isoformat(),
        "last_on": None,
        "reference": order.reference,
        "status": "active",
        "through_assistant": 0,
    }


def _next(day: int, today: date) -> date:
    """The next such day of a month after today."""
    after = today.replace(day=28) + timedelta(days=4)
    return today.replace(day=day) if day > today.day else after.replace(day=day)


def _currency(name: str) -> str:
    return next(holding.currency for holding in people.HOLDINGS if holding.name == name)
