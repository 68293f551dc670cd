"""Gathers the one immutable Facts of a call, through the ports. Nothing is decided here."""

from collections.abc import Iterator

from adapters.core import CoreBank, CoreUnavailable, Identified, ObjectFacts
from adapters.function import Arguments, Asker, BankingFunction, Reference, References
from gateway.arguments import unresolved
from gateway.errors import Code, Refusal, Unavailable
from gateway.ports import Book
from gateway.stages import Call, Facts, Received


async def gather(
    received: Received, function: BankingFunction, arguments: Arguments, *, book: Book, core: CoreBank, strong_session_s: int
) -> Facts:
    """Facts of one call. Refusal for an object that the core does not know, Unavailable when the core does not answer."""
    customer = received.principal.customer
    known = book.facts(customer, received.asked.conversation_id)
    if known is None:
        raise Refusal(Code.DENIED, "conversation_gone")
    objects: dict[Identified, ObjectFacts] = {}
    for name, identified in _identified(function, arguments):
        try:
            found = await core.describe(identified)
        except CoreUnavailable:
            raise Unavailable("core_unavailable") from None
        if found is None or customer not in found.owners:
            raise unresolved(name)  # ownership is a rule of the policies too; here it also keeps the answers alike
        objects[identified] = found
    money = arguments.amount()
    return Facts(
        as_of=received.received_at,
        level=received.principal.level(received.received_at, strong_session_s),
        customer=known[0],
        conversation=known[1],
        objects=objects,
        totals=None if money is None else book.totals(customer, money.currency, received.received_at),
    )


def _identified(function: BankingFunction, arguments: Arguments) -> Iterator[tuple[str, Identified]]:
    for argument in function.arguments:
        if argument.name in arguments and isinstance(argument.type, Reference | References):
            value = arguments[argument.name]
            if isinstance(value, Identified):
                yield argument.name, value
            elif isinstance(value, tuple):
                for identified in value:
                    yield argument.name, identified
