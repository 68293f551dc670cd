"""What holds of every function of the manifest, and what each of them asks of the core."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from adapters.core import (
    AddBeneficiary,
    AmendStandingOrder,
    CancelDirectDebit,
    CancelScheduledPayment,
    CancelStandingOrder,
    CloseCard,
    CoreBank,
    CreateStandingOrder,
    Done,
    FreezeCard,
    Frequency,
    Identified,
    Instruction,
    Money,
    PayeeCheck,
    RaiseDispute,
    ReferenceKind,
    RemoveBeneficiary,
    ReportFraud,
    RequestHuman,
    TransactionFilter,
    Transfer,
    UnfreezeCard,
)
from adapters.function import (
    Allowance,
    Amount,
    Argument,
    Arguments,
    Asker,
    BankingFunction,
    Choice,
    Count,
    Effect,
    EffectFunction,
    Field,
    Kind,
    Level,
    Mask,
    ReadFunction,
    Reference,
    ReferenceList,
    Text,
    Unfit,
    Value,
)
from adapters.functions import MANIFEST
from adapters.functions.get_spending_summary import _days
from adapters.functions.get_statement import days_of
from tests.support.arguments import FITTING
from tests.support.banks import NOON, BankUnderTest, sandbox, sandbox_under_test

BY_NAME = {function.name: function for function in MANIFEST}
SCALARS = {"text", "money", "day", "time", "count", "flag"}


def walk(members: tuple[Field, ...]) -> Iterator[Field]:
    for member in members:
        yield member
        if isinstance(member.type, tuple):
            yield from walk(member.type)


def test_the_manifest_is_closed_and_sorted() -> None:
    assert list(BY_NAME) == sorted(BY_NAME)
    assert list(BY_NAME) == [
        "add_beneficiary",
        "amend_standing_order",
        "cancel_direct_debit",
        "cancel_scheduled_payment",
        "cancel_standing_order",
        "confirm_funds",
        "create_standing_order",
        "freeze_card",
        "get_account_balance",
        "get_account_identifiers",
        "get_fx_quote",
        "get_limits",
        "get_payment_status",
        "get_product_terms",
        "get_spending_summary",
        "get_statement",
        "get_transaction",
        "initiate_transfer",
        "list_accounts",
        "list_beneficiaries",
        "list_cards",
        "list_direct_debits",
        "list_scheduled_payments",
        "list_standing_orders",
        "list_transactions",
        "raise_dispute",
        "remove_beneficiary",
        "report_card_lost_or_stolen",
        "report_suspected_fraud",
        "request_human",
        "unfreeze_card",
        "verify_payee",
    ]


@pytest.mark.parametrize("function", MANIFEST, ids=lambda it: it.name)
class TestEveryFunction:
    def test_declares_the_data_classes_that_it_can_reveal(self, function: BankingFunction) -> None:
        told = {member.app_class for member in walk(function.output) if member.app_class is not None}
        assert {member.data_class for member in walk(function.output)} | told | {"basic"} == function.data_classes
        assert {member.name for member in walk(function.output) if member.app_class} == (
            {"iban", "sort_code", "number"} if function.name == "get_account_identifiers" else set()
        )

    def test_names_a_declared_argument_as_its_resource(self, function: BankingFunction) -> None:
        arguments = {argument.name: argument.type for argument in function.arguments}
        assert function.resource is None or isinstance(arguments[function.resource], Reference | ReferenceList)

    def test_has_distinct_names_and_known_types(self, function: BankingFunction) -> None:
        assert len({argument.name for argument in function.arguments}) == len(function.arguments)
        for member in walk(function.output):
            assert isinstance(member.type, tuple | ReferenceKind) or member.type in SCALARS
        for members in (function.output, *(it.type for it in walk(function.output) if isinstance(it.type, tuple))):
            assert len({member.name for member in members}) == len(members)

    def test_has_defaults_that_its_own_types_take(self, function: BankingFunction) -> None:
        for argument in function.arguments:
            default = argument.default
            assert default is None or not argument.required
            match argument.type:
                case Choice(values):
                    assert default is None or default in values
                case Count(least, most):
                    assert default is None or (isinstance(default, int) and least <= default <= most)
                case Text(most, least):
                    assert default is None or (isinstance(default, str) and least <= len(default) <= most)
                case _:
                    assert default is None

    def test_says_what_its_references_mean(self, function: BankingFunction) -> None:
        for argument in function.arguments:
            if isinstance(argument.type, Reference | ReferenceList):
                assert argument.kind in {Kind.OBJECT, Kind.PAYEE}

    def test_has_a_title_that_a_customer_understands(self, function: BankingFunction) -> None:
        assert function.title[0].isupper()
        assert 3 <= len(function.title) <= 60
        assert not function.title.endswith(".")
        assert "_" not in function.title

    def test_is_described_in_short_sentences(self, function: BankingFunction) -> None:
        texts = [function.summary, *(argument.description for argument in function.arguments)]
        texts += [member.description for member in walk(function.output)]
        for text in texts:
            assert text.endswith(".")
            assert len(text) <= 130

    def test_has_an_effect_exactly_if_it_orders_something(self, function: BankingFunction) -> None:
        assert isinstance(function, ReadFunction) == (function.effect is Effect.READ)
        assert isinstance(function, EffectFunction) == (function.effect is not Effect.READ)


def test_the_levels_and_effects_are_those_of_the_catalogue() -> None:
    assert {name: (it.effect.value, int(it.level)) for name, it in BY_NAME.items()} == {
        "add_beneficiary": ("W", 3),
        "amend_standing_order": ("W", 3),
        "cancel_direct_debit": ("W", 3),
        "cancel_scheduled_payment": ("W", 3),
        "cancel_standing_order": ("W", 3),
        "confirm_funds": ("R", 1),
        "create_standing_order": ("W", 3),
        "freeze_card": ("P", 1),
        "get_account_balance": ("R", 1),
        "get_account_identifiers": ("R", 2),
        "get_fx_quote": ("R", 1),
        "get_limits": ("R", 1),
        "get_payment_status": ("R", 1),
        "get_product_terms": ("R", 0),
        "get_spending_summary": ("R", 1),
        "get_statement": ("R", 2),
        "get_transaction": ("R", 1),
        "initiate_transfer": ("I", 1),
        "list_accounts": ("R", 1),
        "list_beneficiaries": ("R", 2),
        "list_cards": ("R", 1),
        "list_direct_debits": ("R", 1),
        "list_scheduled_payments": ("R", 1),
        "list_standing_orders": ("R", 1),
        "list_transactions": ("R", 1),
        "raise_dispute": ("W", 3),
        "remove_beneficiary": ("W", 3),
        "report_card_lost_or_stolen": ("I", 2),
        "report_suspected_fraud": ("P", 1),
        "request_human": ("P", 0),
        "unfreeze_card": ("W", 3),
        "verify_payee": ("R", 2),
    }
    assert {name for name, it in BY_NAME.items() if it.emergency} == {"freeze_card", "report_suspected_fraud", "request_human"}
    assert BY_NAME["request_human"].level is Level.L0
    assert {name for name, it in BY_NAME.items() if it.egress} == {"raise_dispute", "verify_payee"}
    assert {name: it.calls_per_hour for name, it in BY_NAME.items() if it.calls_per_hour} == {
        "confirm_funds": 12,
        "verify_payee": 10,
    }


ACCOUNT = Identified(ReferenceKind.ACCOUNT, "a-1")
PAYEE = Identified(ReferenceKind.BENEFICIARY, "b-1")
PAYMENT = Identified(ReferenceKind.PAYMENT, "p-1")
CARD = Identified(ReferenceKind.CARD, "k-1")
CHECK = Identified(ReferenceKind.PAYEE_CHECK, "v-1")
ORDER = Identified(ReferenceKind.STANDING_ORDER, "s-1")
DEBIT = Identified(ReferenceKind.DIRECT_DEBIT, "d-1")
TRANSACTION = Identified(ReferenceKind.TRANSACTION, "t-1")


@pytest.mark.parametrize(
    ("name", "arguments", "order"),
    [
        (
            "initiate_transfer",
            {"from": ACCOUNT, "to": PAYEE, "amount": Money(5, "GBP"), "reference": "R", "execute_on": date(2026, 4, 1)},
            Transfer(ACCOUNT, PAYEE, Money(5, "GBP"), "R", date(2026, 4, 1)),
        ),
        (
            "initiate_transfer",
            {"from": ACCOUNT, "to": PAYEE, "amount": Money(5, "GBP"), "reference": ""},
            Transfer(ACCOUNT, PAYEE, Money(5, "GBP"), ""),
        ),
        ("freeze_card", {"card": CARD}, FreezeCard(CARD)),
        ("report_card_lost_or_stolen", {"card": CARD, "reason": "lost"}, CloseCard(CARD, "lost")),
        ("cancel_scheduled_payment", {"payment": PAYMENT}, CancelScheduledPayment(PAYMENT)),
        ("report_suspected_fraud", {"payment": PAYMENT, "text": "T"}, ReportFraud(PAYMENT, "T")),
        ("report_suspected_fraud", {"text": "T"}, ReportFraud(None, "T")),
        ("unfreeze_card", {"card": CARD}, UnfreezeCard(CARD)),
        (
            "add_beneficiary",
            {"account": ACCOUNT, "name": "N N", "identifier": "20301587654321", "payee_check": CHECK},
            AddBeneficiary(ACCOUNT, "N N", "20301587654321", CHECK),
        ),
        ("remove_beneficiary", {"beneficiary": PAYEE}, RemoveBeneficiary(PAYEE)),
        (
            "create_standing_order",
            {
                "from": ACCOUNT,
                "beneficiary": PAYEE,
                "amount": Money(5, "GBP"),
                "frequency": "quarterly",
                "first_on": date(2026, 4, 1),
                "last_on": date(2027, 4, 1),
                "reference": "R",
            },
            CreateStandingOrder(
                ACCOUNT, PAYEE, Money(5, "GBP"), Frequency.QUARTERLY, date(2026, 4, 1), date(2027, 4, 1), reference="R"
            ),
        ),
        (
            "create_standing_order",
            {
                "from": ACCOUNT,
                "beneficiary": PAYEE,
                "amount": Money(5, "GBP"),
                "frequency": "weekly",
                "first_on": date(2026, 4, 1),
                "reference": "",
            },
            CreateStandingOrder(ACCOUNT, PAYEE, Money(5, "GBP"), Frequency.WEEKLY, date(2026, 4, 1), None, ""),
        ),
        ("amend_standing_order", {"standing_order": ORDER}, AmendStandingOrder(ORDER)),
        (
            "amend_standing_order",
            {
                "standing_order": ORDER,
                "amount": Money(5, "GBP"),
                "frequency": "yearly",
                "beneficiary": PAYEE,
                "last_on": date(2027, 4, 1),
            },
            AmendStandingOrder(ORDER, Money(5, "GBP"), Frequency.YEARLY, PAYEE, date(2027, 4, 1)),
        ),
        ("cancel_standing_order", {"standing_order": ORDER}, CancelStandingOrder(ORDER)),
        ("cancel_direct_debit", {"direct_debit": DEBIT}, CancelDirectDebit(DEBIT)),
        (
            "raise_dispute",
            {"transaction": TRANSACTION, "reason_code": "not_received", "narrative": "T"},
            RaiseDispute(TRANSACTION, "not_received", "T"),
        ),
        ("request_human", {"topic": "T"}, RequestHuman("T")),
    ],
)
def test_an_effect_orders_exactly_what_its_arguments_say(name: str, arguments: dict[str, Value], order: object) -> None:
    function = BY_NAME[name]
    assert isinstance(function, EffectFunction)
    assert function.order(Arguments(arguments)) == order


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("this_month", "2026-03-01", "2026-03-17"),
        ("last_month", "2026-02-01", "2026-02-28"),
        ("last_3_months", "2025-12-01", "2026-02-28"),
        ("last_12_months", "2025-03-01", "2026-02-28"),
    ],
)
def test_periods_are_whole_months_save_the_current_one(period: str, first: str, last: str) -> None:
    assert _days(period, NOON.date()) == (date.fromisoformat(first), date.fromisoformat(last))


def test_a_period_that_begins_in_the_year_before() -> None:
    assert _days("last_month", date(2026, 1, 31)) == (date(2025, 12, 1), date(2025, 12, 31))
    assert _days("last_month", date(2024, 3, 31)) == (date(2024, 2, 1), date(2024, 2, 29))


@pytest.fixture
async def bank(tmp_path: Path) -> AsyncIterator[BankUnderTest]:
    with sandbox(tmp_path) as (core, clock):
        yield await sandbox_under_test(core, clock)


async def filled(bank: BankUnderTest, function: BankingFunction) -> Arguments:
    """Arguments of a read, about alice's first account."""
    transaction = (await bank.core.transactions(_everything(bank))).transactions[0]
    objects = {
        ReferenceKind.ACCOUNT: bank.main,
        ReferenceKind.PAYMENT: bank.scheduled,
        ReferenceKind.TRANSACTION: Identified(ReferenceKind.TRANSACTION, transaction.id),
    }

    def value(argument: Argument) -> Value | None:
        match argument.type:
            case Reference(kinds):
                return objects[kinds[0]]
            case ReferenceList(kinds):
                return (objects[kinds[0]],)
            case Choice(values) if argument.required:
                return values[0]
            case Amount():
                return Money(100, "GBP")
        if argument.name in FITTING.get(function.name, {}):
            return FITTING[function.name][argument.name]
        if argument.name in {"from", "to"}:
            return {"from": date(2025, 1, 1), "to": NOON.date()}[argument.name]
        return argument.default

    values = {argument.name: value(argument) for argument in function.arguments}
    return Arguments({name: it for name, it in values.items() if it is not None})


