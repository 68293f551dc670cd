"""What was spent, summed by the core. It holds less of anybody's text than a listing, so it is what a model should ask for."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from adapters.core import CoreBank, Identified, ReferenceKind, SpendingGroup
from adapters.function import Argument, Arguments, Asker, Choice, Effect, Field, Kind, Label, Level, ReadFunction, ReferenceList
from adapters.questions import Question

_PERIODS = ("this_month", "last_month", "last_3_months", "last_12_months")


def _asks(asker: Asker, arguments: Arguments) -> Question[Sequence[SpendingGroup]]:
    accounts = tuple([account.id for account in arguments.must("accounts", tuple) if isinstance(account, Identified)])
    return Question.to(
        CoreBank.spending, accounts, *_days(arguments.must("period", str), asker.today), arguments.must("group_by", str)
    )


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    start, end = _days(arguments.must("period", str), asker.today)
    group_by = arguments.must("group_by", str)
    is_theirs = group_by == "counterparty"
    groups = [
        {
            "group": None if is_theirs else it.group,
            "counterparty_name": it.group if is_theirs else None,
            "total": it.total,
            "count": it.count,
        }
        for it in await _asks(asker, arguments).ask(core)
    ]
    return {"from": start, "to": end, "groups": groups}


def _days(period: str, today: date) -> tuple[date, date]:
    """First and last day. "Last" periods are whole calendar months, without the current one."""
    first = today.replace(day=1)
    if period == "this_month":
        return first, today
    months = {"last_month": 1, "last_3_months": 3, "last_12_months": 12}[period]
    count = first.year * 12 + first.month - 1 - months
    return date(count // 12, count % 12 + 1, 1), first - timedelta(days=1)


FUNCTION = ReadFunction(
    name="get_spending_summary",
    title="See a summary of your spending",
    summary="Money spent from some accounts in a period, per group and currency.",
    effect=Effect.READ,
    level=Level.L1,
    resource="accounts",
    arguments=(
        Argument(
            name="accounts",
            type=ReferenceList((ReferenceKind.ACCOUNT,)),
            kind=Kind.OBJECT,
            description="The accounts, as references from list_accounts.",
        ),
        Argument(name="period", type=Choice(_PERIODS), description="last_... are whole calendar months before this one."),
        Argument(
            name="group_by",
            type=Choice(("category", "month", "counterparty")),
            required=False,
            default="category",
            description="What to sum by.",
        ),
    ),
    output=(
        Field(name="from", type="day", description="First day of the period."),
        Field(name="to", type="day", description="Last day of the period."),
        Field(
            name="groups",
            many=True,
            data_class="transactions",
            description="One entry per group and currency.",
            type=(
                Field(name="group", type="text", nullable=True, description="The category, or the month as YYYY-MM."),
                Field(
                    name="counterparty_name",
                    type="text",
                    nullable=True,
                    label=Label.THIRD_PARTY,
                    description="Who was paid, when grouped by counterparty.",
                ),
                Field(name="total", type="money", description="Sum of what was spent."),
                Field(name="count", type="count", description="How many transactions."),
            ),
        ),
    ),
    data_classes=frozenset({"basic", "transactions"}),
    read=_read,
    ahead=_asks,
)
