"""Declarations for tests: the functions of the catalogue as the policies see them. A real declaration replaces its namesake."""

from collections.abc import Mapping

from adapters.core import CoreBank, Order, ReferenceKind, RequestHuman
from adapters.function import (
    Amount,
    Argument,
    Arguments,
    ArgumentType,
    Asker,
    BankingFunction,
    Choice,
    Count,
    Day,
    Effect,
    EffectFunction,
    Field,
    Kind,
    Level,
    ReadFunction,
    Reference,
    ReferenceList,
    Text,
)
from adapters.functions import MANIFEST
from gateway.calls.tools import TOOLS

ACCOUNT = Reference((ReferenceKind.ACCOUNT,))
NOTE = (Field(name="note", type="text", description="A note."),)


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    return {"note": "sample"}


def _order(arguments: Arguments) -> Order:
    return RequestHuman(topic="sample")


def _argument(name: str, type: ArgumentType, kind: Kind | None = None, required: bool = True) -> Argument:  # noqa: A002
    return Argument(name=name, type=type, kind=kind, required=required, description=f"The {name}.")


def _account() -> Argument:
    return _argument("account", ACCOUNT, Kind.OBJECT)


def read(name: str, *arguments: Argument, level: Level = Level.L1, resource: str | None = None, **more: object) -> ReadFunction:
    return ReadFunction(
        name=name,
        title=name.replace("_", " ").capitalize(),
        summary=f"{name}.",
        arguments=arguments,
        output=NOTE,
        effect=Effect.READ,
        level=level,
        resource=resource,
        read=_read,
        **more,  # type: ignore[arg-type]
    )


def effect(
    name: str, *arguments: Argument, does: Effect, level: Level, resource: str | None = None, **more: object
) -> EffectFunction:
    return EffectFunction(
        name=name,
        title=name.replace("_", " ").capitalize(),
        summary=f"{name}.",
        arguments=arguments,
        output=NOTE,
        effect=does,
        level=level,
        resource=resource,
        order=_order,
        **more,  # type: ignore[arg-type]
    )


_SAMPLES: tuple[BankingFunction, ...] = (
    read("list_accounts"),
    read("get_account_balance", _account(), _argument("type", Choice(("ITAV", "ITBD")), required=False), resource="account"),
    read(
        "list_transactions",
        _account(),
        _argument("from", Day()),
        _argument("to", Day()),
        _argument("text", Text(40), Kind.FREE_TEXT, required=False),
        _argument("limit", Count(1, 100), required=False),
        resource="account",
    ),
    read("get_transaction", _argument("transaction", Reference((ReferenceKind.TRANSACTION,)), Kind.OBJECT), resource="transaction"),
    read(
        "get_spending_summary",
        _argument("accounts", ReferenceList((ReferenceKind.ACCOUNT,)), Kind.OBJECT),
        _argument("period", Choice(("last_month", "last_12_months"))),
        _argument("group_by", Choice(("category", "month")), required=False),
        resource="accounts",
    ),
    read("list_beneficiaries", _account(), level=Level.L2, resource="account"),
    read("list_standing_orders", _account(), resource="account"),
    read("list_scheduled_payments", _account(), resource="account"),
    read("list_cards"),
    read("get_payment_status", _argument("payment", Reference((ReferenceKind.PAYMENT,)), Kind.OBJECT), resource="payment"),
    read("get_limits"),
    effect(
        "freeze_card",
        _argument("card", Reference((ReferenceKind.CARD,)), Kind.OBJECT),
        does=Effect.PROTECT,
        level=Level.L1,
        resource="card",
        emergency=True,
    ),
    effect(
        "report_suspected_fraud",
        _argument("payment", Reference((ReferenceKind.PAYMENT, ReferenceKind.TRANSACTION)), Kind.OBJECT, required=False),
        _argument("text", Text(500), Kind.FREE_TEXT, required=False),
        does=Effect.PROTECT,
        level=Level.L1,
        resource="payment",
        emergency=True,
    ),
    effect("request_human", _argument("topic", Text(140), Kind.FREE_TEXT), does=Effect.PROTECT, level=Level.L0, emergency=True),
    effect(
        "cancel_scheduled_payment",
        _argument("payment", Reference((ReferenceKind.PAYMENT,)), Kind.OBJECT),
        does=Effect.WRITE,
        level=Level.L3,
        resource="payment",
    ),
    effect(
        "initiate_transfer",
        _argument("from", ACCOUNT, Kind.OBJECT),
        _argument("to", Reference((ReferenceKind.ACCOUNT, ReferenceKind.BENEFICIARY)), Kind.PAYEE),
        _argument("amount", Amount(), Kind.AMOUNT),
        _argument("reference", Text(18, alphabet="A-Za-z0-9 /?:().,+-"), Kind.FREE_TEXT),
        _argument("execute_on", Day(), required=False),
        does=Effect.IRREVERSIBLE,
        level=Level.L1,
        resource="from",
    ),
)


_BY_NAME = {function.name: function for function in (*_SAMPLES, *MANIFEST, *TOOLS)}

FUNCTIONS: tuple[BankingFunction, ...] = tuple(_BY_NAME[name] for name in sorted(_BY_NAME))
"""Every function, real where it is declared."""
