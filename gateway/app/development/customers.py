"""What the made-up customers of development mode granted, signed at its start with the folder's own key."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from adapters.core import CoreBank, CoreUnavailable, exponent
from adapters.cores.sandbox.people import CUSTOMERS
from adapters.function import BankingFunction, BareAmount, Choice
from gateway.app.cores import Core
from gateway.app.declared import ServedFunctions
from gateway.app.unsafe_settings import UnsafeSettings
from gateway.calls.tools import FUNCTIONS
from gateway.domain.mandate import Limits, Mandate, MandateSigner
from gateway.store.book import SqlBook

SANDBOX_LIMITS = {
    "GBP": Limits(payment_minor=250_000, day_minor=500_000, week_minor=1_000_000, month_minor=2_500_000, day_count=50),
    "EUR": Limits(payment_minor=250_000, day_minor=500_000, week_minor=1_000_000, month_minor=2_500_000, day_count=50),
    "JPY": Limits(payment_minor=500_000, day_minor=1_000_000, week_minor=2_000_000, month_minor=5_000_000, day_count=50),
    "BHD": Limits(payment_minor=1_000_000, day_minor=2_000_000, week_minor=4_000_000, month_minor=10_000_000, day_count=50),
}
"""What the made-up customers of development mode granted, in minor units."""


def limits_of(functions: Sequence[BankingFunction]) -> dict[str, Limits]:
    """What a made-up customer grants: the sandbox bank's currencies, and each one that a function's amounts are in, alike."""
    named: set[str] = set()
    for function in functions:
        by_name = {argument.name: argument.type for argument in function.arguments}
        for declared in by_name.values():
            if isinstance(declared, BareAmount):
                source = by_name.get(declared.currency_argument or "")
                named |= set(source.values) if isinstance(source, Choice) else {declared.currency or ""}
    unit = {currency: 10 ** exponent(currency) for currency in named - {""}}
    return SANDBOX_LIMITS | {
        currency: Limits(2_500 * one, 5_000 * one, 10_000 * one, 25_000 * one, 50)
        for currency, one in unit.items()
        if currency not in SANDBOX_LIMITS
    }


async def grant(
    book: SqlBook,
    bank: CoreBank,
    key: MandateSigner,
    customer: str,
    now: datetime,
    *,
    functions: Sequence[BankingFunction] = FUNCTIONS,
    version: int = 1,
) -> None:
    """Sign and store a mandate over all these functions and all of the customer's accounts."""
    accounts = await bank.accounts(customer)
    mandate = Mandate(
        customer=customer,
        version=version,
        functions=tuple(sorted(function.name for function in functions)),
        accounts=tuple(sorted(account.id for account in accounts)),
        limits=limits_of(functions),
        starts=now.replace(microsecond=0),
        ends=now.replace(microsecond=0) + timedelta(days=365),
    )
    await book.grant(mandate, mandate.sign(key))


async def grant_made_up_customers(book: SqlBook, core: Core, key: MandateSigner, now: datetime, offered: ServedFunctions) -> None:
    """Development mode's customers, each once; those of a manifest at each start, since it may have changed, unless they are frozen.

    UnsafeSettings when the core cannot be asked for their accounts.
    """
    made_up = core.sandbox.customers() if core.sandbox else CUSTOMERS
    try:
        for customer in made_up:
            if not await book.has_granted(customer):
                await grant(book, core.bank, key, customer, now, functions=offered.functions)
        for customer in offered.customers:
            if not (await book.has_granted(customer) and await book.is_frozen(customer)):
                seconds = int(now.timestamp())  # a version after every earlier start's
                await grant(book, core.bank, key, customer, now, functions=offered.functions, version=seconds)
    except CoreUnavailable as error:
        raise UnsafeSettings(f"the core at core_url does not answer ({error}); start it first") from None
