"""What every CoreBank does, whatever is behind it. A new core is a line in `tests.support.banks.CORES`."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from adapters.core import (
    CallUpstream,
    CancelScheduledPayment,
    CloseCard,
    Declined,
    Done,
    ExecutionPermit,
    FreezeCard,
    Identified,
    Instruction,
    Money,
    NotSeen,
    Order,
    PermitRefused,
    ReferenceKind,
    ReportFraud,
    RequestHuman,
    TransactionFilter,
    Transfer,
)
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


def transfer(bank: BankUnderTest, minor: int = 1250, **changes: object) -> Transfer:
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


async def test_what_has_settled_cannot_be_cancelled(bank: BankUnderTest) -> None:
    answer = await send(bank, transfer(bank))
    assert isinstance(answer, Done)
    made = answer.output["payment"]
    assert isinstance(made, Identified)
    assert await send(bank, CancelScheduledPayment(made), "key-2") == Declined("AG01")


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
        assert quote.buy.minor <= quote.sell.minor * exact < quote.buy.minor + max(1, exact)
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


@pytest.mark.parametrize("order", ["cancel", "close", "freeze", "report"])
async def test_an_object_of_somebody_else_is_answered_like_none(bank: BankUnderTest, order: str) -> None:
    def of(payment: Identified, card: Identified) -> Order:
        return {
            "cancel": CancelScheduledPayment(payment),
            "close": CloseCard(card, "lost"),
            "freeze": FreezeCard(card),
            "report": ReportFraud(payment, ""),
        }[order]

    theirs = Instruction("key-1", bank.stranger, "agent-1", of(bank.scheduled, bank.card))
    nobodys = Instruction(
        "key-2", bank.stranger, "agent-1", of(Identified(ReferenceKind.PAYMENT, "none"), Identified(ReferenceKind.CARD, "none"))
    )
    answers = [await bank.core.submit(it, permit(bank, it)) for it in (theirs, nobodys)]
    assert answers[0] == answers[1]
    assert isinstance(answers[0], Declined)


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
