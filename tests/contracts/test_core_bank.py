"""What every CoreBank does, whatever is behind it. A new core is a line in `tests.support.banks.CORES`."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from adapters.core import (
    Acquaintance,
    AddBeneficiary,
    AmendStandingOrder,
    CallUpstream,
    CancelDirectDebit,
    CancelScheduledPayment,
    CancelStandingOrder,
    CloseCard,
    CoreBank,
    CreateStandingOrder,
    Declined,
    DirectDebit,
    Done,
    ExecutionPermit,
    FreezeCard,
    Frequency,
    Identified,
    Instruction,
    KnownPayee,
    Money,
    NotSeen,
    Order,
    PermitRefused,
    RaiseDispute,
    ReferenceKind,
    RemoveBeneficiary,
    ReportFraud,
    RequestHuman,
    StandingOrder,
    TransactionFilter,
    Transfer,
    UnfreezeCard,
)
from adapters.questions import TOGETHER, Question, knowing
from tests.support.banks import CORES as BANKS
from tests.support.banks import BankUnderTest
from tests.support.declared import declared_under_test

CORES = {**BANKS, "with declared functions": declared_under_test}

EVER = (date(2000, 1, 1), date(2100, 1, 1))


@pytest.fixture(params=sorted(CORES))
async def bank(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BankUnderTest]:
    async with CORES[request.param](tmp_path) as bank:
        yield bank


def told(bank: BankUnderTest, order: Order, key: str = "key-1") -> Instruction:
    return Instruction(key, bank.customer, "agent-1", order)


def permit(bank: BankUnderTest, instruction: Instruction, left: timedelta = timedelta(minutes=1)) -> ExecutionPermit:
    return bank.permit(instruction.canonical(), bank.clock() + left)


async def send(bank: BankUnderTest, order: Order, key: str = "key-1") -> object:
    instruction = told(bank, order, key)
    return await bank.core.submit(instruction, permit(bank, instruction))


def transfer(bank: BankUnderTest, minor: int = 1250, **changes: Any) -> Transfer:
    return replace(Transfer(bank.main, bank.spare, Money(minor, "GBP"), "TEST"), **changes)


async def booked(bank: BankUnderTest, account: Identified) -> int:
    balance = await bank.core.balance(account.id, "ITBD")
    assert balance is not None
    return balance.amount.minor


async def test_a_transfer_moves_exactly_its_amount_and_says_so(bank: BankUnderTest) -> None:
    before = await booked(bank, bank.main), await booked(bank, bank.spare)
    answer = await send(bank, transfer(bank))
    assert isinstance(answer, Done)
    assert (await booked(bank, bank.main), await booked(bank, bank.spare)) == (before[0] - 1250, before[1] + 1250)
    made = answer.output["payment"]
    assert isinstance(made, Identified)
    payment = await bank.core.payment(made.id)
    assert payment is not None
    assert (payment.status, payment.amount, payment.initiated_through_assistant) == ("ACSC", Money(1250, "GBP"), True)
    page = await bank.core.transactions(TransactionFilter(bank.main.id, *EVER, limit=1))
    assert page.transactions[0].payment == made.id
    assert page.transactions[0].memo == "TEST"


async def test_a_resend_gets_the_stored_answer_and_acts_once(bank: BankUnderTest) -> None:
    before = await booked(bank, bank.main)
    answers = [await send(bank, transfer(bank)) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2] == await bank.core.status("key-1")
    assert await booked(bank, bank.main) == before - 1250


async def test_fifty_at_once_act_once_and_answer_alike(bank: BankUnderTest) -> None:
    before = await booked(bank, bank.main)
    since = bank.clock()
    answers = await asyncio.gather(*(send(bank, transfer(bank)) for _ in range(50)))
    assert isinstance(answers[0], Done)
    assert all(answer == answers[0] for answer in answers)
    assert await booked(bank, bank.main) == before - 1250
    assert await bank.core.executed(since) == 1


@pytest.mark.parametrize(
    "change", [{"minor": 1251}, {"reference": "OTHER"}, {"execute_on": date(2026, 4, 1)}, {"credit": "payee"}], ids=str
)
async def test_another_instruction_under_a_used_key_is_refused(bank: BankUnderTest, change: dict[str, object]) -> None:
    first = await send(bank, transfer(bank))
    if change.get("credit") == "payee":
        change = {"credit": bank.payee}
    before = await booked(bank, bank.main)
    assert await send(bank, transfer(bank, **change)) == Declined("DUPL")  # type: ignore[arg-type]
    assert await booked(bank, bank.main) == before
    assert await send(bank, transfer(bank)) == first


async def test_a_refused_instruction_stays_refused_when_funds_arrive(bank: BankUnderTest) -> None:
    balance = await bank.core.balance(bank.spare.id, "ITBD")
    assert balance is not None
    beyond = transfer(bank, balance.amount.minor + 1, debit=bank.spare, credit=bank.main)
    assert await send(bank, beyond) == Declined("AM04")
    assert isinstance(await send(bank, transfer(bank, 5_000), "key-2"), Done)
    assert await send(bank, beyond) == Declined("AM04")
    assert await bank.core.status("key-1") == Declined("AM04")


@pytest.mark.parametrize("flaw", ["none", "other bytes", "too late"])
async def test_nothing_happens_without_a_permit_over_exactly_these_bytes(bank: BankUnderTest, flaw: str) -> None:
    instruction = told(bank, transfer(bank))
    good = permit(bank, instruction)
    bad = {
        "none": None,
        "other bytes": permit(bank, replace(instruction, key="key-2")),
        "too late": permit(bank, instruction, left=-timedelta(seconds=1)),
    }[flaw]
    before = await booked(bank, bank.main)
    with pytest.raises(PermitRefused):
        await bank.core.submit(instruction, bad)  # type: ignore[arg-type]
    assert await booked(bank, bank.main) == before
    assert isinstance(await bank.core.submit(instruction, good), Done)


async def test_a_key_that_was_not_seen_is_burned(bank: BankUnderTest) -> None:
    before = await booked(bank, bank.main)
    assert await bank.core.status("key-1") == NotSeen()
    assert await send(bank, transfer(bank)) == Declined("DUPL")
    assert await bank.core.status("key-1") == NotSeen()
    assert await booked(bank, bank.main) == before


async def test_status_and_submit_at_once_agree(bank: BankUnderTest) -> None:
    asked, answer = await asyncio.gather(bank.core.status("key-1"), send(bank, transfer(bank)))
    if asked == NotSeen():
        assert answer == Declined("DUPL")
    else:
        assert answer == asked


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"credit": "closed"}, "AC04"),
        ({"debit": "closed", "credit": "main"}, "AC04"),
        ({"credit": "foreign"}, "AC09"),
        ({"amount": Money(100, "JPY")}, "AM03"),
        ({"credit": "main"}, "AG01"),
        ({"debit": "strangers"}, "AC01"),
        ({"credit": "strangers"}, "AC03"),
        ({"credit": Identified(ReferenceKind.BENEFICIARY, "none")}, "AC03"),
        ({"execute_on": date(2001, 1, 1)}, "DT01"),
    ],
    ids=str,
)
async def test_a_transfer_that_cannot_be_is_declined_with_its_reason(
    bank: BankUnderTest, change: dict[str, object], code: str
) -> None:
    named = {name: getattr(bank, value) if isinstance(value, str) else value for name, value in change.items()}
    since = bank.clock()
    assert await send(bank, transfer(bank, **named)) == Declined(code)  # type: ignore[arg-type]
    assert await bank.core.executed(since) == 0


async def test_a_payee_is_paid_and_then_known(bank: BankUnderTest) -> None:
    before = await booked(bank, bank.main)
    answer = await send(bank, transfer(bank, credit=bank.payee))
    assert isinstance(answer, Done)
    assert await booked(bank, bank.main) == before - 1250
    facts = await bank.core.describe(bank.payee)
    assert facts is not None
    assert facts.first_settled_at is not None
    assert (facts.owners, facts.account) == (frozenset({bank.customer}), bank.main.id)


def known(acquaintance: Acquaintance, payee: Identified) -> KnownPayee:
    (found,) = [it for it in acquaintance.payees if it.key == f"ben:{payee.id}"]
    return found


async def test_the_acquaintance_is_every_saved_payee_under_its_saved_name(bank: BankUnderTest) -> None:
    told_ = await bank.core.acquaintance(bank.customer)
    accounts = await bank.core.accounts(bank.customer)
    saved = {f"ben:{it.id}": it for account in accounts for it in await bank.core.beneficiaries(account.id)}
    assert {it.key for it in told_.payees} == set(saved)
    assert len(told_.payees) == len(saved)
    for it in told_.payees:
        assert (it.name, it.identifier) == (saved[it.key].name, saved[it.key].identifier)
        assert it.saved_at == saved[it.key].created_at
        facts = await bank.core.describe(Identified(ReferenceKind.BENEFICIARY, it.key.removeprefix("ben:")))
        assert facts is not None
        assert it.known_since == facts.first_settled_at
    assert known(told_, bank.payee).known_since is not None
    assert known(told_, bank.newcomer).known_since is None


async def test_a_payee_is_known_from_the_first_settled_payment_on_and_from_nothing_else(bank: BankUnderTest) -> None:
    began = bank.clock()
    assert isinstance(await send(bank, transfer(bank, credit=bank.newcomer, execute_on=date(2026, 5, 1)), "later"), Done)
    assert known(await bank.core.acquaintance(bank.customer), bank.newcomer).known_since is None, "scheduled is not settled"
    for number in range(2):
        bank.clock.turn(timedelta(hours=1))
        assert isinstance(await send(bank, transfer(bank, credit=bank.newcomer), f"key-{number}"), Done)
    assert known(await bank.core.acquaintance(bank.customer), bank.newcomer).known_since == began + timedelta(hours=1)


async def test_who_sent_collected_or_took_cards_is_no_payee(bank: BankUnderTest) -> None:
    page = await bank.core.transactions(TransactionFilter(bank.main.id, *EVER, limit=100))
    senders = {it.counterparty_name for it in page.transactions if it.credit_debit == "CRDT"}
    collectors = {it.creditor_name for it in await bank.core.direct_debits(bank.main.id)}
    merchants = {it.counterparty_name for it in page.transactions if it.memo.startswith("CARD")}
    assert senders
    assert collectors
    assert merchants
    names = {it.name for it in (await bank.core.acquaintance(bank.customer)).payees}
    assert not names & (senders | collectors | merchants)


async def test_the_acquaintance_tells_what_is_ordered_and_for_whom(bank: BankUnderTest) -> None:
    own = transfer(bank, execute_on=date(2026, 5, 1))
    answer = await send(bank, own)
    assert isinstance(answer, Done)
    made = answer.output["payment"]
    assert isinstance(made, Identified)
    orders = (await bank.core.acquaintance(bank.customer)).orders
    standing = {it.id: it for it in await bank.core.standing_orders(bank.main.id)}
    scheduled = {it.id: it for it in await bank.core.scheduled_payments(bank.main.id)}
    assert set(orders) == {f"ord:{id_}" for id_ in standing} | {f"pay:{id_}" for id_ in scheduled}
    for key, it in orders.items():
        assert key.partition(":")[2] == it.id
        assert it.amount == (standing if key.startswith("ord:") else scheduled)[it.id].amount
    assert orders[f"pay:{bank.scheduled.id}"].payee == f"ben:{bank.payee.id}"
    assert orders[f"pay:{made.id}"].payee == f"acc:{bank.spare.id}"
    payees = {it.key: it.name for it in (await bank.core.acquaintance(bank.customer)).payees}
    for key, it in orders.items():
        if key.startswith("ord:"):
            assert payees[it.payee] == it.name == standing[it.id].beneficiary_name
    assert isinstance(await send(bank, CancelScheduledPayment(made), "key-2"), Done)
    assert f"pay:{made.id}" not in (await bank.core.acquaintance(bank.customer)).orders


async def test_own_accounts_go_by_every_name_that_they_have(bank: BankUnderTest) -> None:
    own = (await bank.core.acquaintance(bank.customer)).own_accounts
    for account in await bank.core.accounts(bank.customer):
        assert {f"acc:{account.id}", account.iban, f"{account.sort_code}{account.number}"} <= own
    assert f"acc:{bank.strangers.id}" not in own


async def test_of_nobody_nothing_is_known_and_of_a_stranger_nothing_of_ours(bank: BankUnderTest) -> None:
    assert await bank.core.acquaintance("nobody") == Acquaintance()
    ours, theirs = [await bank.core.acquaintance(who) for who in (bank.customer, bank.stranger)]
    assert theirs.payees
    assert not {it.key for it in ours.payees} & {it.key for it in theirs.payees}
    assert not set(ours.orders) & set(theirs.orders)
    assert not ours.own_accounts & theirs.own_accounts


async def test_a_later_payment_waits_and_can_be_cancelled_once(bank: BankUnderTest) -> None:
    before = await booked(bank, bank.main)
    answer = await send(bank, transfer(bank, credit=bank.payee, execute_on=date(2026, 5, 1)))
    assert isinstance(answer, Done)
    assert answer.output["status"] == "SCHD"
    assert await booked(bank, bank.main) == before
    made = answer.output["payment"]
    assert isinstance(made, Identified)
    assert made.id in [it.id for it in await bank.core.scheduled_payments(bank.main.id)]
    cancelled = await send(bank, CancelScheduledPayment(made), "key-2")
    assert isinstance(cancelled, Done)
    assert await send(bank, CancelScheduledPayment(made), "key-2") == cancelled
    assert await send(bank, CancelScheduledPayment(made), "key-3") == Declined("AG01")
    payment = await bank.core.payment(made.id)
    assert payment is not None
    assert payment.status == "CANC"


async def test_what_has_settled_cannot_be_cancelled_and_the_answer_says_why(bank: BankUnderTest) -> None:
    for number, credit in enumerate((bank.spare, bank.payee)):
        answer = await send(bank, transfer(bank, credit=credit), f"pay-{number}")
        assert isinstance(answer, Done)
        assert answer.output["status"] == "ACSC"
        made = answer.output["payment"]
        assert isinstance(made, Identified)
        after = await booked(bank, bank.main)
        assert await send(bank, CancelScheduledPayment(made), f"cancel-{number}") == Declined("PTNA"), "passed on: irreversible"
        assert await booked(bank, bank.main) == after
        payment = await bank.core.payment(made.id)
        assert payment is not None
        assert payment.status == "ACSC"


async def status_of(bank: BankUnderTest, named: Identified) -> str | None:
    facts = await bank.core.describe(named)
    return None if facts is None else facts.status


async def test_a_frozen_card_is_thawed_to_what_it_was(bank: BankUnderTest) -> None:
    before = await status_of(bank, bank.card)
    assert isinstance(await send(bank, FreezeCard(bank.card), "key-0"), Done)
    answer = await send(bank, UnfreezeCard(bank.card))
    assert isinstance(answer, Done)
    assert (answer.output["card"], answer.output["status"]) == (bank.card, before)
    assert await status_of(bank, bank.card) == before == "active"
    assert isinstance(await send(bank, UnfreezeCard(bank.card), "key-2"), Done), "it is not frozen: done"


async def test_a_card_that_is_not_in_use_yet_does_not_come_into_use_by_a_thaw(bank: BankUnderTest) -> None:
    answer = await send(bank, CloseCard(bank.card, "lost"))
    assert isinstance(answer, Done)
    made = answer.output["replacement"]
    assert isinstance(made, Identified)
    assert isinstance(await send(bank, FreezeCard(made), "key-2"), Done)
    assert isinstance(await send(bank, UnfreezeCard(made), "key-3"), Done)
    assert await status_of(bank, made) == "ordered"
    assert await send(bank, UnfreezeCard(bank.card), "key-4") == Declined("AG01"), "closed for good"


async def saved(bank: BankUnderTest) -> dict[str, tuple[str, str]]:
    return {it.id: (it.name, it.identifier) for it in await bank.core.beneficiaries(bank.main.id)}


async def adding(bank: BankUnderTest, outcome: str = "match", **changes: object) -> AddBeneficiary:
    """The order to save a payee whose check has this outcome, with what is to be different."""
    name, identifier = bank.checks[outcome]
    check = await bank.core.check_payee(bank.customer, name, identifier)
    order = AddBeneficiary(bank.main, name, identifier, Identified(ReferenceKind.PAYEE_CHECK, check.id))
    return replace(order, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("outcome", ["match", "close_match", "no_match", "not_possible"])
async def test_a_payee_is_saved_as_it_was_checked_and_is_not_known_by_it(bank: BankUnderTest, outcome: str) -> None:
    assert isinstance(
        await send(bank, RemoveBeneficiary(bank.newcomer), "key-0"), Done
    )  # has the name and account of a close match
    before = await saved(bank)
    order = await adding(bank, outcome)
    assert await status_of(bank, order.payee_check) == outcome
    answer = await send(bank, order)
    assert isinstance(answer, Done)
    made = answer.output["beneficiary"]
    assert isinstance(made, Identified)
    assert await saved(bank) == {**before, made.id: bank.checks[outcome]}
    assert (answer.output["name"], answer.output["identifier"]) == bank.checks[outcome]
    assert answer.output["checked"] == outcome, "what the check found does not bind the core, and is told"
    told_ = known(await bank.core.acquaintance(bank.customer), made)
    assert (told_.known_since, told_.saved_at) == (None, bank.clock())
    assert answer.output["saved_at"] == told_.saved_at
    assert await send(bank, order) == answer
    assert await send(bank, order, "key-2") == Declined("AM05"), "saved already"
    assert isinstance(await send(bank, transfer(bank, credit=made), "key-3"), Done)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "Margaret Halo"}, "BE01"),
        ({"identifier": "20301587654322"}, "BE01"),
        ({"payee_check": Identified(ReferenceKind.PAYEE_CHECK, "none")}, "BE01"),
        ({"account": "closed"}, "AC04"),
        ({"account": "strangers"}, "AC01"),
    ],
    ids=str,
)
async def test_a_payee_that_was_not_checked_as_it_is_is_not_saved(
    bank: BankUnderTest, change: dict[str, object], code: str
) -> None:
    before = await saved(bank)
    named: dict[str, Any] = {
        name: getattr(bank, str(value)) if value in ("closed", "strangers") else value for name, value in change.items()
    }
    assert await send(bank, await adding(bank, **named)) == Declined(code)
    assert await saved(bank) == before


async def test_a_check_counts_for_who_asked_and_until_it_expires(bank: BankUnderTest) -> None:
    name, identifier = bank.checks["match"]
    theirs = await bank.core.check_payee(bank.stranger, name, identifier)
    order = await adding(bank)
    assert await send(bank, replace(order, payee_check=Identified(ReferenceKind.PAYEE_CHECK, theirs.id))) == Declined("BE01")
    check = await bank.core.check_payee(bank.customer, name, identifier)
    bank.clock.turn(check.expires_at - bank.clock())
    assert await send(bank, order, "key-2") == Declined("DT01"), "expired"
    assert isinstance(await send(bank, await adding(bank), "key-3"), Done)


async def test_the_last_moment_of_a_check_counts(bank: BankUnderTest) -> None:
    order = await adding(bank)
    check = await bank.core.check_payee(bank.customer, *bank.checks["match"])
    bank.clock.turn(check.expires_at - bank.clock() - timedelta(microseconds=1))
    assert isinstance(await send(bank, order), Done)


async def test_a_payee_is_removed_once_and_paid_no_more(bank: BankUnderTest) -> None:
    before = await saved(bank)
    answer = await send(bank, RemoveBeneficiary(bank.newcomer))
    assert isinstance(answer, Done)
    assert (answer.output["name"], answer.output["identifier"]) == before.pop(bank.newcomer.id)
    assert await saved(bank) == before
    assert f"ben:{bank.newcomer.id}" not in {it.key for it in (await bank.core.acquaintance(bank.customer)).payees}
    assert await bank.core.describe(bank.newcomer) is None
    assert await send(bank, transfer(bank, credit=bank.newcomer), "key-2") == Declined("AC03")
    order = CreateStandingOrder(bank.main, bank.newcomer, Money(1, "GBP"), Frequency.WEEKLY, date(2026, 5, 1), None, "")
    assert await send(bank, order, "key-3") == Declined("AC03")
    assert await send(bank, RemoveBeneficiary(bank.newcomer), "key-4") == Declined("NOOR")
    assert await send(bank, RemoveBeneficiary(bank.newcomer)) == answer


async def test_a_payee_for_whom_something_is_ordered_is_not_removed(bank: BankUnderTest) -> None:
    assert await send(bank, RemoveBeneficiary(bank.payee), "key-0") == Declined("AG01"), "a standing order and a payment"
    orders = (await bank.core.acquaintance(bank.customer)).orders
    mine = {key: it for key, it in orders.items() if it.payee == f"ben:{bank.payee.id}"}
    assert {key.partition(":")[0] for key in mine} == {"ord", "pay"}
    for number, (key, it) in enumerate(mine.items(), start=1):
        standing = CancelStandingOrder(Identified(ReferenceKind.STANDING_ORDER, it.id))
        planned = CancelScheduledPayment(Identified(ReferenceKind.PAYMENT, it.id))
        assert await send(bank, RemoveBeneficiary(bank.payee), f"too-soon-{number}") == Declined("AG01")
        assert isinstance(await send(bank, standing if key.startswith("ord") else planned, f"key-{number}"), Done)
    assert isinstance(await send(bank, RemoveBeneficiary(bank.payee), "key-9"), Done)


async def an_order(bank: BankUnderTest) -> StandingOrder:
    return next(it for it in await bank.core.standing_orders(bank.main.id) if it.status == "active")


async def a_mandate(bank: BankUnderTest) -> DirectDebit:
    return next(it for it in await bank.core.direct_debits(bank.main.id) if it.next_on is not None and it.last_amount is not None)


async def standing(bank: BankUnderTest, named: object) -> StandingOrder:
    assert isinstance(named, Identified)
    (found,) = [it for it in await bank.core.standing_orders(bank.main.id) if it.id == named.id]
    return found


def ordering(bank: BankUnderTest, **changes: object) -> CreateStandingOrder:
    order = CreateStandingOrder(bank.main, bank.payee, Money(2500, "GBP"), Frequency.MONTHLY, date(2026, 5, 2), None, "POCKET")
    return replace(order, **changes)  # type: ignore[arg-type]


async def test_a_standing_order_is_given_and_pays_nothing_yet(bank: BankUnderTest) -> None:
    before = await booked(bank, bank.main)
    answer = await send(bank, ordering(bank, last_on=date(2027, 5, 2)))
    assert isinstance(answer, Done)
    assert await send(bank, ordering(bank, last_on=date(2027, 5, 2))) == answer
    made = await standing(bank, answer.output["standing_order"])
    assert (made.beneficiary_name, made.amount, made.frequency, made.reference) == (
        "Margaret Hale",
        Money(2500, "GBP"),
        "monthly",
        "POCKET",
    )
    # 2 May 2026 is a Saturday, and the Monday after it the early May bank holiday.
    assert (made.next_on, made.last_on, made.status) == (date(2026, 5, 5), date(2027, 5, 2), "active")
    assert answer.output["next_on"] == made.next_on
    assert await booked(bank, bank.main) == before
    order = (await bank.core.acquaintance(bank.customer)).orders[f"ord:{made.id}"]
    assert (order.payee, order.amount) == (f"ben:{bank.payee.id}", Money(2500, "GBP"))
    facts = await bank.core.describe(Identified(ReferenceKind.STANDING_ORDER, made.id))
    assert facts is not None
    assert (facts.owners, facts.status, facts.account) == (frozenset({bank.customer}), "active", bank.main.id)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"debit": "closed"}, "AC04"),
        ({"debit": "strangers"}, "AC01"),
        ({"debit": "foreign"}, "AM03"),
        ({"credit": "spare"}, "AC03"),
        ({"amount": Money(100, "JPY")}, "AM03"),
        ({"first_on": date(2026, 3, 16)}, "DT01"),
        ({"first_on": date(2126, 3, 17)}, "DT04"),
        ({"last_on": date(2026, 5, 1)}, "DT01"),
    ],
    ids=str,
)
async def test_a_standing_order_that_cannot_be_is_declined_with_its_reason(
    bank: BankUnderTest, change: dict[str, object], code: str
) -> None:
    named = {name: getattr(bank, value) if isinstance(value, str) else value for name, value in change.items()}
    before = await bank.core.standing_orders(bank.main.id)
    assert await send(bank, ordering(bank, **named)) == Declined(code)
    assert await bank.core.standing_orders(bank.main.id) == before


async def test_a_standing_order_is_amended_in_what_is_given_and_nothing_else(bank: BankUnderTest) -> None:
    before = await an_order(bank)
    named = Identified(ReferenceKind.STANDING_ORDER, before.id)
    assert await send(bank, AmendStandingOrder(named, amount=before.amount), "key-0") == Declined("AG01"), "nothing would change"
    assert await send(bank, AmendStandingOrder(named), "key-1") == Declined("AG01")
    answer = await send(bank, AmendStandingOrder(named, amount=Money(1234, "GBP")), "key-2")
    assert isinstance(answer, Done)
    assert (answer.output["amount_before"], answer.output["amount"]) == (before.amount, Money(1234, "GBP"))
    assert await standing(bank, named) == replace(before, amount=Money(1234, "GBP"))
    answer = await send(bank, AmendStandingOrder(named, credit=bank.newcomer, frequency=Frequency.WEEKLY), "key-3")
    assert isinstance(answer, Done)
    assert (answer.output["beneficiary_name_before"], answer.output["frequency_before"]) == (before.beneficiary_name, "monthly")
    now = await standing(bank, named)
    assert now == replace(before, amount=Money(1234, "GBP"), beneficiary_name="Jon Smithe", frequency="weekly")
    assert (await bank.core.acquaintance(bank.customer)).orders[f"ord:{named.id}"].payee == f"ben:{bank.newcomer.id}"
    for number, (change, code) in enumerate(
        [({"amount": Money(5, "EUR")}, "AM03"), ({"credit": bank.spare}, "AC03"), ({"last_on": date(2026, 3, 17)}, "DT01")]
    ):
        assert await send(bank, replace(AmendStandingOrder(named), **change), f"bad-{number}") == Declined(code)  # type: ignore[arg-type]
    assert await standing(bank, named) == now


async def test_a_cancelled_standing_order_says_what_is_not_paid_and_stays_so(bank: BankUnderTest) -> None:
    before = await an_order(bank)
    named = Identified(ReferenceKind.STANDING_ORDER, before.id)
    answer = await send(bank, CancelStandingOrder(named))
    assert isinstance(answer, Done)
    told_ = answer.output
    assert (told_["status"], told_["beneficiary_name"], told_["amount"], told_["unpaid_on"]) == (
        "cancelled",
        before.beneficiary_name,
        before.amount,
        before.next_on,
    )
    assert (await standing(bank, named)).status == "cancelled"
    assert f"ord:{named.id}" not in (await bank.core.acquaintance(bank.customer)).orders
    assert await send(bank, CancelStandingOrder(named)) == answer
    assert await send(bank, CancelStandingOrder(named), "key-2") == Declined("AG01")
    assert await send(bank, AmendStandingOrder(named, amount=Money(1, "GBP")), "key-3") == Declined("AG01")


async def test_a_cancelled_mandate_says_what_is_not_collected_and_stays_so(bank: BankUnderTest) -> None:
    before = await a_mandate(bank)
    named = Identified(ReferenceKind.DIRECT_DEBIT, before.id)
    answer = await send(bank, CancelDirectDebit(named))
    assert isinstance(answer, Done)
    assert (answer.output["creditor_name"], answer.output["last_amount"], answer.output["unpaid_on"]) == (
        before.creditor_name,
        before.last_amount,
        before.next_on,
    )
    (now,) = [it for it in await bank.core.direct_debits(bank.main.id) if it.id == named.id]
    assert now == replace(before, status="cancelled", next_on=None)
    assert await send(bank, CancelDirectDebit(named)) == answer
    assert await send(bank, CancelDirectDebit(named), "key-2") == Declined("AG01")


async def test_a_debit_is_disputed_once_and_a_credit_never(bank: BankUnderTest) -> None:
    pages = [
        await bank.core.transactions(TransactionFilter(bank.main.id, *EVER, credit_debit=direction, limit=2))
        for direction in ("DBIT", "CRDT")
    ]
    (one, other), (credit, _) = [page.transactions for page in pages]
    before = await booked(bank, bank.main)

    def disputing(id_: str) -> RaiseDispute:
        return RaiseDispute(Identified(ReferenceKind.TRANSACTION, id_), "not_received", "The parcel never came.")

    answer = await send(bank, disputing(one.id))
    assert isinstance(answer, Done)
    assert (answer.output["status"], answer.output["amount"]) == ("open", one.amount)
    assert answer.output["transaction"] == Identified(ReferenceKind.TRANSACTION, one.id)
    assert await send(bank, disputing(one.id)) == answer
    assert await send(bank, disputing(one.id), "key-2") == Declined("AM05")
    assert isinstance(await send(bank, disputing(other.id), "key-3"), Done)
    assert await send(bank, disputing(credit.id), "key-4") == Declined("AG01")
    assert await booked(bank, bank.main) == before, "nothing is paid back by it"


async def test_a_planned_payment_is_moved_to_a_working_day_and_says_so(bank: BankUnderTest) -> None:
    answer = await send(bank, transfer(bank, credit=bank.payee, execute_on=date(2026, 4, 3)))  # Good Friday
    assert isinstance(answer, Done)
    made = answer.output["payment"]
    assert isinstance(made, Identified)
    payment = await bank.core.payment(made.id)
    assert payment is not None
    assert payment.execute_on == answer.output["execute_on"] == date(2026, 4, 7)
    assert await send(bank, transfer(bank, execute_on=date(2126, 1, 1)), "key-2") == Declined("DT04")


async def test_a_card_is_frozen(bank: BankUnderTest) -> None:
    assert await send(bank, FreezeCard(bank.card)) == Done({"card": bank.card, "status": "frozen"})
    facts = await bank.core.describe(bank.card)
    assert facts is not None
    assert facts.status == "frozen"
    assert isinstance(await send(bank, FreezeCard(bank.card), "key-2"), Done)


@pytest.mark.parametrize("before", ["active", "frozen"])
async def test_a_card_is_closed_for_good_and_replaced_once(bank: BankUnderTest, before: str) -> None:
    if before == "frozen":
        assert isinstance(await send(bank, FreezeCard(bank.card), "key-0"), Done)
    held = {card.id: card for card in await bank.core.cards(bank.customer)}
    answer = await send(bank, CloseCard(bank.card, "stolen"))
    assert isinstance(answer, Done)
    made = answer.output["replacement"]
    assert isinstance(made, Identified)
    assert answer == Done({"card": bank.card, "status": "closed", "replacement": made})
    assert await send(bank, CloseCard(bank.card, "stolen")) == answer
    assert await send(bank, CloseCard(bank.card, "lost"), "key-2") == answer, "closed already: the replacement of then"
    assert await send(bank, FreezeCard(bank.card), "key-3") == Declined("AG01"), (
        "a closed card is not frozen, so it cannot be thawed"
    )
    facts = await bank.core.describe(bank.card)
    assert facts is not None
    assert facts.status == "closed"
    now = {card.id: card for card in await bank.core.cards(bank.customer)}
    assert set(now) - set(held) == {made.id}
    old, new = now[bank.card.id], now[made.id]
    assert (new.account, new.scheme, new.holder, new.status) == (old.account, old.scheme, old.holder, "ordered")


async def test_a_card_that_is_closed_twice_at_once_is_replaced_once(bank: BankUnderTest) -> None:
    held = len(await bank.core.cards(bank.customer))
    answers = await asyncio.gather(*(send(bank, CloseCard(bank.card, "lost"), f"key-{number}") for number in range(10)))
    assert isinstance(answers[0], Done)
    assert all(answer == answers[0] for answer in answers)
    assert len(await bank.core.cards(bank.customer)) == held + 1


async def test_a_lost_replacement_is_replaced_too(bank: BankUnderTest) -> None:
    answer = await send(bank, CloseCard(bank.card, "lost"))
    assert isinstance(answer, Done)
    made = answer.output["replacement"]
    assert isinstance(made, Identified)
    again = await send(bank, CloseCard(made, "stolen"), "key-2")
    assert isinstance(again, Done)
    assert again.output["card"] == made
    assert again.output["replacement"] not in (made, bank.card)


async def test_funds_are_what_a_payment_would_find_to_the_last_unit(bank: BankUnderTest) -> None:
    available = await bank.core.balance(bank.main.id, "ITAV")
    booked_ = await bank.core.balance(bank.main.id, "ITBD")
    assert available is not None
    assert booked_ is not None
    assert available.amount.minor < booked_.amount.minor, "something is held, or this shows nothing about holds"
    most = available.amount.minor + bank.overdraft_minor
    assert await bank.core.funds(bank.main.id, Money(most, "GBP")) is True
    assert await bank.core.funds(bank.main.id, Money(most + 1, "GBP")) is False
    assert await send(bank, transfer(bank, most + 1)) == Declined("AM04")
    assert isinstance(await send(bank, transfer(bank, most), "key-2"), Done)
    assert await bank.core.funds(bank.main.id, Money(1, "GBP")) is False


async def test_funds_tell_nothing_in_another_currency_and_of_a_closed_account_no(bank: BankUnderTest) -> None:
    assert await bank.core.funds(bank.main.id, Money(1, "EUR")) is None
    assert await bank.core.funds(bank.foreign.id, Money(1, "GBP")) is None
    assert await bank.core.funds(bank.closed.id, Money(1, "GBP")) is False


async def test_a_statement_is_named_for_days_that_are_over(bank: BankUnderTest) -> None:
    start, end = date(2026, 2, 1), date(2026, 2, 28)
    found = await bank.core.statement(bank.main.id, start, end)
    assert found is not None
    assert (found.account, found.start, found.end) == (bank.main.id, start, end)
    assert found == await bank.core.statement(bank.main.id, start, end)
    facts = await bank.core.describe(Identified(ReferenceKind.DOCUMENT, found.id))
    assert facts is not None
    assert (facts.owners, facts.account) == (frozenset({bank.customer}), bank.main.id)
    today = bank.clock().date()
    for first, last in ((start, today), (end, start), (date(2001, 1, 1), date(2001, 1, 31))):
        assert await bank.core.statement(bank.main.id, first, last) is None
    other = await bank.core.statement(bank.main.id, date(2026, 1, 1), date(2026, 1, 31))
    assert other is not None
    assert other.id != found.id
    for wrong in ("", "none", found.id[:-1], found.id + "0", bank.main.id):
        assert await bank.core.describe(Identified(ReferenceKind.DOCUMENT, wrong)) is None


async def test_a_quote_is_kept_for_its_customer_until_it_expires(bank: BankUnderTest) -> None:
    for amount in (Money(10_000, "GBP"), Money(10_000, "EUR")):
        quote = await bank.core.fx_quote(bank.customer, "GBP", "EUR", amount)
        assert quote is not None
        assert amount in (quote.sell, quote.buy)
        assert (quote.sell.currency, quote.buy.currency, quote.fee.currency) == ("GBP", "EUR", "GBP")
        assert quote.expires_at > bank.clock()
        exact = Fraction(quote.rate)
        assert quote.buy.minor <= quote.sell.minor * exact < quote.buy.minor + max(Fraction(1), exact)
        facts = await bank.core.describe(Identified(ReferenceKind.QUOTE, quote.id))
        assert facts is not None
        assert facts.owners == frozenset({bank.customer})
        assert quote == await bank.core.fx_quote(bank.customer, "GBP", "EUR", amount), "the same at the same moment"
    theirs = await bank.core.fx_quote(bank.stranger, "GBP", "EUR", Money(10_000, "GBP"))
    assert theirs is not None
    facts = await bank.core.describe(Identified(ReferenceKind.QUOTE, theirs.id))
    assert facts is not None
    assert facts.owners == frozenset({bank.stranger})


async def test_what_is_not_quoted_is_none_and_a_third_currency_an_error(bank: BankUnderTest) -> None:
    for sell, buy in (("GBP", "GBP"), ("GBP", "XTS"), ("XTS", "GBP")):
        assert await bank.core.fx_quote(bank.customer, sell, buy, Money(10_000, "GBP")) is None
    with pytest.raises(ValueError):  # noqa: PT011 - a core behind HTTP says no more
        await bank.core.fx_quote(bank.customer, "GBP", "EUR", Money(10_000, "JPY"))


async def test_a_payee_check_has_one_of_four_outcomes_and_belongs_to_who_asked(bank: BankUnderTest) -> None:
    seen = set()
    for outcome, (name, identifier) in bank.checks.items():
        check = await bank.core.check_payee(bank.customer, name, identifier)
        assert check.outcome == outcome
        assert check.actual_name == ("Jon Smith" if outcome == "close_match" else None)
        assert check.expires_at > bank.clock()
        facts = await bank.core.describe(Identified(ReferenceKind.PAYEE_CHECK, check.id))
        assert facts is not None
        assert facts.owners == frozenset({bank.customer})
        seen.add(check.id)
    assert len(seen) == len(bank.checks)


async def test_an_account_that_does_not_exist_is_no_match_like_another_s(bank: BankUnderTest) -> None:
    name, identifier = bank.checks["match"]
    absent = identifier[:-1] + str((int(identifier[-1]) + 1) % 10)
    checks = [await bank.core.check_payee(bank.customer, *asked) for asked in ((name, absent), ("Somebody Else", identifier))]
    assert [(it.outcome, it.actual_name) for it in checks] == [("no_match", None)] * 2


async def test_terms_are_those_of_a_product_of_the_catalogue(bank: BankUnderTest) -> None:
    for name in bank.products:
        terms = await bank.core.product(name)
        assert terms is not None
        assert (terms.product, bool(terms.terms)) == (name, True)
        assert terms.effective_from <= bank.clock().date()
    assert {account.product for account in await bank.core.accounts(bank.customer)} <= set(bank.products)


async def test_direct_debits_are_those_of_the_account(bank: BankUnderTest) -> None:
    found = await bank.core.direct_debits(bank.main.id)
    assert found
    assert {it.account for it in found} == {bank.main.id}
    assert [it.creditor_name for it in found] == sorted(it.creditor_name for it in found)
    for it in found:
        assert (it.last_amount is None) == (it.last_on is None)
        assert it.next_on is None or it.next_on > bank.clock().date()
        facts = await bank.core.describe(Identified(ReferenceKind.DIRECT_DEBIT, it.id))
        assert facts is not None
        assert (facts.owners, facts.status, facts.account) == (frozenset({bank.customer}), it.status, bank.main.id)
    assert {it.status for it in found} == {"active", "cancelled", "suspended"}
    collected = next(it for it in found if it.last_amount is not None)
    page = await bank.core.transactions(TransactionFilter(bank.main.id, *EVER, text=collected.creditor_name, limit=1))
    assert page.transactions[0].amount == collected.last_amount
    assert page.transactions[0].booked_at.date() == collected.last_on


async def test_fraud_is_reported_and_a_human_is_asked_for(bank: BankUnderTest) -> None:
    page = await bank.core.transactions(TransactionFilter(bank.main.id, *EVER, limit=1))
    transaction = Identified(ReferenceKind.TRANSACTION, page.transactions[0].id)
    for number, about in enumerate((None, bank.scheduled, transaction)):
        answer = await send(bank, ReportFraud(about, "I did not do this"), f"key-{number}")
        assert isinstance(answer, Done)
        assert answer.output["status"] == "open"
    assert isinstance(await send(bank, RequestHuman("a mortgage"), "key-9"), Done)
    unknown = Identified(ReferenceKind.PAYMENT, "none")
    assert await send(bank, ReportFraud(unknown, ""), "key-10") == Declined("NOOR")


async def test_a_function_that_is_declared_nowhere_is_declined(bank: BankUnderTest) -> None:
    assert await send(bank, CallUpstream("no_such_function", "{}")) == Declined("AG01") == await bank.core.status("key-1")
    assert await bank.core.executed(bank.clock()) == 0


async def test_a_payee_of_somebody_else_is_answered_like_none(bank: BankUnderTest) -> None:
    for number, payee in enumerate((bank.payee, Identified(ReferenceKind.BENEFICIARY, "none"))):
        order = Transfer(bank.strangers, payee, Money(100, "GBP"), "")
        instruction = Instruction(f"key-{number}", bank.stranger, "agent-1", order)
        assert await bank.core.submit(instruction, permit(bank, instruction)) == Declined("AC03")


async def orders_about(bank: BankUnderTest, *, real: bool) -> dict[str, Order]:
    """One order of each kind that names an object: of `bank.customer`, or of nobody."""
    page = await bank.core.transactions(TransactionFilter(bank.main.id, *EVER, credit_debit="DBIT", limit=1))
    check = await bank.core.check_payee(bank.stranger, *bank.checks["no_match"])

    def named(kind: ReferenceKind, id_: str) -> Identified:
        return Identified(kind, id_ if real else "none")

    order = named(ReferenceKind.STANDING_ORDER, (await an_order(bank)).id)
    card, account = named(ReferenceKind.CARD, bank.card.id), named(ReferenceKind.ACCOUNT, bank.main.id)
    payment, payee = named(ReferenceKind.PAYMENT, bank.scheduled.id), named(ReferenceKind.BENEFICIARY, bank.payee.id)
    debit = named(ReferenceKind.DIRECT_DEBIT, (await a_mandate(bank)).id)
    transaction = named(ReferenceKind.TRANSACTION, page.transactions[0].id)
    start = date(2026, 5, 1)
    return {
        "cancel a payment": CancelScheduledPayment(payment),
        "close a card": CloseCard(card, "lost"),
        "freeze a card": FreezeCard(card),
        "unfreeze a card": UnfreezeCard(card),
        "report fraud": ReportFraud(payment, ""),
        "save a payee": AddBeneficiary(account, *bank.checks["no_match"], Identified(ReferenceKind.PAYEE_CHECK, check.id)),
        "remove a payee": RemoveBeneficiary(payee),
        "order from an account": CreateStandingOrder(account, payee, Money(1, "GBP"), Frequency.WEEKLY, start, None, ""),
        "order for a payee": CreateStandingOrder(bank.strangers, payee, Money(1, "EUR"), Frequency.WEEKLY, start, None, ""),
        "amend an order": AmendStandingOrder(order, amount=Money(1, "GBP")),
        "cancel an order": CancelStandingOrder(order),
        "cancel a mandate": CancelDirectDebit(debit),
        "dispute": RaiseDispute(transaction, "not_received", "It never came."),
    }


async def test_an_object_of_somebody_else_is_answered_like_none(bank: BankUnderTest) -> None:
    theirs, nobodys = await orders_about(bank, real=True), await orders_about(bank, real=False)
    began = bank.clock()
    for name, order in theirs.items():
        asked = [
            Instruction(f"{whose}-{name.replace(' ', '-')}", bank.stranger, "agent-1", it)
            for whose, it in (("a", order), ("b", nobodys[name]))
        ]
        answers = [await bank.core.submit(it, permit(bank, it)) for it in asked]
        assert answers[0] == answers[1], name
        assert isinstance(answers[0], Declined), name
    assert await bank.core.executed(began) == 0


async def test_effects_are_what_was_done_and_declined_by_key_and_amount(bank: BankUnderTest) -> None:
    bank.clock.turn(timedelta(seconds=1))
    began = bank.clock()
    later = transfer(bank, 700, credit=bank.payee, execute_on=date(2026, 5, 1))
    orders: dict[str, Order] = {
        "k-1": transfer(bank),
        "k-2": later,
        "k-3": FreezeCard(bank.card),
        "k-4": transfer(bank, credit=bank.closed),
        "k-5": ordering(bank),
    }
    for key, order in orders.items():
        bank.clock.turn(timedelta(seconds=1))
        await send(bank, order, key)
    await send(bank, transfer(bank), "k-1")
    await bank.core.status("k-9")
    page = await bank.core.effects(began)
    assert page.next_cursor is None
    assert [(it.key, it.order, it.status, it.amount) for it in page.effects] == [
        ("k-1", "Transfer", "ACSC", Money(1250, "GBP")),
        ("k-2", "Transfer", "SCHD", Money(700, "GBP")),
        ("k-3", "FreezeCard", "done", None),
        ("k-4", "Transfer", "declined", None),
        ("k-5", "CreateStandingOrder", "done", Money(2500, "GBP")),
    ]
    assert {it.customer for it in page.effects} == {bank.customer}
    assert [it.at for it in page.effects] == [began + timedelta(seconds=number) for number in range(1, 6)]
    assert [it.key for it in (await bank.core.effects(page.effects[3].at)).effects] == ["k-4", "k-5"]
    assert (await bank.core.effects(bank.clock() + timedelta(seconds=1))).effects in ([], ())
    with pytest.raises(ValueError):  # noqa: PT011 - a core behind HTTP says no more
        await bank.core.effects(began, "no cursor")


async def test_what_is_asked_together_is_answered_as_each_alone(bank: BankUnderTest) -> None:
    """Once before it is known whether the core takes several at once, and once after."""
    questions: list[Question[Any]] = [
        Question.to(CoreBank.describe, bank.main),
        Question.to(CoreBank.describe, Identified(ReferenceKind.CARD, "none")),
        Question.to(CoreBank.accounts, bank.customer),
        Question.to(CoreBank.acquaintance, bank.customer),
        Question.to(CoreBank.transactions, TransactionFilter(bank.main.id, date(2000, 1, 1), date(2100, 1, 1), limit=3)),
        Question.to(CoreBank.product, "none"),
        Question.to(CoreBank.funds, bank.main.id, Money(1, "GBP")),
    ]
    alone = [await question.ask(bank.core) for question in questions]
    assert TOGETHER in await bank.core.capabilities()
    for _ in range(3):
        core = knowing(bank.core, await bank.core.together(questions[:-1], questions[-1]))
        assert [await question.ask(core) for question in questions] == alone
        await asyncio.sleep(0.05)
    unknown = Question.to(CoreBank.balance, bank.main.id, "XXXX")
    core = knowing(bank.core, await bank.core.together([questions[0]], unknown))
    assert await questions[0].ask(core) == alone[0]
    with pytest.raises(ValueError, match=r"balance|XXXX"):
        await unknown.ask(core)


async def test_what_does_not_exist_reads_as_nothing(bank: BankUnderTest) -> None:
    for kind in ReferenceKind:
        assert await bank.core.describe(Identified(kind, "none")) is None
    assert await bank.core.balance("none", "ITAV") is None
    assert await bank.core.transaction("none") is None
    assert await bank.core.payment("none") is None
    assert await bank.core.funds("none", Money(1, "GBP")) is None
    assert await bank.core.statement("none", date(2026, 2, 1), date(2026, 2, 28)) is None
    assert await bank.core.product("none") is None
    empty = [
        await bank.core.direct_debits("none"),
        await bank.core.accounts("nobody"),
        await bank.core.beneficiaries("none"),
        await bank.core.standing_orders("none"),
        await bank.core.scheduled_payments("none"),
        await bank.core.cards("nobody"),
        await bank.core.spending(["none"], *EVER, "category"),
        (await bank.core.transactions(TransactionFilter("none", *EVER))).transactions,
    ]
    assert all(len(answer) == 0 for answer in empty)


async def test_pages_are_the_listing_without_gap_or_repetition(bank: BankUnderTest) -> None:
    whole = await bank.core.transactions(TransactionFilter(bank.main.id, *EVER, limit=100))
    wanted = TransactionFilter(bank.main.id, *EVER, limit=7)
    seen: list[str] = []
    while len(seen) < 100:
        page = await bank.core.transactions(wanted)
        seen += [it.id for it in page.transactions]
        if page.next_cursor is None:
            break
        wanted = replace(wanted, cursor=page.next_cursor)
    assert seen[:100] == [it.id for it in whole.transactions]
    times = [it.booked_at for it in whole.transactions]
    assert times == sorted(times, reverse=True)


async def test_a_listing_is_narrowed_by_direction_text_and_days(bank: BankUnderTest) -> None:
    whole = (await bank.core.transactions(TransactionFilter(bank.main.id, *EVER, limit=100))).transactions
    debits = await bank.core.transactions(TransactionFilter(bank.main.id, *EVER, credit_debit="DBIT", limit=100))
    assert {it.credit_debit for it in debits.transactions} == {"DBIT"}
    word = whole[0].counterparty_name.upper()
    named = await bank.core.transactions(TransactionFilter(bank.main.id, *EVER, text=word, limit=100))
    assert named.transactions
    assert all(word in it.counterparty_name.upper() or word in it.memo.upper() for it in named.transactions)
    for wild in ("%", "_", "\\"):
        odd = await bank.core.transactions(TransactionFilter(bank.main.id, *EVER, text=wild, limit=100))
        assert all(wild in it.memo + it.counterparty_name for it in odd.transactions)
    day = whole[0].booked_at.date()
    same = await bank.core.transactions(TransactionFilter(bank.main.id, day, day, limit=100))
    assert [it.id for it in same.transactions] == [it.id for it in whole if it.booked_at.date() == day]


async def test_spending_is_the_sum_of_the_listed_debits(bank: BankUnderTest) -> None:
    start, end = date(2026, 2, 1), date(2026, 2, 28)
    listed = await bank.core.transactions(TransactionFilter(bank.main.id, start, end, credit_debit="DBIT", limit=100))
    for group_by in ("category", "month", "counterparty"):
        groups = await bank.core.spending([bank.main.id, bank.main.id], start, end, group_by)
        assert sum(group.total.minor for group in groups) == sum(it.amount.minor for it in listed.transactions)
        assert sum(group.count for group in groups) == len(listed.transactions) > 0


async def test_a_customer_sees_their_own_accounts_only(bank: BankUnderTest) -> None:
    mine = await bank.core.accounts(bank.customer)
    assert all(bank.customer in account.owners for account in mine)
    assert bank.strangers.id not in [account.id for account in mine]
    assert len({account.id for account in mine}) == len(mine)
