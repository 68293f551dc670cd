"""What holds of every function of the manifest, and what each of them asks of the core."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from adapters.core import (
    CancelScheduledPayment,
    CoreBank,
    FreezeCard,
    Identified,
    Money,
    ReferenceKind,
    ReportFraud,
    RequestHuman,
    TransactionFilter,
    Transfer,
)
from adapters.function import (
    Allowance,
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
    ReadFunction,
    Reference,
    References,
    Text,
    Value,
)
from adapters.functions import MANIFEST
from adapters.functions.get_spending_summary import _days
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
        "cancel_scheduled_payment",
        "freeze_card",
        "get_account_balance",
        "get_limits",
        "get_payment_status",
        "get_spending_summary",
        "get_transaction",
        "initiate_transfer",
        "list_accounts",
        "list_beneficiaries",
        "list_cards",
        "list_scheduled_payments",
        "list_standing_orders",
        "list_transactions",
        "report_suspected_fraud",
        "request_human",
    ]


@pytest.mark.parametrize("function", MANIFEST, ids=lambda it: it.name)
class TestEveryFunction:
    def test_declares_the_data_classes_that_it_can_reveal(self, function: BankingFunction) -> None:
        assert {member.data_class for member in walk(function.output)} | {"basic"} == function.data_classes

    def test_names_a_declared_argument_as_its_resource(self, function: BankingFunction) -> None:
        arguments = {argument.name: argument.type for argument in function.arguments}
        assert function.resource is None or isinstance(arguments[function.resource], Reference | References)

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
            if isinstance(argument.type, Reference | References):
                assert argument.kind in {Kind.OBJECT, Kind.PAYEE}

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
        "cancel_scheduled_payment": ("W", 3),
        "freeze_card": ("P", 1),
        "get_account_balance": ("R", 1),
        "get_limits": ("R", 1),
        "get_payment_status": ("R", 1),
        "get_spending_summary": ("R", 1),
        "get_transaction": ("R", 1),
        "initiate_transfer": ("I", 1),
        "list_accounts": ("R", 1),
        "list_beneficiaries": ("R", 2),
        "list_cards": ("R", 1),
        "list_scheduled_payments": ("R", 1),
        "list_standing_orders": ("R", 1),
        "list_transactions": ("R", 1),
        "report_suspected_fraud": ("P", 1),
        "request_human": ("P", 0),
    }
    assert {name for name, it in BY_NAME.items() if it.emergency} == {"freeze_card", "report_suspected_fraud", "request_human"}
    assert BY_NAME["request_human"].level is Level.L0


ACCOUNT = Identified(ReferenceKind.ACCOUNT, "a-1")
PAYEE = Identified(ReferenceKind.BENEFICIARY, "b-1")
PAYMENT = Identified(ReferenceKind.PAYMENT, "p-1")
CARD = Identified(ReferenceKind.CARD, "k-1")


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
        ("cancel_scheduled_payment", {"payment": PAYMENT}, CancelScheduledPayment(PAYMENT)),
        ("report_suspected_fraud", {"payment": PAYMENT, "text": "T"}, ReportFraud(PAYMENT, "T")),
        ("report_suspected_fraud", {"text": "T"}, ReportFraud(None, "T")),
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
            case References(kinds):
                return (objects[kinds[0]],)
            case Choice(values) if argument.required:
                return values[0]
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


@pytest.mark.parametrize("name", ["get_account_balance", "get_transaction", "get_payment_status"])
async def test_a_read_of_what_is_gone_returns_none(bank: BankUnderTest, name: str) -> None:
    function = BY_NAME[name]
    assert isinstance(function, ReadFunction)
    kind = {"get_account_balance": "account", "get_transaction": "transaction", "get_payment_status": "payment"}[name]
    gone: dict[str, Value] = {kind: Identified(ReferenceKind.ACCOUNT, "none"), "type": "ITAV"}
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