def _everything(bank: BankUnderTest) -> TransactionFilter:
    return TransactionFilter(bank.main.id, date(2000, 1, 1), date(2100, 1, 1))


ASKER = Asker("alice", NOON.date(), (Allowance("day", Money(100, "GBP"), Money(40, "GBP")),))


@pytest.mark.parametrize("function", [it for it in MANIFEST if isinstance(it, ReadFunction)], ids=lambda it: it.name)
async def test_a_read_returns_exactly_the_fields_that_it_declares(bank: BankUnderTest, function: ReadFunction) -> None:
    raw = await function.read(bank.core, ASKER, await filled(bank, function))
    assert raw is not None
    seen: list[str] = []
    matches(function.output, raw, seen)
    assert len(seen) == len(set(seen))


async def objects(bank: BankUnderTest) -> dict[str, Value]:
    """One fitting value for each argument of an effect, by the argument's name. The arguments of a check are those of FITTING."""
    page = await bank.core.transactions(replace(_everything(bank), credit_debit="DBIT"))
    check = await bank.core.check_payee("alice", *FITTING["verify_payee"].values())  # type: ignore[arg-type]
    standing = (await bank.core.standing_orders(bank.main.id))[0]
    mandate = (await bank.core.direct_debits(bank.main.id))[0]
    return {
        **FITTING["verify_payee"],
        "account": bank.spare,
        "amount": Money(100, "GBP"),
        "beneficiary": bank.newcomer,
        "card": bank.card,
        "direct_debit": Identified(ReferenceKind.DIRECT_DEBIT, mandate.id),
        "execute_on": date(2026, 4, 1),
        "first_on": date(2026, 4, 1),
        "frequency": "weekly",
        "from": bank.main,
        "last_on": date(2027, 4, 1),
        "narrative": "The parcel never came.",
        "payee_check": Identified(ReferenceKind.PAYEE_CHECK, check.id),
        "payment": bank.scheduled,
        "reason": "lost",
        "reason_code": "not_received",
        "reference": "R",
        "standing_order": Identified(ReferenceKind.STANDING_ORDER, standing.id),
        "text": "T",
        "to": bank.spare,
        "topic": "T",
        "transaction": Identified(ReferenceKind.TRANSACTION, page.transactions[0].id),
    }


