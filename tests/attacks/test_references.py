"""For every function and every kind of reference: someone else's, another conversation's, an expired and a made-up one are one and the
same to whoever asks, and nothing executes.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from adapters.core import Identified, ReferenceKind
from adapters.function import Amount, Argument, BankingFunction, Choice, Count, Day, Reference, ReferenceList, Text
from adapters.functions import MANIFEST
from gateway.app.clock import utc_now
from gateway.calls.output import output_text
from gateway.domain.errors import RequestFault
from tests.support.arguments import FITTING
from tests.support.keys import references_of
from tests.support.teller import Teller, bank_of, executed_keys, payment, teller

OWN: dict[ReferenceKind, str] = {
    ReferenceKind.ACCOUNT: "account",
    ReferenceKind.BENEFICIARY: "beneficiary",
    ReferenceKind.CARD: "card",
    ReferenceKind.DIRECT_DEBIT: "direct_debit",
    ReferenceKind.PAYEE_CHECK: "payee_check",
    ReferenceKind.PAYMENT: "payment",
    ReferenceKind.STANDING_ORDER: "standing_order",
    ReferenceKind.TRANSACTION: "entry",
}
"""The bank's table of each kind: the test looks up real identifiers behind the gateway's back."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def asked(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Teller]:
    async with teller(Path(tmp_path_factory.mktemp("references")) / "data", calls_per_minute=100_000) as made:
        for customer in ("alice", "carla"):
            await made.gateway.core.check_payee(customer, "Margaret Hale", "20301587654321")
        yield made


def referring(function: BankingFunction) -> list[tuple[Argument, ReferenceKind]]:
    return [
        (argument, kind)
        for argument in function.arguments
        if isinstance(argument.type, Reference | ReferenceList)
        for kind in argument.type.kinds
    ]


def identifier(asked: Teller, customer: str, kind: ReferenceKind) -> str:
    """A real object of this customer, of this kind."""
    table = OWN[kind]
    account = "id" if kind is ReferenceKind.ACCOUNT else "account"
    statement = (
        f"select t.id from {table} t join account_owner o on o.account = t.{account} where o.customer = ? order by t.id limit 1"
        if kind is not ReferenceKind.PAYEE_CHECK
        else f"select id from {table} where customer = ?"
    )
    with bank_of(asked.gateway)._engine.connect() as connection:
        row = connection.exec_driver_sql(statement, (customer,)).first()
    assert row is not None, f"the sandbox has no {kind} of {customer}"
    return str(row[0])


def plausible(function: BankingFunction, argument: Argument, reference: dict[str, str]) -> object:
    """A value that is right, so that only the reference under test is wrong."""
    if argument.name in FITTING.get(function.name, {}):
        return FITTING[function.name][argument.name]
    match argument.type:
        case Reference(kinds):
            return reference[kinds[0].value]
        case ReferenceList(kinds):
            return [reference[kinds[0].value]]
        case Amount():
            return {"value": "1.00", "currency": "GBP"}
        case Day():
            return utc_now().date().isoformat()
        case Text(_, least):
            return "a" * max(1, least)
        case Choice(values):
            return values[0]
        case Count(least, _):
            return least
    raise AssertionError


CASES = [(function, argument, kind) for function in MANIFEST for argument, kind in referring(function)]


def test_there_are_cases_for_every_kind() -> None:
    used = {kind for function in MANIFEST for _, kind in referring(function)}
    assert used == {
        ReferenceKind.ACCOUNT,
        ReferenceKind.BENEFICIARY,
        ReferenceKind.CARD,
        ReferenceKind.DIRECT_DEBIT,
        ReferenceKind.PAYEE_CHECK,
        ReferenceKind.PAYMENT,
        ReferenceKind.STANDING_ORDER,
        ReferenceKind.TRANSACTION,
    }


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("function", "argument", "kind"), CASES, ids=lambda value: getattr(value, "name", str(value)))
async def test_what_is_not_a_reference_of_this_conversation_is_one_and_the_same(
    asked: Teller, function: BankingFunction, argument: Argument, kind: ReferenceKind
) -> None:
    conversation, other = await asked.conversation("alice"), await asked.gateway.book.open_conversation("alice", utc_now())
    brunos = await asked.conversation("bruno")
    issuer = references_of(asked.gateway.settings.data)
    today = utc_now().date()
    mine = Identified(kind, identifier(asked, "alice", kind))
    another = ReferenceKind.QUOTE  # which no function takes
    theirs = Identified(kind, identifier(asked, "carla", kind))
    wrong = {
        "of another customer, in theirs": issuer.issue("bruno", brunos, mine, today),
        "another customer's object, sealed for this one": issuer.issue("alice", conversation, theirs, today),
        "of another conversation": issuer.issue("alice", other, mine, today),
        "expired": issuer.issue("alice", conversation, mine, today - timedelta(days=8)),
        "made up": f"{kind.value}_" + "A" * 44,
        "of another kind": issuer.issue("alice", conversation, Identified(another, mine.id), today),
        "the bank's own identifier": mine.id,
        "gone from the bank": issuer.issue("alice", conversation, Identified(kind, "no-such-object"), today),
        "empty": "",
    }
    right = {
        item.value: issuer.issue("alice", conversation, Identified(item, identifier(asked, "alice", item)), today) for item in OWN
    }
    before = executed_keys(asked.gateway)
    answers = {}
    for name, reference in wrong.items():
        given = {item.name: plausible(function, item, right) for item in function.arguments if item.required}
        given[argument.name] = [reference] if isinstance(argument.type, ReferenceList) else reference
        answered = await asked.ask(function.name, given)
        assert answered.status == "denied", name
        answers[name] = (answered.status, answered.code, output_text(answered))
    assert len(set(answers.values())) == 1, answers
    assert executed_keys(asked.gateway) == before


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("function", ["no_such_function", "get_account_balance"])
async def test_nothing_is_recorded_in_a_conversation_of_somebody_else(asked: Teller, function: str) -> None:
    theirs, before = await asked.conversation("bruno"), asked.gateway.log.size()
    with pytest.raises(RequestFault, match="no such conversation"):
        await asked.ask(function, conversation=theirs)
    assert asked.gateway.log.size() == before


@pytest.mark.asyncio(loop_scope="module")
async def test_a_repeat_tells_no_more_than_the_policies_let_out_now(asked: Teller) -> None:
    debit, credit = (await asked.accounts())[:2]
    wanted = payment(debit, credit, "1.23")
    assert (await asked.ask("initiate_transfer", wanted, native_id="told")).output
    parts = asked.gateway.pipeline._parts

    class Narrow(type(parts.decider)):  # type: ignore[misc]
        def revealed(self, decided: object) -> frozenset[str]:
            return frozenset()

    asked.gateway.pipeline._parts = replace(parts, decider=Narrow(parts.decider.policies))
    assert (await asked.ask("initiate_transfer", wanted, native_id="told")).output == {}
    asked.gateway.pipeline._parts = parts
