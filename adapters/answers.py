"""What a core answers to questions: the values of the port's reads. Pure. Times are aware datetimes in UTC.

`adapters.core` hands all of them on: whoever speaks the port imports them from there.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from adapters.identity import Scheme, canonical
from adapters.money import Money
from adapters.orders import Identified, ReferenceKind


@dataclass(frozen=True, slots=True)
class Account:
    """An account as its owners know it. `status` is open, frozen or closed; its number is never shown whole to a model."""

    id: str
    name: str
    product: str
    currency: str
    status: str
    owners: frozenset[str]
    iban: str | None
    sort_code: str | None
    number: str

    @property
    def key(self) -> str:
        """By which a standing mandate and `Acquaintance.own_accounts` name it."""
        return Identified(ReferenceKind.ACCOUNT, self.id).key

    @property
    def written(self) -> frozenset[str]:
        """How its owner may write it, in canonical form: its IBAN, its sort code and number."""
        numbers = (self.iban, f"{self.sort_code or ''}{self.number}")
        return frozenset(canonical(Scheme.ACCOUNT, number) for number in numbers if number)


@dataclass(frozen=True, slots=True)
class Balance:
    """`type` is an ISO 20022 balance type: ITBD booked, ITAV available (booked less pending debits), CLBD, CLAV."""

    account: str
    type: str
    amount: Money
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Transaction:
    """`credit_debit` is CRDT or DBIT, `status` BOOK or PDNG (ISO 20022). Memo and counterparty are third parties' text."""

    id: str
    account: str
    booked_at: datetime
    amount: Money
    credit_debit: str
    status: str
    category: str
    memo: str
    counterparty_name: str
    counterparty_account: str
    payment: str | None


@dataclass(frozen=True, slots=True)
class TransactionPage:
    """Transactions, the newest first. `next_cursor` is the `cursor` of the next page and names nothing by itself; None: no more."""

    transactions: Sequence[Transaction]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class SpendingGroup:
    """What was spent in one group and one currency, in `count` transactions."""

    group: str
    total: Money
    count: int


@dataclass(frozen=True, slots=True)
class Beneficiary:
    """A payee that the customer saved for an account, under the customer's own `name`. `identifier` is the payee's account."""

    id: str
    account: str
    name: str
    identifier: str
    created_at: datetime
    last_paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class StandingOrder:
    """A payment that recurs. `frequency` is one of `adapters.orders.Frequency`; `next_on` is the working day of the next payment; `last_on`
    None is open-ended; `reference` is free text; `status` is active, suspended, cancelled, or ended after its last day."""

    id: str
    account: str
    beneficiary_name: str
    amount: Money
    frequency: str
    next_on: date
    last_on: date | None
    reference: str
    status: str


@dataclass(frozen=True, slots=True)
class Card:
    """A card, by the last four digits of its number only. `status` is active, frozen, expired, closed for good, or ordered and not yet
    in use; `holder` is a customer."""

    id: str
    account: str
    last4: str
    scheme: str
    status: str
    holder: str


@dataclass(frozen=True, slots=True)
class Payment:
    """`status` is one of `adapters.statuses.PaymentStatus`: ACSC settled, PDNG pending, RJCT rejected, CANC cancelled, SCHD scheduled."""

    id: str
    account: str
    amount: Money
    counterparty_name: str
    reference: str
    status: str
    created_at: datetime
    execute_on: date | None
    initiated_through_assistant: bool


@dataclass(frozen=True, slots=True)
class TransactionFilter:
    """Which transactions of an account: booked on `start` to `end`, both inclusive. `limit` is 1 to 100."""

    account: str
    start: date
    end: date
    credit_debit: str | None = None
    text: str | None = None
    cursor: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class DirectDebit:
    """A mandate by which a creditor collects from an account. `creditor_name` and `reference` are the creditor's own text.

    `status` is active, suspended or cancelled. `last_amount` and `last_on` None: nothing was collected yet; `next_on` None: no
    collection is announced.
    """

    id: str
    account: str
    creditor_name: str
    reference: str
    status: str
    last_amount: Money | None
    last_on: date | None
    next_on: date | None


@dataclass(frozen=True, slots=True)
class Statement:
    """A document that the core holds ready: the account's statement from `start` to `end`, both inclusive. Its text is not here."""

    id: str
    account: str
    start: date
    end: date
    media_type: str


