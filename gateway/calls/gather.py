"""Gathers the one immutable Facts of a call, through the ports. Nothing is decided here.

What a core is asked for this goes in one exchange where it can, and with it what a read will ask once it is permitted. That answer is held
by the core that the call carries, which gives it to whoever asks the very question: to the read, after the decision. The decision itself
is synchronous code, and asks nothing.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from adapters.core import CoreBank, CoreUnavailable, Identified, Money, ObjectFacts
from adapters.function import (
    Allowance,
    Arguments,
    Asker,
    BankingFunction,
    ReadFunction,
    Unfit,
    Value,
    known_to_core,
    lists_of,
    scheme_of,
)
from adapters.identity import canonical
from adapters.questions import Question, knowing
from gateway.calls.arguments import unresolved
from gateway.domain.errors import Code, Fault, Refusal, RequestFault, Unavailable
from gateway.domain.facts import Evidence, Facts, Snapshot, Utterances
from gateway.domain.kill_switch import Killed, Subjects
from gateway.domain.mandate import StandingMandate
from gateway.domain.ports import Book
from gateway.domain.stages import Call, Received
from gateway.grounding import must_be_grounded
from gateway.grounding.orders import names_an_account


async def gather(
    received: Received,
    function: BankingFunction,
    arguments: Arguments,
    *,
    book: Book,
    core: CoreBank,
    strong_session_s: int,
    snapshot: Snapshot | None = None,
) -> Call:
    """The call with its facts. `snapshot`: the conversation and its customer, if they have just been read.

    RequestFault when the conversation is not this customer's, Refusal for an object that the core does not know or another customer's,
    Unavailable when the core does not answer.
    """
    customer, acting = received.principal.customer, received.principal.acting
    snapshot = snapshot or await book.facts(customer, acting, received.request.conversation_id, received.set_at)
    if snapshot is None:
        raise no_such_conversation()
    money, now = arguments.amount(), received.received_at
    # A confirmed call needs no standing mandate, and must not use up the bounds of one.
    is_grounded = must_be_grounded(function)
    known, heard = None, Utterances()
    standing: tuple[StandingMandate, ...] = ()
    if is_grounded or money is not None:
        currency = "" if money is None else money.currency
        known = await book.effect_facts(customer, received.request.conversation_id, currency, now)
    if known is not None and is_grounded and not received.confirmed:
        standing, heard = () if money is None else known.standing, known.heard
    asks_for_accounts = is_grounded and money is not None and (standing or names_an_account(heard.words))
    try:
        asked = core
        if not core.is_near:
            questions = list(_questions(function, arguments, customer, accounts=bool(asks_for_accounts)))
            ahead = _ahead(received, function, arguments, snapshot) if questions else None
            asked = knowing(core, await core.together(questions, ahead)) if questions else core
        objects = await _objects(function, arguments, customer, asked)
        evidence, unowned = None, tuple(_objects_elsewhere(function, arguments))
        if is_grounded or unowned:
            acquaintance = await function.acquaintance(asked, customer)
            if not all(acquaintance.lists(identifier, names) for identifier, names in unowned):
                raise Refusal(Code.DENIED, "object_unlisted")  # told as one that is gone; the trail knows better
            if is_grounded:
                evidence = Evidence(heard, acquaintance, await asked.accounts(customer) if asks_for_accounts else ())
    except CoreUnavailable:
        raise Unavailable("core_unavailable") from None
    facts = Facts(
        as_of=now,
        level=received.confirmed.level if received.confirmed else received.principal.level(now, strong_session_s),
        customer=snapshot.customer,
        conversation=snapshot.conversation,
        objects=objects,
        switches=snapshot.switches,
        totals=None if money is None or known is None else known.spent,
        evidence=evidence,
        standing=standing,
        automatic=await book.automatic(customer, money.currency, now) if standing and money else {},
    )
    return Call(received, function, arguments, facts, asked)


def _questions(function: BankingFunction, arguments: Arguments, customer: str, *, accounts: bool) -> Iterator[Question[Any]]:
    """What the core is asked before anything is decided: whose the objects are, and what it knows of the customer."""
    for _, identified in _identified(function, arguments):
        yield Question.to(CoreBank.describe, identified)
    if must_be_grounded(function) and function.acquaintance is known_to_core:
        yield Question.to(CoreBank.acquaintance, customer)
    if accounts:
        yield Question.to(CoreBank.accounts, customer)


def _ahead(received: Received, function: BankingFunction, arguments: Arguments, snapshot: Snapshot) -> Question[Any] | None:
    """What a read will ask once it is permitted, if the core may be asked now: its objects are references that the gateway gave this
    customer in this conversation, and no kill switch is over the call."""
    if not isinstance(function, ReadFunction) or function.ahead is None or snapshot.switches.over(_subjects(received, function)):
        return None
    try:
        return function.ahead(Asker(received.principal.customer, received.received_at.date()), arguments)
    except Unfit:
        return None  # told once the call is permitted


async def _objects(
    function: BankingFunction, arguments: Arguments, customer: str, core: CoreBank
) -> Mapping[Identified, ObjectFacts]:
    objects: dict[Identified, ObjectFacts] = {}
    for name, identified in _identified(function, arguments):
        facts = await core.describe(identified)
        if facts is None or customer not in facts.owners:
            raise unresolved(name)  # ownership is a rule of the policies too; here it also keeps the answers alike
        objects[identified] = facts
    return objects


def kill_subjects(call: Call) -> Subjects:
    """What a kill switch can name."""
    return _subjects(call.received, call.function)


def _subjects(received: Received, function: BankingFunction) -> Subjects:
    principal = received.principal
    return Subjects(principal.customer, principal.client, principal.agent, function.name)


def not_killed(call: Call) -> None:
    """Killed where a switch is engaged over the call, whatever it rests on; never for what protects the customer."""
    scope = None if call.function.emergency else call.facts.switches.over(kill_subjects(call))
    if scope is not None:
        raise Killed(scope)


def no_such_conversation() -> RequestFault:
    """The one answer for another customer's conversation and for one that never was."""
    return RequestFault(Fault.NOT_FOUND, "no such conversation", param="conversation_id")


