"""How others pay into an account: whole to the app, masked for the model."""

from collections.abc import Mapping, Sequence

from adapters.core import Account, CoreBank, Identified
from adapters.function import Arguments, Asker, Effect, Field, Level, Mask, ReadFunction
from adapters.questions import Question
from adapters.shapes import ACCOUNT


def _asks(asker: Asker, arguments: Arguments) -> Question[Sequence[Account]]:
    return Question.to(CoreBank.accounts, asker.customer)


async def _read(core: CoreBank, asker: Asker, arguments: Arguments) -> Mapping[str, object] | None:
    wanted = arguments.must("account", Identified).id
    found = next((account for account in await _asks(asker, arguments).ask(core) if account.id == wanted), None)
    if found is None:
        return None
    return {"iban": found.iban, "sort_code": found.sort_code, "number": found.number}


def _whole(name: str, description: str, *, nullable: bool) -> Field:
    return Field(
        name=name,
        type="text",
        mask=Mask.LAST4,
        data_class="identifiers",
        app_class="whole_identifiers",
        nullable=nullable,
        description=description,
    )


FUNCTION = ReadFunction(
    name="get_account_identifiers",
    title="See an account number",
    summary="The IBAN, sort code and number of one account. The app shows them whole to the customer; you see their last digits.",
    effect=Effect.READ,
    level=Level.L2,
    resource="account",
    arguments=(ACCOUNT,),
    output=(
        _whole("iban", "Last digits of the IBAN; null if it has none.", nullable=True),
        _whole("sort_code", "Masked; null if it has none.", nullable=True),
        _whole("number", "Last digits of the account number.", nullable=False),
    ),
    data_classes=frozenset({"basic", "identifiers", "whole_identifiers"}),
    read=_read,
    ahead=_asks,
)