@dataclass(frozen=True, slots=True)
class FxQuote:
    """An exchange at a rate that the core keeps until `expires_at`.

    `rate` is an exact decimal string: units of the bought currency for one unit of the sold one. `fee` is in the currency that is
    sold, and comes on top of `sell`. Amounts follow from the rate and are rounded against the customer, by less than one minor unit.
    """

    id: str
    sell: Money
    buy: Money
    rate: str
    fee: Money
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PayeeCheck:
    """What is known of a payee's name (Confirmation of Payee of Pay.UK; Verification of Payee of the EPC).

    `outcome` is match, close_match, no_match or not_possible. `actual_name` is the account holder's name, in the holder's own
    words, of a close match alone: for every other outcome the standards keep it back. An account that does not exist is no_match,
    so that the answer does not tell which accounts there are. The check holds for exactly this name and identifier, and until
    `expires_at`.
    """

    id: str
    outcome: str
    actual_name: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Term:
    """One clause of a product's terms, in the bank's words."""

    title: str
    text: str


@dataclass(frozen=True, slots=True)
class ProductTerms:
    """A product of the bank's catalogue, with the terms in force since `effective_from`."""

    product: str
    name: str
    summary: str
    version: str
    effective_from: date
    terms: Sequence[Term]


@dataclass(frozen=True, slots=True)
class KnownPayee:
    """A payee that the customer saved or paid. `name` is the label that the customer saved, empty if there is none.

    `key` is what an argument of the kind payee comes to: `ben:` and the identifier of a beneficiary, the payee's account, or whatever
    else an upstream knows the payee by, such as a name. `identifier` is the account, empty where it is not told. Both are in the
    canonical form of their scheme (`adapters.identity`) and compared byte for byte. `known_since`: when a payment of this customer to
    this payee first settled that was not returned and that the customer confirmed, or made outside an assistant; None if none did.
    Never from what a payee sent, a direct debit or a card payment. `saved_at`: since when the payee is saved, None if it is not.
    `paid_from`: the customer's own account, as of `Acquaintance.own_accounts`, from which the last such payment came, if that is told.
    """

    key: str
    name: str
    identifier: str
    known_since: datetime | None
    saved_at: datetime | None = None
    paid_from: str | None = None


@dataclass(frozen=True, slots=True)
class ExistingOrder:
    """A payment to come, once or again and again. `payee` is a key as of KnownPayee."""

    id: str
    payee: str
    amount: Money | None
    name: str = ""


@dataclass(frozen=True, slots=True)
class IncomingEntry:
    """Money that was booked on an account of the customer. `payer` is a key as of KnownPayee, `booked_at` when, None if it is not told."""

    id: str
    payer: str
    amount: Money
    booked_at: datetime | None = None


ORDERS, OWN_ACCOUNTS = "orders", "own_accounts"
"""The lists of owned objects that every acquaintance has; an upstream's others have names of their own."""


@dataclass(frozen=True, slots=True)
class Acquaintance:
    """What the gateway itself asks about a customer, so that grounding never depends on what a model happened to read.

    `orders` by what an argument that names one comes to; `own_accounts` are keys as of KnownPayee (`acc:` and an account's id) and
    account numbers; `owned`: what else an upstream lists as the customer's, by the name of its list. All in the canonical form of
    their scheme (`adapters.identity`). `incoming`: what was booked on the customer's accounts lately, the order is the bank's.
    """

    payees: Sequence[KnownPayee] = ()
    orders: Mapping[str, ExistingOrder] = field(default_factory=dict)
    own_accounts: frozenset[str] = frozenset()
    owned: Mapping[str, frozenset[str]] = field(default_factory=dict)
    incoming: Sequence[IncomingEntry] = ()

    def lists(self, identifier: str, names: Sequence[str]) -> bool:
        """Whether one of these lists holds this identifier, which is in its canonical form. A list that nobody declared holds nothing."""
        lists: Mapping[str, Collection[str]] = {**self.owned, ORDERS: self.orders, OWN_ACCOUNTS: self.own_accounts}
        return any(identifier in lists.get(name, ()) for name in names)


@dataclass(frozen=True, slots=True)
class CoreEffect:
    """What the core has of one instruction, or of one payment that it has as initiated through an assistant, for a reconciliation.

    `key` is the instruction's; None for such a payment that no instruction made. `order` is the type of the order. `status` is a payment's
    own status, and for what is no payment `done` or `declined`. `amount` is what was booked, of a settled payment; what is planned, of any
    other payment; the new amount, of a standing order; None of what has none. `at`: when the core answered.
    """

    key: str | None
    customer: str | None
    order: str
    status: str
    amount: Money | None
    at: datetime


@dataclass(frozen=True, slots=True)
class EffectPage:
    """Effects, the oldest first. `next_cursor` is the `cursor` of the next page; None: no more."""

    effects: Sequence[CoreEffect]
    next_cursor: str | None
