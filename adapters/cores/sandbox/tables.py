"""The tables of the sandbox bank, what the database itself refuses, and how a database is opened. Holds no rule of banking.

Times are integers: microseconds since 1970 in UTC. Days are ISO 8601 text. Amounts are integer minor units. An entry is positive
for a credit and negative for a debit, so that the entries of a currency sum to zero, and the sum of an account's entries is its
balance as its owner sees it.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    create_engine,
    event,
    text,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

METADATA = MetaData()


def _id(name: str = "id", *, key: bool = True) -> Column[str]:
    return Column(name, String(16), primary_key=key, nullable=False)


account = Table(
    "account",
    METADATA,
    _id(),
    Column("kind", String(8), CheckConstraint("kind IN ('customer', 'clearing')"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("product", String(32), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("status", String(8), CheckConstraint("status IN ('open', 'frozen', 'closed')"), nullable=False),
    Column("iban", String(34)),
    Column("sort_code", String(6)),
    Column("number", String(34), nullable=False),
    Column("overdraft_minor", BigInteger, nullable=False, default=0),
    sqlite_with_rowid=False,
)

account_owner = Table(
    "account_owner",
    METADATA,
    Column("account", ForeignKey("account.id"), primary_key=True),
    Column("customer", String(40), primary_key=True),
    Index("account_owner_customer", "customer"),
    sqlite_with_rowid=False,
)

balance = Table(
    "balance",
    METADATA,
    Column("account", ForeignKey("account.id"), primary_key=True),
    Column("currency", String(3), nullable=False),
    Column("booked_minor", BigInteger, nullable=False),
    Column("entries", Integer, nullable=False),
    Column("booked_at_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""What is derivable from the entries, kept beside them so that a read costs one row; `books.findings` proves them equal."""

