"""The statement of a closed period, as a document that the app shows to the customer. Its text is never read to a model."""

from collections.abc import Mapping
from datetime import date, timedelta

from adapters.core import CoreBank, Identified, ReferenceKind
from adapters.function import Argument, Arguments, Asker, Effect, Field, Level, ReadFunction, Text, Unfit
from adapters.shapes import ACCOUNT


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    start, end = days_of(arguments.must("period", str))
    if end >= asker.today:
        raise Unfit("period", "must be a month or quarter that has ended")
    found = await core.statement(arguments.must("account", Identified).id, start, end)
    if found is None:
        return None
    return {
        "document": Identified(ReferenceKind.DOCUMENT, found.id),
        "from": found.start,
        "to": found.end,
        "media_type": found.media_type,
    }


def days_of(period: str) -> tuple[date, date]:
    """First and last day of a month (2026-02) or a quarter (2026-Q1)."""
    year, part = int(period[:4]), period[5:]
    first, months = (int(part[1]) * 3 - 2, 3) if part[0] == "Q" else (int(part), 1)
    following = year * 12 + first - 1 + months
    return date(year, first, 1), date(following // 12, following % 12 + 1, 1) - timedelta(days=1)


FUNCTION = ReadFunction(
    name="get_statement",
    title="See a statement",
    summary="The statement of one account over a month or quarter that has ended, as a document for the customer.",
    effect=Effect.READ,
    level=Level.L2,
    resource="account",
    arguments=(
        ACCOUNT,
        Argument(
            name="period",
            type=Text(7, least=7, pattern="20[0-9]{2}-(?:0[1-9]|1[0-2]|Q[1-4])"),
            description="A month such as 2026-02 or a quarter such as 2026-Q1, already over.",
        ),
    ),
    output=(
        Field(name="document", type=ReferenceKind.DOCUMENT, description="The document's reference: the app opens it, not you."),
        Field(name="from", type="day", description="First day of the statement."),
        Field(name="to", type="day", description="Last day of the statement."),
        Field(name="media_type", type="text", description="What the document is, such as application/pdf."),
    ),
    read=_read,
)
