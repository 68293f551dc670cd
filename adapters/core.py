"""The port to a system of record, and the values that cross it. Pure: no I/O, no clock, no randomness.

A core is asked questions (`CoreBank.read` methods, no effect) and given instructions (`CoreBank.submit`, the only way to an
effect). An instruction carries the idempotency key that the gateway derived from its intent, and is refused by the core unless an
execution permit covers exactly its canonical bytes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Protocol

from adapters import questions as asked

# The values of answers, orders and money are part of the port's vocabulary: whoever speaks it imports them from here.
from adapters.answers import (
    Account,
    Acquaintance,
    Balance,
    Beneficiary,
    Card,
    CoreEffect,
    DirectDebit,
    EffectPage,
    ExistingOrder,
    FxQuote,
    IncomingEntry,
    KnownPayee,
    PayeeCheck,
    Payment,
    ProductTerms,
    SpendingGroup,
    StandingOrder,
    Statement,
    Term,
    Transaction,
    TransactionFilter,
    TransactionPage,
)
from adapters.money import MAX_MINOR, Money, exponent
from adapters.orders import (
    AddBeneficiary,
    AmendStandingOrder,
    CallUpstream,
    CancelDirectDebit,
    CancelScheduledPayment,
    CancelStandingOrder,
    CloseCard,
    CreateStandingOrder,
    FreezeCard,
    Frequency,
    Identified,
    Order,
    RaiseDispute,
    ReferenceKind,
    RemoveBeneficiary,
    ReportFraud,
    RequestHuman,
    Transfer,
    UnfreezeCard,
)

__all__ = [
    "MAX_MINOR",
    "Account",
    "Acquaintance",
    "AddBeneficiary",
    "AmendStandingOrder",
    "Balance",
    "Beneficiary",
    "CallUpstream",
    "CancelDirectDebit",
    "CancelScheduledPayment",
    "CancelStandingOrder",
    "Card",
    "CloseCard",
    "CoreAnswer",
    "CoreBank",
    "CoreEffect",
    "CoreUnavailable",
    "CreateStandingOrder",
    "Declined",
    "DirectDebit",
    "Done",
    "EffectPage",
    "ExecutionPermit",
    "ExistingOrder",
    "FreezeCard",
    "Frequency",
    "FxQuote",
    "Identified",
    "IncomingEntry",
    "Instruction",
    "KnownPayee",
    "Money",
    "NotSeen",
    "ObjectFacts",
    "Order",
    "PayeeCheck",
    "Payment",
    "PermitRefused",
    "PermitVerifier",
    "ProductTerms",
    "RaiseDispute",
    "ReferenceKind",
    "RemoveBeneficiary",
    "ReportFraud",
    "RequestHuman",
    "SpendingGroup",
    "StandingOrder",
    "Statement",
    "Term",
    "Transaction",
    "TransactionFilter",
    "TransactionPage",
    "Transfer",
    "UnfreezeCard",
    "Unknown",
    "exponent",
]


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What the policies may know of one object. `owners` are the customers who own it (through its account)."""

    identified: Identified
    owners: frozenset[str]
    status: str
    currency: str | None = None
    account: str | None = None
    first_settled_at: datetime | None = None
    """Of a beneficiary: when a payment of an owner to it first settled; None if never."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One order, for one customer, under one idempotency key (at most 40 characters, never used for anything else)."""

    key: str
    customer: str
    agent: str
    order: Order

    def canonical(self) -> bytes:
        """The bytes that a permit covers: RFC 8785 JSON of every field. Equal bytes if and only if equal instructions."""
        body = {"agent": self.agent, "customer": self.customer, "key": self.key, "order": _canonical(self.order)}
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _canonical(order: Order) -> dict[str, object]:
    body: dict[str, object] = {"is": type(order).__name__}
    for member in fields(order):
        body[member.name] = _plain(getattr(order, member.name))
    return body


def _plain(value: object) -> object:
    match value:
        case Identified():
            return {"id": value.id, "kind": value.kind.value}
        case Money():
            return {"currency": value.currency, "value": value.value}
        case date():
            return value.isoformat()
        case str() | None:
            return value
    raise TypeError(f"no canonical form for {type(value).__name__}")


@dataclass(frozen=True, slots=True)
class Done:
    """The effect happened, once. `output` is the core's answer, still to be redacted; the same for each resend."""

    output: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Declined:
    """The core refused for a business reason; nothing happened, and nothing ever will under this key.

    `code` is an ISO 20022 external status reason (AM04 insufficient funds, AC04 closed account, BE05 ...).
    """

    code: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The effect may have happened or may still happen. Ask `status` with the same key, never send under another."""

    why: str


@dataclass(frozen=True, slots=True)
class NotSeen:
    """Answer of `status` only: the core never took an instruction under this key, and refuses it from now on.

    A core that answers NotSeen burns the key first: what was delayed on the way cannot happen afterwards.
    """


CoreAnswer = Done | Declined | Unknown


class CoreUnavailable(Exception):
    """A question could not be answered. Raised by `submit`: it is certain that this call sent nothing under this key."""


class PermitRefused(Exception):
    """The instruction came without a permit that covers exactly its bytes. A defect or an attack; nothing happened."""


class ExecutionPermit(Protocol):
    """What lets a core act: proof that an intent over exactly these bytes is durable in the log. Opaque to adapters."""

    @property
    def index(self) -> int:
        """Where the intent stands in the log."""

    @property
    def expires(self) -> datetime:
        """From then on no core takes it: an instruction is not sent any more."""

    def encode(self) -> str:
        """The permit for a core in another process: URL-safe base64 without padding (RFC 4648), at most 1024 characters."""


class PermitVerifier(Protocol):
    """How a core checks a permit. Pure and quick; injected by the gateway's `main`."""

    def verify(self, permit: ExecutionPermit, over: bytes, now: datetime) -> None:
        """Return if `permit` is authentic, unexpired and covers `over` (`Instruction.canonical()`); else PermitRefused."""