movement = Table(
    "movement",
    METADATA,
    _id(),
    Column("debit", ForeignKey("account.id"), nullable=False),
    Column("credit", ForeignKey("account.id"), nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor > 0"), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("state", String(8), CheckConstraint("state IN ('pending', 'posted', 'voided', 'expired', 'failed')"), nullable=False),
    Column("pended_at_us", BigInteger, nullable=False),
    Column("expires_at_us", BigInteger, nullable=False),
    Column("settled_at_us", BigInteger),
    Column("payment", String(16)),
    Column("category", String(24), nullable=False),
    Column("memo", String(280), nullable=False),
    Column("debtor_name", String(140), nullable=False),
    Column("debtor_account", String(34), nullable=False),
    Column("creditor_name", String(140), nullable=False),
    Column("creditor_account", String(34), nullable=False),
    CheckConstraint("debit <> credit"),
    sqlite_with_rowid=False,
)
Index(
    "movement_pending",
    movement.c.debit,
    movement.c.expires_at_us,
    sqlite_where=text("state = 'pending'"),
    postgresql_where=text("state = 'pending'"),
)
Index(
    "movement_payment",
    movement.c.payment,
    sqlite_where=text("payment IS NOT NULL"),
    postgresql_where=text("payment IS NOT NULL"),
)

entry = Table(
    "entry",
    METADATA,
    _id(),
    Column("movement", ForeignKey("movement.id"), nullable=False),
    Column("account", ForeignKey("account.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("amount_minor", BigInteger, CheckConstraint("amount_minor <> 0"), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("booked_at_us", BigInteger, nullable=False),
    UniqueConstraint("account", "booked_at_us", "position"),
    sqlite_with_rowid=False,
)

beneficiary = Table(
    "beneficiary",
    METADATA,
    _id(),
    Column("account", ForeignKey("account.id"), nullable=False, index=True),
    Column("name", String(140), nullable=False),
    Column("identifier", String(34), nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("removed_at_us", BigInteger),
    sqlite_with_rowid=False,
)
"""A payee that was removed stays as a row, since payments name it; nothing shows it any more, and nothing more is paid to it."""

standing_order = Table(
    "standing_order",
    METADATA,
    _id(),
    Column("account", ForeignKey("account.id"), nullable=False, index=True),
    Column("beneficiary", ForeignKey("beneficiary.id"), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("frequency", String(11), nullable=False),
    Column("first_on", String(10), nullable=False),
    Column("month_day", Integer, CheckConstraint("month_day BETWEEN 1 AND 31"), nullable=False),
    Column("turn", Integer, CheckConstraint("turn >= 0"), nullable=False),
    Column("next_on", String(10), nullable=False),
    Column("last_on", String(10)),
    Column("reference", String(18), nullable=False),
    Column("status", String(9), CheckConstraint("status IN ('active', 'suspended', 'cancelled', 'ended')"), nullable=False),
    Column("through_assistant", Integer, nullable=False),
    Index("standing_order_due", "next_on", sqlite_where=text("status = 'active'"), postgresql_where=text("status = 'active'")),
    Index("standing_order_beneficiary", "beneficiary"),
    sqlite_with_rowid=False,
)
"""`first_on`, `frequency` and `month_day` are its `days.Schedule`; `turn` is the number of the next payment in it, and `next_on` the
working day on which that is made."""

card = Table(
    "card",
    METADATA,
    _id(),
    Column("account", ForeignKey("account.id"), nullable=False, index=True),
    Column("last4", String(4), nullable=False),
    Column("scheme", String(16), nullable=False),
    Column(
        "status",
        String(8),
        CheckConstraint("status IN ('ordered', 'active', 'frozen', 'expired', 'closed')"),
        nullable=False,
    ),
    Column("thawed", String(8), nullable=False),
    Column("holder", String(40), nullable=False, index=True),
    Column("replaces", ForeignKey("card.id"), unique=True),
    sqlite_with_rowid=False,
)
"""`thawed`: the status that a frozen card goes back to. A card that was ordered and frozen is not in use when it is thawed.

`replaces`: the closed card in whose place this one was ordered; there is one replacement at most."""

direct_debit = Table(
    "direct_debit",
    METADATA,
    _id(),
    Column("account", ForeignKey("account.id"), nullable=False, index=True),
    Column("creditor_name", String(140), nullable=False),
    Column("reference", String(35), nullable=False),
    Column("status", String(10), CheckConstraint("status IN ('active', 'suspended', 'cancelled')"), nullable=False),
    Column("last_minor", BigInteger),
    Column("currency", String(3), nullable=False),
    Column("last_on", String(10)),
    Column("next_on", String(10)),
    sqlite_with_rowid=False,
)

quote = Table(
    "quote",
    METADATA,
    _id(),
    Column("customer", String(40), nullable=False),
    Column("sell_minor", BigInteger, nullable=False),
    Column("sell_currency", String(3), nullable=False),
    Column("buy_minor", BigInteger, nullable=False),
    Column("buy_currency", String(3), nullable=False),
    Column("rate", String(32), nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("expires_at_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

payee_directory = Table(
    "payee_directory",
    METADATA,
    Column("identifier", String(34), primary_key=True),
    Column("holder", String(140), primary_key=True),
    Column("bank", String(6), nullable=False, index=True),
    Column("opted_out", Integer, nullable=False),
    sqlite_with_rowid=False,
)
"""Who holds which account, here and at other banks, as far as they take part (see `payees`)."""

payee_check = Table(
    "payee_check",
    METADATA,
    _id(),
    Column("customer", String(40), nullable=False),
    Column("name", String(140), nullable=False),
    Column("identifier", String(34), nullable=False),
    Column("outcome", String(12), nullable=False),
    Column("actual_name", String(140)),
    Column("expires_at_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""What was asked about a payee, and what was told: evidence for the payment that follows (G-10)."""

payment = Table(
    "payment",
    METADATA,
    _id(),
    Column("account", ForeignKey("account.id"), nullable=False),
    Column("credit", ForeignKey("account.id"), nullable=False),
    Column("beneficiary", ForeignKey("beneficiary.id")),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("counterparty_name", String(140), nullable=False),
    Column("reference", String(18), nullable=False),
    Column("status", String(4), CheckConstraint("status IN ('SCHD', 'PDNG', 'ACSC', 'RJCT', 'CANC')"), nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("settled_at_us", BigInteger),
    Column("execute_on", String(10)),
    Column("through_assistant", Integer, nullable=False),
    Column("key", String(40), index=True),
    Column("standing_order", ForeignKey("standing_order.id")),
    Index(
        "payment_beneficiary",
        "beneficiary",
        "settled_at_us",
        sqlite_where=text("beneficiary IS NOT NULL"),
        postgresql_where=text("beneficiary IS NOT NULL"),
    ),
    Index("payment_created", "created_at_us"),
    Index("payment_due", "account", "execute_on", sqlite_where=text("status = 'SCHD'"), postgresql_where=text("status = 'SCHD'")),
    sqlite_with_rowid=False,
)
"""`key`: of the instruction that it was made by, if it was; `standing_order`: whose turn it was, if it was one."""

payment_return = Table(
    "payment_return",
    METADATA,
    Column("payment", ForeignKey("payment.id"), primary_key=True),
    Column("movement", ForeignKey("movement.id"), nullable=False),
    Column("returned_at_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""A settled payment whose money the payee's bank sent back, and the movement that brought it. The payment itself stays as it was."""

case = Table(
    "case_file",
    METADATA,
    Column("number", String(16), primary_key=True),
    Column("kind", String(8), CheckConstraint("kind IN ('card', 'dispute', 'fraud', 'human')"), nullable=False),
    Column("customer", String(40), nullable=False),
    Column("about_kind", String(8)),
    Column("about", String(16), index=True),
    Column("reason", String(24)),
    Column("words", String(1000), nullable=False),
    Column("opened_at_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""What people at the bank must look at: reports of fraud (they mark a payment or a transaction), requests for a human, disputes
of a transaction (with their reason), and cards that were reported lost or stolen."""

instruction = Table(
    "instruction",
    METADATA,
    Column("key", String(40), primary_key=True),
    Column("digest", String(64)),
    Column("customer", String(40)),
    Column("told", String(32)),
    Column("outcome", String(8), CheckConstraint("outcome IN ('done', 'declined', 'burned')"), nullable=False),
    Column("answer", String(4000), nullable=False),
    Column("answered_at_us", BigInteger, nullable=False),
    Index("instruction_answered", "answered_at_us"),
)
"""Every key the bank ever saw, with the answer that it gave: the journal of its effects. A burned key has no digest, no customer and
no order (`told` is the order's type)."""

IMMUTABLE = ("entry", "instruction", "quote", "payee_check", "payment_return")
TRANSITIONS = {
    "card": (
        "status",
        tuple(
            (old, new)
            for old, news in {
                "ordered": ("active", "frozen", "closed"),
                "active": ("frozen", "closed", "expired"),
                "frozen": ("ordered", "active", "closed", "expired"),
            }.items()
            for new in news
        ),
    ),
    "direct_debit": (
        "status",
        (("active", "suspended"), ("active", "cancelled"), ("suspended", "active"), ("suspended", "cancelled")),
    ),
    "movement": ("state", (("pending", "posted"), ("pending", "voided"), ("pending", "expired"))),
    "payment": ("status", (("SCHD", "ACSC"), ("SCHD", "RJCT"), ("SCHD", "CANC"), ("PDNG", "ACSC"), ("PDNG", "RJCT"))),
}
"""The changes of state that the database lets happen; it refuses every other change of these rows, and their deletion."""

_MAY_CHANGE = {
    "card": {"status", "thawed"},
    "direct_debit": {"status", "next_on"},
    "movement": {"state", "settled_at_us"},
    "payment": {"status", "settled_at_us"},
}

_FINAL = {"beneficiary": "OLD.removed_at_us IS NOT NULL", "standing_order": "OLD.status IN ('cancelled', 'ended')"}
"""Rows that never change again once this is so, and are never deleted."""


def _refuse(name: str, when: str, why: str) -> DDL:
    return DDL(  # type: ignore[no-untyped-call]
        f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {when} BEGIN SELECT RAISE(ABORT, '{why}'); END"
    )


def _guards() -> list[DDL]:
    ddl = [
        _refuse(f"{name}_{verb}", f"{verb} ON {name}", f"{name} is immutable")
        for name in IMMUTABLE
        for verb in ("UPDATE", "DELETE")
    ]
    for name, (column, allowed) in TRANSITIONS.items():
        fixed = [member.name for member in METADATA.tables[name].columns if member.name not in _MAY_CHANGE[name]]
        change = " OR ".join(f"OLD.{member} IS NOT NEW.{member}" for member in fixed)
        legal = " OR ".join(f"(OLD.{column} = '{old}' AND NEW.{column} = '{new}')" for old, new in allowed)
        ddl.append(_refuse(f"{name}_change", f"UPDATE ON {name} WHEN {change} OR NOT ({legal})", f"{name} cannot change so"))
    ddl += [_refuse(f"{name}_final", f"UPDATE ON {name} WHEN {is_final}", f"{name} is over") for name, is_final in _FINAL.items()]
    ddl += [_refuse(f"{name}_delete", f"DELETE ON {name}", f"{name} is never deleted") for name in (*TRANSITIONS, *_FINAL)]
    return ddl


for _guard in _guards():
    event.listen(METADATA, "after_create", _guard.execute_if(dialect="sqlite"))


def open_engine(path: Path | str, *, has_tables: bool = False) -> Engine:
    """An engine over the SQLite file at `path`, with the tables created if absent, unless it is said to have them. What is committed
    survives a power cut."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})
    event.listen(engine, "connect", _durable)
    if not has_tables:
        METADATA.create_all(engine)
    return engine


def _durable(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def micros(moment: datetime) -> int:
    """Microseconds since 1970, exactly, of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(micros_: int) -> datetime:
    """The aware UTC datetime of so many microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=micros_)
