"""What the customer is asked to confirm: held calls of one request become one intent. Built here, from facts, never by the model."""

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from hashlib import sha256

from adapters.core import Account, CoreBank, CoreUnavailable, Identified, Money, ReferenceKind
from adapters.function import Arguments, BankingFunction, Effect, Kind, Value
from gateway.calls.arguments import canonical, canonical_bytes, stored
from gateway.domain.doubts import DOUBTS
from gateway.domain.errors import Code, Unavailable
from gateway.domain.principal import Principal
from gateway.domain.proposal import Proposal, drawn_up, new_id
from gateway.domain.stages import Call, Grounded, Held
from gateway.domain.strict_json import Json

WARNINGS: Mapping[str, str] = {
    "duplicate": "The same payment was made a short while ago.",
    "irreversible": "Once done it cannot be undone.",
}
"""What a page shows beside an intent, by code; the text is part of what is confirmed."""

_SORT_CODE_AND_NUMBER = re.compile(r"([0-9]{2})-?([0-9]{2})-?([0-9]{2})[ -]?([0-9]{8})")


async def intent_of(held: Sequence[Held], core: CoreBank, bundle: str, now: datetime, *, agent_name: str | None = None) -> Proposal:
    """The proposal of these calls, which one customer's agent asked for in one request. Unavailable when the core does not answer.

    `agent_name`: the name that the bank gave that agent.
    """
    first = held[0].refused.received.principal
    try:
        accounts = {account.id: account for account in await core.accounts(first.customer)}
        calls: list[Json] = [await _shown(held_call.grounded, core, accounts) for held_call in held]
    except CoreUnavailable:
        raise Unavailable("core_unavailable") from None
    moved = [money for held_call in held if (money := held_call.grounded.call.arguments.amount()) is not None]
    content: dict[str, Json] = {
        "call_ids": [held_call.refused.received.call_id for held_call in held],
        "agent": first.acting,
        "agent_name": agent_name,
        "calls": calls,
        "total": _total(moved),
        "warnings": [{"code": code, "text": WARNINGS[code]} for code in _warnings(held)],
    }
    return drawn_up(
        content,
        confirmation=new_id(secrets.token_bytes(16)),
        customer=first.customer,
        agent=first.acting,
        level=int(max(held_call.level for held_call in held)),
        moves_money=bool(moved),
        bundle=bundle,
        now=now,
    )


def repeat_key(held: Sequence[Held]) -> bytes:
    """The same for the same calls of the same customer, whatever their ids: what was declined is known by it."""
    calls = sorted(canonical_bytes(held_call.grounded.call.function.name, held_call.grounded.call.arguments) for held_call in held)
    return sha256(b"\x00".join([held[0].refused.received.principal.customer.encode(), *calls])).digest()


def arguments_bytes(call: Call) -> bytes:
    """The arguments of a call as a proposal keeps them."""
    return json.dumps(stored(call.arguments), sort_keys=True, separators=(",", ":")).encode()