class CoreBank(Protocol):
    """A system of record.

    Durability: what `submit` answers Done is durable. Concurrency: every method may be called concurrently; two submits of one key
    act once and answer alike. Retry: reads may be repeated; `submit` may be repeated with the same instruction only (another
    instruction under a used key is refused with PermitRefused or Declined("DUPL")). Errors: questions and `status` raise CoreUnavailable;
    `submit` raises PermitRefused, or CoreUnavailable where it is certain that this call sent nothing, and answers Unknown whenever
    bytes may have been sent; any other exception of `submit` or `status` must be taken for Unknown. Questions about what does not
    exist are answered None or an empty sequence. Nothing here checks the customer's rights: that is the gateway's part, done before.
    """

    async def describe(self, identified: Identified) -> ObjectFacts | None:
        """What the policies may know of this object, fresh, never cached."""

    async def accounts(self, customer: str) -> Sequence[Account]:
        """The accounts that this customer owns, alone or jointly, closed ones too."""

    async def balance(self, account: str, balance_type: str) -> Balance | None:
        """The balance of one ISO 20022 type, and when it was so. ValueError for a type that the core does not keep."""

    async def transactions(self, wanted: TransactionFilter) -> TransactionPage:
        """One page of booked transactions. `text` is matched in memo and counterparty name, literally, whatever the case."""

    async def transaction(self, transaction: str) -> Transaction | None:
        """One transaction."""

    async def spending(self, accounts: Sequence[str], start: date, end: date, group_by: str) -> Sequence[SpendingGroup]:
        """Booked debits of these accounts, per group (`category`, `month` or `counterparty`) and currency."""

    async def acquaintance(self, customer: str) -> Acquaintance:
        """Whom this customer knows and pays, and what is ordered, over all accounts; fresh, never cached."""

    async def beneficiaries(self, account: str) -> Sequence[Beneficiary]:
        """The payees saved for this account."""

    async def standing_orders(self, account: str) -> Sequence[StandingOrder]:
        """The standing orders of this account."""

    async def scheduled_payments(self, account: str) -> Sequence[Payment]:
        """Payments of this account that are scheduled for a later day, the next one first."""

    async def cards(self, customer: str) -> Sequence[Card]:
        """The cards that this customer holds."""

    async def payment(self, payment: str) -> Payment | None:
        """One payment, whatever its status."""

    async def direct_debits(self, account: str) -> Sequence[DirectDebit]:
        """The mandates for direct debit on this account, by creditor."""

    async def funds(self, account: str, amount: Money) -> bool | None:
        """Whether a payment of `amount` (more than zero) would find its funds now: what is booked, less what is held, plus the
        overdraft. False for an account that cannot pay; None when there is no such account, and for an amount in another currency."""

    async def statement(self, account: str, start: date, end: date) -> Statement | None:
        """The statement over these days, both inclusive and in the past; None where there is nothing to state."""

    async def product(self, product: str) -> ProductTerms | None:
        """The terms in force of a product, by the name that `Account.product` holds. Not about any customer."""

    # These two leave something behind in the core, which a later order can name; no effect on the customer, no instruction, no permit.

    async def fx_quote(self, customer: str, sell: str, buy: str, amount: Money) -> FxQuote | None:
        """A quote for this customer, kept by the core. `amount` is in one of the two currencies (ISO 4217) and fixes that side.

        None for a pair, or an amount, that the core does not quote. ValueError for an amount in a third currency."""

    async def check_payee(self, customer: str, name: str, identifier: str) -> PayeeCheck:
        """Whether the account `identifier` (see `adapters.function.AccountIdentifier`) is in this name; the answer is kept by the core
        as evidence. It may ask another bank. Whoever offers it holds the rate down: it tells who has which account."""

    @property
    def is_near(self) -> bool:
        """Whether a question costs no exchange with another process: then nobody needs to ask several together."""

    async def capabilities(self) -> frozenset[str]:
        """What this core can beyond answering: `adapters.questions.TOGETHER`. Names that nobody knows are passed over."""

    async def together(
        self, questions: Sequence[asked.Question[Any]], ahead: asked.Question[Any] | None = None
    ) -> Sequence[asked.Answered]:
        """Several questions at once, each answered as its method would: fewer exchanges where a core is far away. CoreUnavailable.

        The answers that there are: all, some or none; what has none is asked by its method when it is needed. `ahead` is a question whose
        answer may not be wanted in the end; it goes to a core that announces `TOGETHER` alone.
        Whoever asks holds the answer back until it is decided that it may be used."""

    async def submit(self, instruction: Instruction, permit: ExecutionPermit) -> CoreAnswer:
        """Verify `permit` over `instruction.canonical()`, then act at most once under `instruction.key`."""

    async def status(self, key: str) -> CoreAnswer | NotSeen:
        """What became of this key. No permit: it has no effect, save that NotSeen burns the key. Unknown while an instruction
        under it may still be on its way."""

    async def executed(self, since: datetime) -> int:
        """How many effects the core did since then, by its own count: for the census."""

    async def effects(self, since: datetime, cursor: str | None = None) -> EffectPage:
        """Every instruction that was done or declined since then, and every payment that the core has as initiated through an assistant and
        made since then, save those of standing orders, page by page: what a reconciliation compares with the log."""
