"""Transactions of one account, newest first. Memos and names in them are other people's text."""

from collections.abc import Mapping
from datetime import date

from adapters.core import CoreBank, Identified, TransactionFilter, TransactionPage
from adapters.function import (
    Argument,
    Arguments,
    Asker,
    Choice,
    Count,
    Day,
    Effect,
    Field,
    Kind,
    Level,
    ReadFunction,
    Text,
)
from adapters.questions import Question
from adapters.shapes import ACCOUNT, TRANSACTION, shown


def _asks(asker: Asker, arguments: Arguments) -> Question[TransactionPage]:
    return Question.to(
        CoreBank.transactions,
        TransactionFilter(
            account=arguments.must("account", Identified).id,
            start=arguments.must("from", date),
            end=arguments.must("to", date),
            credit_debit=arguments.may("credit_debit", str),
            text=arguments.may("text", str),
            cursor=arguments.may("cursor", str),
            limit=arguments.must("limit", int),
        ),
    )


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    page = await _asks(asker, arguments).ask(core)
    return {"transactions": [shown(it) for it in page.transactions], "next_cursor": page.next_cursor}


FUNCTION = ReadFunction(
    name="list_transactions",
    title="See your transactions",
    summary="Booked transactions of one account, newest first. For totals, prefer get_spending_summary.",
    effect=Effect.READ,
    level=Level.L1,
    resource="account",
    arguments=(
        ACCOUNT,
        Argument(name="from", type=Day(), description="First day, inclusive."),
        Argument(name="to", type=Day(), description="Last day, inclusive."),
        Argument(
            name="credit_debit",
            type=Choice(("CRDT", "DBIT")),
            required=False,
            description="Only what was received (CRDT) or spent (DBIT).",
        ),
        Argument(
            name="text",
            type=Text(64, least=1),
            kind=Kind.FREE_TEXT,
            required=False,
            description="Only where the memo or the other side's name contains this.",
        ),
        Argument(
            name="cursor",
            type=Text(16, least=1, alphabet="0-9"),
            required=False,
            description="next_cursor of the page before this one.",
        ),
        Argument(name="limit", type=Count(1, 100), required=False, default=50, description="Most transactions on this page."),
    ),
    output=(
        Field(
            name="transactions",
            type=TRANSACTION,
            many=True,
            data_class="transactions",
            description="The transactions of this page.",
        ),
        Field(name="next_cursor", type="text", nullable=True, description="Cursor of the next page; null on the last."),
    ),
    data_classes=frozenset({"basic", "identifiers", "transactions"}),
    read=_read,
    ahead=_asks,
)
