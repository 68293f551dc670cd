"""One transaction, as listed."""

from collections.abc import Mapping

from adapters.core import CoreBank, Identified, ReferenceKind, Transaction
from adapters.function import Arguments, Asker, Effect, Field, Level, ReadFunction
from adapters.questions import Question
from adapters.shapes import TRANSACTION, naming, shown


def _asks(asker: Asker, arguments: Arguments) -> Question[Transaction | None]:
    return Question.to(CoreBank.transaction, arguments.must("transaction", Identified).id)


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    found = await _asks(asker, arguments).ask(core)
    return None if found is None else {"transaction": shown(found)}


FUNCTION = ReadFunction(
    name="get_transaction",
    title="See a transaction",
    summary="One booked transaction.",
    effect=Effect.READ,
    level=Level.L1,
    resource="transaction",
    arguments=(
        naming("transaction", ReferenceKind.TRANSACTION, description="The transaction, as a reference from list_transactions."),
    ),
    output=(Field(name="transaction", type=TRANSACTION, data_class="transactions", description="The transaction."),),
    data_classes=frozenset({"basic", "identifiers", "transactions"}),
    read=_read,
    ahead=_asks,
)
