"""What the gateway itself asks an upstream about a customer: whom they pay, what is ordered, and what is theirs. Asked anew each time."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from adapters.core import Acquaintance, CoreBank, ExistingOrder, IncomingEntry, KnownPayee, Money
from adapters.declared.conversion import NotAnAnswer, day, moment, money
from adapters.declared.declarations import FactQuestions, Listing
from adapters.declared.paths import NotASegment
from adapters.declared.requests import facts_question
from adapters.declared.upstream import Upstream, unusable
from adapters.identity import Scheme, canonical

FACTS_MOST = 5_000


async def acquaintance_of(
    facts: FactQuestions, _core: CoreBank, customer: str, *, payee_scheme: Scheme, upstream: Upstream
) -> Acquaintance:
    """What the upstream knows of the customer. `payee_scheme`: how the payees of orders and entries are compared. CoreUnavailable, also
    for an answer that is not as declared: half an answer would be taken for a whole one."""
    own_scheme = facts.own_accounts.scheme if facts.own_accounts else Scheme.OPAQUE
    try:
        payees = [_payee(record, asked, own_scheme) async for asked, record in _records(facts.payees, upstream, customer)]
        orders = [_existing(record, asked, payee_scheme) async for asked, record in _records(facts.orders, upstream, customer)]
        own = [_identifier(record, asked) async for asked, record in _records(facts.own_accounts, upstream, customer)]
        incoming = [_entry(record, asked, payee_scheme) async for asked, record in _records(facts.incoming, upstream, customer)]
        owned = {
            name: frozenset([_identifier(record, asked) async for asked, record in _records(listing, upstream, customer)])
            for name, listing in facts.owned.items()
        }
    except NotAnAnswer as why:
        raise unusable("facts", why) from None
    return Acquaintance(
        tuple(_distinct(payees)), {order.id: order for order in orders}, frozenset(own), owned=owned, incoming=tuple(incoming)
    )


async def _records(asked: Listing | None, upstream: Upstream, customer: str) -> AsyncIterator[tuple[Listing, Mapping[str, object]]]:
    """The records of a question, with it; none of one that is not declared."""
    if asked is None:
        return
    try:
        response = await upstream.ask(facts_question(asked, customer), customer)
    except NotASegment:
        raise NotAnAnswer("a customer that no path may hold") from None
    if response.status != 200:
        raise NotAnAnswer(f"status_{response.status}")
    value = response.json()
    if asked.at is not None:
        value = value.get(asked.at) if isinstance(value, Mapping) else None
    records = value if isinstance(value, list) else [value]
    if len(records) > FACTS_MOST:
        raise NotAnAnswer("more records than any")
    for item in records:
        # a bare value is the first field: the key of a payee, an account's number
        record = item if isinstance(item, Mapping) else {next(iter(asked.names.values())): item}
        yield asked, record


def _identifier(record: Mapping[str, object], asked: Listing) -> str:
    """What names the object of a record: its first field that is declared, in the canonical form of the list's scheme."""
    return canonical(asked.scheme, _text(record, next(iter(asked.names.values()))))


def _payee(record: Mapping[str, object], asked: Listing, own_scheme: Scheme) -> KnownPayee:
    names = asked.names
    paid_from = _maybe(record, names.get("paid_from"))
    identifier = canonical(asked.scheme, _text(record, names["identifier"]))
    return KnownPayee(
        key=_text(record, names["key"]) if "key" in names else identifier,
        name=_maybe(record, names.get("name")) or "",
        identifier=identifier,
        known_since=_time(record, names.get("known_since")),
        saved_at=_time(record, names.get("saved_at")),
        paid_from=None if paid_from is None else canonical(own_scheme, paid_from),
    )


def _existing(record: Mapping[str, object], asked: Listing, payee_scheme: Scheme) -> ExistingOrder:
    names = asked.names
    return ExistingOrder(
        id=_text(record, names["id"]),
        payee=canonical(payee_scheme, _text(record, names["payee"])),
        amount=_amount(record, asked),
        name=_maybe(record, names.get("name")) or "",
    )


def _entry(record: Mapping[str, object], asked: Listing, payee_scheme: Scheme) -> IncomingEntry:
    names = asked.names
    amount = _amount(record, asked)
    if amount is None or amount.minor <= 0:
        raise NotAnAnswer(names["amount"])
    return IncomingEntry(
        id=_text(record, names["id"]),
        payer=canonical(payee_scheme, _text(record, names["payer"])),
        amount=amount,
        booked_at=_time(record, names.get("booked_at")),
    )


def _amount(record: Mapping[str, object], asked: Listing) -> Money | None:
    name = asked.names.get("amount")
    value = None if name is None else record.get(name)
    if name is None or value is None:
        return None
    currency = asked.currency if "currency" not in asked.names else record.get(asked.names["currency"])
    return money(value, asked.written, currency, name)


def _text(record: Mapping[str, object], name: str) -> str:
    value = record.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "" or len(str(value)) > 256:
        raise NotAnAnswer(name)
    return str(value)


def _maybe(record: Mapping[str, object], name: str | None) -> str | None:
    return None if name is None or record.get(name) in (None, "") else _text(record, name)


def _time(record: Mapping[str, object], name: str | None) -> datetime | None:
    text = _maybe(record, name)
    if text is None or name is None:
        return None
    return moment(f"{day(text, name).isoformat()}T00:00:00Z" if len(text) == 10 else text, name)


def _distinct(payees: list[KnownPayee]) -> Iterator[KnownPayee]:
    """Each key once: known since the first time, under the name of the last record that has one; paid from where no two records differ."""
    merged: dict[str, list[KnownPayee]] = {}
    for payee in payees:
        merged.setdefault(payee.key, []).append(payee)
    for records in merged.values():
        named = [record.name for record in records if record.name]
        paid_from = {record.paid_from for record in records if record.paid_from is not None}
        yield replace(
            records[-1],
            name=named[-1] if named else "",
            known_since=min((record.known_since for record in records if record.known_since is not None), default=None),
            saved_at=min((record.saved_at for record in records if record.saved_at is not None), default=None),
            paid_from=paid_from.pop() if len(paid_from) == 1 else None,
        )