@pytest.mark.parametrize("function", [it for it in MANIFEST if isinstance(it, EffectFunction)], ids=lambda it: it.name)
async def test_an_effect_is_answered_with_every_field_that_it_declares(bank: BankUnderTest, function: EffectFunction) -> None:
    given = await objects(bank)
    order = function.order(Arguments({argument.name: given[argument.name] for argument in function.arguments}))
    told = Instruction("key", "alice", "agent", order)
    answer = await bank.core.submit(told, bank.permit(told.canonical(), bank.clock() + timedelta(minutes=1)))
    assert isinstance(answer, Done)
    declared = {member.name for member in function.output}
    matches(function.output, {name: value for name, value in answer.output.items() if name in declared}, [])


def matches(declared: tuple[Field, ...], raw: object, seen: list[str]) -> None:
    assert isinstance(raw, dict)
    assert set(raw) == {member.name for member in declared}
    for member in declared:
        value = raw[member.name]
        for it in value if member.many else [value]:
            if it is None:
                assert member.nullable
            elif isinstance(member.type, tuple):
                matches(member.type, it, [])
            elif isinstance(member.type, ReferenceKind):
                assert isinstance(it, Identified)
                assert it.kind is member.type
            else:
                kinds = {"text": str, "money": Money, "day": date, "time": datetime, "count": int, "flag": bool}
                assert type(it) is kinds[member.type]
                assert not isinstance(it, datetime) or it.tzinfo is UTC
        seen.append(member.name)


