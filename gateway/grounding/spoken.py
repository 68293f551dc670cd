"""What the customer's words say of one call, as a call is: from its arguments to what an order would have to say. Pure."""

from datetime import date

from adapters.core import Identified
from adapters.function import Effect, Kind
from gateway.domain.facts import Evidence
from gateway.domain.reading import Act
from gateway.domain.stages import Call
from gateway.grounding.debited import debited
from gateway.grounding.orders import Conversation, Spoken, Wanted
from gateway.grounding.payees import name_of

_LAST, _FIRST = "last", "first"


def spoken_of(call: Call, evidence: Evidence) -> Spoken:
    """Of a call that pays or orders payments."""
    conversation = Conversation(evidence.heard.words, evidence.acquaintance.payees)
    return conversation.said_of(_wanted(call, evidence))


def is_spoken_of(call: Call) -> bool:
    """Whether an order of the customer could say all of it: it moves one amount, now or later."""
    amounts = [argument for argument in call.function.arguments if argument.kind is Kind.AMOUNT]
    return call.function.effect in (Effect.WRITE, Effect.IRREVERSIBLE) and len(amounts) == 1


def _wanted(call: Call, evidence: Evidence) -> Wanted:
    function, arguments = call.function, call.arguments
    act = Act.PAY if function.effect is Effect.IRREVERSIBLE else Act.SET_UP
    days: dict[str, date | None] = {"on": None, _FIRST: None, _LAST: None}
    frequency = None
    for argument in function.arguments:
        value = arguments.get(argument.name)
        if argument.kind is Kind.DAY and isinstance(value, date):
            which = next((name for name in (_FIRST, _LAST) if name in argument.name), "on" if act is Act.PAY else _FIRST)
            days[which] = value
        elif argument.kind is Kind.FREQUENCY and value is not None:
            frequency = str(value)
    account = arguments.get(function.resource) if function.resource else None
    return Wanted(
        act=act,
        payees=keys_of_payee(call, evidence),
        amount=arguments.amount(),
        on=days["on"],
        first=days[_FIRST],
        last=days[_LAST],
        frequency=frequency,
        accounts=_accounts(evidence, debited(call, evidence)),
        account_currency=call.facts.objects[account].currency if isinstance(account, Identified) else None,
    )


def _accounts(evidence: Evidence, debited: str | None) -> dict[str, bool]:
    """Names of own accounts; one that two accounts have is nobody's."""
    names = [name_of(account.name) for account in evidence.accounts]
    return {
        name: debited is not None and debited in (account.key, *account.written)
        for name, account in zip(names, evidence.accounts, strict=True)
        if names.count(name) == 1
    }


def keys_of_payee(call: Call, evidence: Evidence) -> frozenset[str]:
    """Every key by which the payee of this call may be known: a beneficiary's, and the account's."""
    key = call.payee_key
    if key is None:
        return frozenset()
    known = evidence.acquaintance.payees
    accounts = {key, *(payee.identifier for payee in known if payee.key == key and payee.identifier)}
    return frozenset({*accounts, *(payee.key for payee in known if payee.identifier in accounts)})
