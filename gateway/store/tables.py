"""Tables of the gateway's store. Times are microseconds since 1970 UTC; amounts are minor units."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()

CUSTOMERS = Table(
    "customers",
    METADATA,
    Column("customer", String(64), primary_key=True),
    Column("mandate_version", Integer, nullable=False),
    Column("mandate", LargeBinary, nullable=False),
    Column("mandate_signature", LargeBinary, nullable=False),
    Column("frozen", Boolean, nullable=False),
)

CONVERSATIONS = Table(
    "conversations",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("customer", String(64), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("tainted", Boolean, nullable=False),
)

WORDS = Table(
    "words",
    METADATA,
    Column("conversation", String(40), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("origin", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
)

STATES = ("pending", "unknown", "posted", "voided")
OPEN_STATES = ("pending", "unknown")

CALLS = Table(
    "calls",
    METADATA,
    Column("call_id", String(40), primary_key=True),
    Column("customer", String(64), nullable=False),
    Column("conversation", String(40), nullable=False),
    Column("turn", String(128), nullable=False),
    Column("native_id", String(128), nullable=False),
    Column("function", String(64), nullable=False),
    Column("arguments_hash", LargeBinary(32), nullable=False),
    Column("agent", String(256)),
    Column("channel", String(64), nullable=False),
    Column("core_key", String(40), nullable=False, unique=True),
    Column("trace_id", String(32), nullable=False),
    Column("state", String(8), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("settled_us", BigInteger),
    Column("currency", String(3)),
    Column("minor", BigInteger),
    Column("payee", String(64)),
    UniqueConstraint("conversation", "turn", "native_id"),
    CheckConstraint("state in ('pending', 'unknown', 'posted', 'voided')", name="known_state"),
    CheckConstraint("(currency is null) = (minor is null)", name="whole_amount"),
    Index("calls_by_window", "customer", "currency", "created_us", "state", "minor"),
    Index("calls_by_state", "state", "created_us"),
)

PROOFS = Table(
    "proofs",
    METADATA,
    Column("jti_hash", LargeBinary(32), primary_key=True),
    Column("thumbprint", String(64), primary_key=True),
    Column("expires_s", BigInteger, nullable=False),
    Index("proofs_by_expiry", "expires_s"),
)