@pytest.mark.parametrize(
    "name",
    ["get_account_balance", "get_account_identifiers", "get_payment_status", "get_transaction", "get_statement", "confirm_funds"],
)
async def test_a_read_of_what_is_gone_returns_none(bank: BankUnderTest, name: str) -> None:
    function = BY_NAME[name]
    assert isinstance(function, ReadFunction)
    assert function.resource is not None
    gone: dict[str, Value] = {function.resource: Identified(ReferenceKind.ACCOUNT, "none"), "type": "ITAV"}
    gone |= {"period": "2026-02", "amount": Money(100, "GBP")}
    core: CoreBank = bank.core
    assert await function.read(core, ASKER, Arguments(gone)) is None


async def test_spending_by_counterparty_is_kept_apart_as_other_peoples_text(bank: BankUnderTest) -> None:
    function = BY_NAME["get_spending_summary"]
    assert isinstance(function, ReadFunction)
    for group_by, named in (("category", "group"), ("month", "group"), ("counterparty", "counterparty_name")):
        arguments = Arguments({"accounts": (bank.main,), "period": "last_month", "group_by": group_by})
        raw = await function.read(bank.core, ASKER, arguments)
        assert raw is not None
        groups = raw["groups"]
        assert isinstance(groups, list)
        assert groups
        assert all(group[named] and not group[{"group", "counterparty_name"}.difference({named}).pop()] for group in groups)