async def asker(call: Call, book: Book) -> Asker:
    """For whom a read is done; with what is left of the customer's limits, where the function tells them."""
    allowances = tuple([allowance async for allowance in _allowances(call, book)]) if call.function.tells_limits else ()
    return Asker(call.customer, call.facts.as_of.date(), allowances)


async def _allowances(call: Call, book: Book) -> AsyncIterator[Allowance]:
    mandate = call.facts.customer.mandate
    for currency, limits in sorted(mandate.limits.items()) if mandate else ():
        totals = await book.totals(call.customer, currency, call.facts.as_of)
        for window, most, spent in (
            ("payment", limits.payment_minor, 0),
            ("day", limits.day_minor, totals.day_minor),
            ("week", limits.week_minor, totals.week_minor),
            ("month", limits.month_minor, totals.month_minor),
        ):
            yield Allowance(window, Money(most, currency), Money(max(0, most - spent), currency))


def _objects_elsewhere(function: BankingFunction, arguments: Arguments) -> Iterator[tuple[str, Sequence[str]]]:
    """The objects that are an upstream's, in the canonical form of their identifiers, and the lists that say whose they are."""
    for argument in function.arguments:
        value = arguments.get(argument.name)
        lists = lists_of(function.effect, argument)
        if lists and isinstance(value, str | int):
            yield canonical(scheme_of(argument.type), str(value)), lists


def _identified(function: BankingFunction, arguments: Arguments) -> Iterator[tuple[str, Identified]]:
    for argument in function.arguments:
        if argument.name in arguments:
            for identified in identified_in(arguments[argument.name]):
                yield argument.name, identified


def identified_in(value: Value) -> tuple[Identified, ...]:
    """The identifiers in the value of one argument: one, several, or none."""
    if isinstance(value, Identified):
        return (value,)
    return value if isinstance(value, tuple) else ()
