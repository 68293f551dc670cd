"""Declarations become functions like any other: closures over one upstream. Nothing but this module makes them."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import datetime
from functools import partial

from adapters.alarms import CoreAlarm
from adapters.core import Acquaintance, CallUpstream, CoreBank, CoreUnavailable, ExistingOrder, KnownPayee, Money, Order
from adapters.declared.conversion import NotAnAnswer, day, moment, money, output_of
from adapters.declared.declarations import Declared, FactQuestions, Listing, Manifest
from adapters.declared.paths import NotASegment
from adapters.declared.requests import canonical_text, question, request_of
from adapters.declared.upstream import Upstream
from adapters.function import Arguments, Asker, BankingFunction, Effect, EffectFunction, ReadFunction, Unfit

FACTS_MOST = 5_000

Acquainted = Callable[[CoreBank, str], Awaitable[Acquaintance]]

_LOG = logging.getLogger("tellergate.upstream")


def functions_of(manifest: Manifest, upstream: Upstream) -> tuple[BankingFunction, ...]:
    """The declared functions, sorted by name."""
    acquaintance = partial(_acquaintance, manifest.facts, upstream)
    ordered = sorted(manifest.functions, key=lambda item: item.name)
    return tuple(_function(item, manifest.digest, upstream, acquaintance) for item in ordered)


def _function(declared: Declared, digest: str, upstream: Upstream, acquaintance: Acquainted) -> BankingFunction:
    common: dict[str, object] = {
        "name": declared.name,
        "title": declared.title,
        "summary": declared.summary,
        "arguments": tuple(item.argument for item in declared.sent),
        "output": tuple(field.field for field in declared.answer.fields),
        "effect": declared.effect,
        "level": declared.level,
        "resource": declared.resource,
        "retention": declared.retention,
        "egress": declared.egress,
        "calls_per_hour": declared.calls_per_hour,
        "data_classes": declared.data_classes,
        "acquaintance": acquaintance,
        "origin": digest,
    }
    if declared.effect is Effect.READ:
        return ReadFunction(**common, read=partial(_read, declared, upstream))  # type: ignore[arg-type]
    return EffectFunction(**common, order=partial(_order, declared.name))  # type: ignore[arg-type]


def _order(name: str, arguments: Arguments) -> Order:
    return CallUpstream(name, canonical_text(arguments))


async def _read(
    declared: Declared, upstream: Upstream, _core: CoreBank, asker: Asker, arguments: Arguments
) -> Mapping[str, object] | None:
    try:
        request = request_of(declared, canonical_text(arguments), asker.customer)
    except NotASegment:
        in_path = next(item.argument.name for item in declared.sent if item.place.value == "path")
        raise Unfit(in_path, "must be a plain name, without slashes") from None
    response = await upstream.ask(request, asker.customer, timeout_ms=declared.timeout_ms)
    if response.status in declared.gone:
        return None
    try:
        if response.status not in declared.done:
            raise NotAnAnswer(f"status_{response.status}")
        return output_of(declared.answer, response.json(), is_lenient=False)
    except NotAnAnswer as why:
        raise _unusable(declared.name, why) from None


# What the gateway itself asks


async def _acquaintance(facts: FactQuestions, upstream: Upstream, _core: CoreBank, customer: str) -> Acquaintance:
    """What the upstream knows of the customer. CoreUnavailable, also for an answer that is not as declared: half an answer would be taken
    for a whole one."""
    try:
        payees = (
            [_payee(record, facts.payees) async for record in _records(facts.payees, upstream, customer)] if facts.payees else []
        )
        orders = (
            [_existing(record, facts.orders) async for record in _records(facts.orders, upstream, customer)] if facts.orders else []
        )
        own = [
            electronic(_text(record, facts.own_accounts.names["account"]))
            async for record in _records(facts.own_accounts, upstream, customer)
        ] if facts.own_accounts else []  # fmt: skip
    except NotAnAnswer as why:
        raise _unusable("facts", why) from None
    return Acquaintance(tuple(_distinct(payees)), {order.id: order for order in orders}, frozenset(own))


async def _records(asked: Listing, upstream: Upstream, customer: str) -> AsyncIterator[Mapping[str, object]]:
    try:
        response = await upstream.ask(question(asked.path, {"customer": customer}), customer)
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
        yield record


def _payee(record: Mapping[str, object], asked: Listing) -> KnownPayee:
    names = asked.names
    identifier = electronic(_text(record, names["identifier"]))
    return KnownPayee(
        key=electronic(_text(record, names["key"])) if "key" in names else identifier,
        name=_maybe(record, names.get("name")) or "",
        identifier=identifier,
        known_since=_time(record, names.get("known_since")),
        saved_at=_time(record, names.get("saved_at")),
    )


def _existing(record: Mapping[str, object], asked: Listing) -> ExistingOrder:
    names = asked.names
    return ExistingOrder(
        id=_text(record, names["id"]),
        payee=electronic(_text(record, names["payee"])),
        amount=_amount(record, asked),
        name=_maybe(record, names.get("name")) or "",
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


def electronic(text: str) -> str:
    """An IBAN in its electronic form (ISO 13616): without spaces, in capitals. Anything else as it is."""
    plain = text.replace(" ", "").upper()
    is_iban = plain.isascii() and plain.isalnum() and 15 <= len(plain) <= 34 and plain[:2].isalpha() and plain[2:4].isdigit()
    return plain if is_iban else text


def _distinct(payees: list[KnownPayee]) -> Iterator[KnownPayee]:
    """Each key once: known since the first time, under the name of the last record that has one."""
    merged: dict[str, KnownPayee] = {}
    for payee in payees:
        other = merged.get(payee.key)
        if other is not None:
            times = [item for item in (payee.known_since, other.known_since) if item is not None]
            saved = [item for item in (payee.saved_at, other.saved_at) if item is not None]
            payee = KnownPayee(  # noqa: PLW2901
                payee.key, payee.name or other.name, payee.identifier, min(times, default=None), min(saved, default=None)
            )
        merged[payee.key] = payee
    yield from merged.values()


def _unusable(name: str, why: NotAnAnswer) -> CoreUnavailable:
    _LOG.log(*CoreAlarm.UPSTREAM_ANSWER.line(function=name, cause=str(why)))
    return CoreUnavailable("an answer that is not as declared")