@pytest.mark.parametrize(
    ("period", "first", "last"),
    [
        ("2026-02", "2026-02-01", "2026-02-28"),
        ("2024-02", "2024-02-01", "2024-02-29"),
        ("2025-12", "2025-12-01", "2025-12-31"),
        ("2026-Q1", "2026-01-01", "2026-03-31"),
        ("2025-Q4", "2025-10-01", "2025-12-31"),
    ],
)
def test_a_statement_covers_whole_months_or_quarters(period: str, first: str, last: str) -> None:
    assert days_of(period) == (date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    ("name", "given", "argument"),
    [
        ("get_statement", {"period": "2026-03"}, "period"),
        ("get_statement", {"period": "2026-Q1"}, "period"),
        ("confirm_funds", {"amount": Money(100, "EUR")}, "amount"),
        ("get_fx_quote", {"from": "GBP", "to": "GBP", "amount": Money(1, "GBP"), "side": "sell"}, "to"),
        ("get_fx_quote", {"from": "GBP", "to": "EUR", "amount": Money(1, "EUR"), "side": "sell"}, "amount"),
        ("get_fx_quote", {"from": "GBP", "to": "EUR", "amount": Money(1, "GBP"), "side": "buy"}, "amount"),
        ("get_fx_quote", {"from": "GBP", "to": "EUR", "amount": Money(1, "JPY"), "side": "buy"}, "amount"),
        ("get_fx_quote", {"from": "GBP", "to": "XXX", "amount": Money(1, "GBP"), "side": "sell"}, "amount"),
        ("get_product_terms", {"product": "mortgage"}, "product"),
    ],
)
async def test_what_does_not_fit_is_refused_and_told_in_words_of_the_declaration(
    bank: BankUnderTest, name: str, given: dict[str, Value], argument: str
) -> None:
    function = BY_NAME[name]
    assert isinstance(function, ReadFunction)
    with pytest.raises(Unfit) as refused:
        await function.read(bank.core, ASKER, Arguments({"account": bank.main, **given}))
    assert refused.value.argument == argument
    assert refused.value.must.startswith("must be ")