def principal_bytes(principal: Principal) -> bytes:
    """Who asked, without any token: with this principal it is executed, never with the token of then."""
    body = {
        "customer": principal.customer,
        "agent": principal.agent,
        "client": principal.client,
        "scopes": sorted(principal.scopes),
        "strong": principal.strong,
        "authenticated_at_s": principal.authenticated_at_s,
        "expires_at_s": principal.expires_at_s,
        "channel": principal.channel,
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def stored_principal(kept: bytes) -> Principal:
    """The principal that `principal_bytes` kept."""
    body = json.loads(kept)
    return Principal(**{**body, "scopes": frozenset(body["scopes"])})


def _total(moved: Sequence[Money]) -> Json:
    """The sum, where all are in one currency."""
    if len({money.currency for money in moved}) != 1:
        return None
    total = Money(sum(money.minor for money in moved), moved[0].currency)
    return {"value": total.value, "currency": total.currency}


def _warnings(held: Sequence[Held]) -> list[str]:
    """Of all calls together; each call's own doubts stand beside it."""
    codes = ["duplicate"] if any(held_call.refused.refusal.code is Code.DUPLICATE_SUSPECTED for held_call in held) else []
    if any(held_call.grounded.call.function.effect is Effect.IRREVERSIBLE for held_call in held):
        codes.append("irreversible")
    return list(dict.fromkeys(codes))


async def _shown(grounded: Grounded, core: CoreBank, accounts: Mapping[str, Account]) -> dict[str, Json]:
    call, sources = grounded.call, grounded.sources
    function, amount = call.function, call.arguments.amount()
    rows: list[Json] = []
    for argument in function.arguments:
        if argument.name not in call.arguments:
            continue
        value = call.arguments[argument.name]
        rows.append(
            {
                "name": argument.name,
                "label": argument.name.replace("_", " "),
                "value": await _words(value, call, core, accounts, hidden=argument.kind is Kind.CREDENTIAL),
                "kind": None if argument.kind is None else argument.kind.value,
                "source": None if argument.kind is None else sources.get(argument.kind.value),
            }
        )
    day = next((call.arguments[name] for name in ("execute_on", "date") if isinstance(call.arguments.get(name), date)), None)
    return {
        "function": function.name,
        "title": function.title,
        "arguments": rows,
        "exactly": exactly(function, call.arguments, call.received.call_id),
        "payee": _payee(call, accounts),
        "amount": None if amount is None else {"value": amount.value, "currency": amount.currency},
        "account": await _account(call, core, accounts),
        "execute_on": day.isoformat() if isinstance(day, date) else None,
        "rail": None,
        "fees": [],
        "consequence": None,
        "initiated_through_assistant": True,
        "quoted": [{"text": part.text, "understood": part.understood} for part in grounded.quoted],
        "doubts": [{"code": doubt.value, "text": DOUBTS[doubt]} for doubt in grounded.doubts],
    }


def exactly(function: BankingFunction, arguments: Arguments, call_id: str) -> Json:
    """The canonical arguments, by which an intent is bound to what is executed.

    A credential stands in no intent: then it is a digest over them, salted with the call's random id.
    """
    if not any(argument.kind is Kind.CREDENTIAL for argument in function.arguments):
        return canonical(arguments)
    over = call_id.encode() + b"\x00" + canonical_bytes(function.name, arguments)
    return {"sha256": sha256(over).hexdigest()}


def _payee(call: Call, accounts: Mapping[str, Account]) -> Json:
    key = call.payee_key
    if key is None:
        return None
    if call.payee is not None and call.payee.id in accounts:
        account = accounts[call.payee.id]
        return {"name": account.name, "identifier": number_of(account), "known": True, "check": None}
    payees = call.facts.evidence.acquaintance.payees if call.facts.evidence else ()
    payee = next((payee for payee in payees if key in (payee.key, payee.identifier)), None)
    named = next((value for value in _names(call) if value), "")
    if payee is None:
        return {"name": named, "identifier": readable(key), "known": False, "check": None}
    settled = payee.known_since is not None
    return {"name": payee.name or named, "identifier": readable(payee.identifier or key), "known": settled, "check": None}


def _names(call: Call) -> list[str]:
    values = [call.arguments.get(argument.name) for argument in call.function.arguments if argument.kind is Kind.PAYEE]
    return [value for value in values if isinstance(value, str) and value != call.payee_key]


async def _account(call: Call, core: CoreBank, accounts: Mapping[str, Account]) -> Json:
    named = call.arguments.get(call.function.resource) if call.function.resource else None
    if isinstance(named, Identified) and named.kind is ReferenceKind.ACCOUNT:
        return await _words(named, call, core, accounts)
    return None


async def _words(value: Value, call: Call, core: CoreBank, accounts: Mapping[str, Account], *, hidden: bool = False) -> str:
    """A value as the customer reads it; identifiers of the core never."""
    if hidden:
        return "(kept hidden)"
    match value:
        case Identified(ReferenceKind.ACCOUNT, name) if name in accounts:
            return f"{accounts[name].name} ({number_of(accounts[name])})"
        case Identified():
            return await _object(value, call, core)
        case tuple():
            return ", ".join([await _words(item, call, core, accounts) for item in value])
        case Money():
            return f"{value.value} {value.currency}"
        case date():
            return value.isoformat()
    return str(value)


async def _object(value: Identified, call: Call, core: CoreBank) -> str:
    acquaintance = call.facts.evidence.acquaintance if call.facts.evidence else None
    if acquaintance is not None and value.key in acquaintance.orders:
        order = acquaintance.orders[value.key]
        payee = next((item.name for item in acquaintance.payees if item.key == order.payee), "")
        amount = "" if order.amount is None else f"{order.amount.value} {order.amount.currency}"
        return " ".join(part for part in (order.name, amount, payee and f"to {payee}") if part)
    if acquaintance is not None and value.kind is ReferenceKind.BENEFICIARY:
        return next(
            (f"{item.name} ({readable(item.identifier)})" for item in acquaintance.payees if item.key == value.key), "a saved payee"
        )
    if value.kind is ReferenceKind.CARD:
        cards = await core.cards(call.customer)
        return next((f"{card.scheme} ending in {card.last4}" for card in cards if card.id == value.id), "a card")
    if value.kind is ReferenceKind.TRANSACTION:
        transaction = await core.transaction(value.id)
        if transaction is not None:
            return (
                f"{transaction.amount.value} {transaction.amount.currency} on {transaction.booked_at.date().isoformat()}, "
                f"{transaction.counterparty_name}"
            )
    return value.kind.name.lower().replace("_", " ")


def number_of(account: Account) -> str:
    """An account's number as its owner reads it: sort code and number where it has them, else its IBAN."""
    return readable(f"{account.sort_code}{account.number}") if account.sort_code else account.iban or account.number


def readable(identifier: str) -> str:
    """An account number as people read it: sort code and account number apart ("11-22-33 12345678"); anything else as it is."""
    found = _SORT_CODE_AND_NUMBER.fullmatch(identifier)
    return identifier if found is None else "{}-{}-{} {}".format(*found.groups())
