"""The terms of a product: the bank's public words, about no customer."""

from collections.abc import Mapping

from adapters.core import CoreBank
from adapters.function import Argument, Arguments, Asker, Effect, Field, Level, ReadFunction, Text, Unfit


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    found = await core.product(arguments.must("product", str))
    if found is None:
        raise Unfit("product", "must be a product of the bank, as list_accounts names them")
    return {
        "product": found.product,
        "name": found.name,
        "summary": found.summary,
        "version": found.version,
        "effective_from": found.effective_from,
        "terms": [{"title": term.title, "text": term.text} for term in found.terms],
    }


FUNCTION = ReadFunction(
    name="get_product_terms",
    title="See the terms of a product",
    summary="The terms of one of the bank's products: fees, interest, notice. Public: they are no customer's.",
    effect=Effect.READ,
    level=Level.L0,
    arguments=(
        Argument(
            name="product",
            type=Text(32, least=1, pattern="[a-z][a-z0-9_]*"),
            description="The product as list_accounts names it, such as current or savings.",
        ),
    ),
    output=(
        Field(name="product", type="text", description="The product."),
        Field(name="name", type="text", description="Its name for customers."),
        Field(name="summary", type="text", description="What it is."),
        Field(name="version", type="text", description="Version of the terms."),
        Field(name="effective_from", type="day", description="Since when they are in force."),
        Field(
            name="terms",
            many=True,
            description="The clauses, in their order.",
            type=(
                Field(name="title", type="text", description="What the clause is about."),
                Field(name="text", type="text", description="What it says."),
            ),
        ),
    ),
    read=_read,
)