async def test_the_last_closed_month_can_be_stated_on_the_first_of_the_next(bank: BankUnderTest) -> None:
    function = BY_NAME["get_statement"]
    assert isinstance(function, ReadFunction)
    arguments = Arguments({"account": bank.main, "period": "2026-02"})
    for today, is_closed in ((date(2026, 2, 28), False), (date(2026, 3, 1), True)):
        try:
            assert await function.read(bank.core, Asker("alice", today), arguments) is not None
            assert is_closed
        except Unfit:
            assert not is_closed


async def test_the_holder_s_name_is_told_of_a_close_match_alone(bank: BankUnderTest) -> None:
    function = BY_NAME["verify_payee"]
    assert isinstance(function, ReadFunction)
    for outcome, (name, identifier) in bank.checks.items():
        raw = await function.read(bank.core, ASKER, Arguments({"name": name, "identifier": identifier}))
        assert raw is not None
        assert raw["outcome"] == outcome
        assert (raw["actual_name"] is not None) is (outcome == "close_match")


def test_only_a_single_masked_text_of_a_read_is_told_whole_to_the_app() -> None:
    whole = Field(name="number", type="text", mask=Mask.LAST4, app_class="whole", description="")
    for more in ({"mask": None}, {"type": "money"}, {"many": True}):
        with pytest.raises(ValueError, match="single masked text"):
            Field(**{"name": "n", "type": "text", "mask": Mask.LAST4, "app_class": "whole", "description": "", **more})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="first rank"):
        Field(name="accounts", type=(whole,), many=True, description="")
    closing = BY_NAME["report_card_lost_or_stolen"]
    with pytest.raises(ValueError, match="told again"):
        replace(closing, output=(whole,))


@pytest.mark.parametrize("outcome", ["match", "no_match", "not_possible"])
async def test_a_core_that_tells_the_holder_s_name_where_it_may_not_is_not_passed_on(outcome: str) -> None:
    class Telling:
        async def check_payee(self, customer: str, name: str, identifier: str) -> PayeeCheck:
            return PayeeCheck("v-1", outcome, "Somebody Real", NOON)

    function = BY_NAME["verify_payee"]
    assert isinstance(function, ReadFunction)
    raw = await function.read(Telling(), ASKER, Arguments({"name": "N N", "identifier": "0"}))  # type: ignore[arg-type]
    assert raw is not None
    assert raw["actual_name"] is None
