"""Tables of the bank's people in the gateway's database, beside those of its customers. Times are microseconds since 1970 UTC."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, LargeBinary, String, Table, Text

from gateway.store.tables import METADATA

STAFF_SESSIONS = Table(
    "staff_sessions",
    METADATA,
    Column("id", LargeBinary(32), primary_key=True),  # SHA-256 of the cookie's value, which is kept nowhere
    Column("subject", String(64), nullable=False),
    Column("roles", String(64), nullable=False),  # in the order of the enumeration, with spaces
    Column("strong", Boolean, nullable=False),
    Column("authenticated_s", BigInteger, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Index("staff_sessions_by_subject", "subject", "created_us"),
    Index("staff_sessions_by_expiry", "expires_us"),
)

STAFF_APPROVALS = Table(
    "staff_approvals",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("duty", String(32), nullable=False),
    Column("subject", Text, nullable=False),  # canonical JSON
    Column("reason", Text, nullable=False),
    Column("customer", String(64)),  # whom it is about
    Column("asked_by", String(64), nullable=False),
    Column("asked_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("approved_by", String(64)),
    Column("approved_us", BigInteger),
    Column("used_us", BigInteger),
    CheckConstraint("approved_by <> asked_by", name="two_people"),
    CheckConstraint("(approved_by is null) = (approved_us is null)", name="whole_approval"),
    CheckConstraint("used_us is null or approved_us is not null", name="used_once_approved"),
    Index("staff_approvals_by_expiry", "expires_us"),
)

AUDIT_CASE_ENTRIES = Table(
    "audit_case_entries",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("case_id", String(200), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("record", BigInteger),
    Column("text", Text, nullable=False),
    Column("customer", String(256)),  # whom it is about
    Column("added_by", String(64), nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index("audit_case_entries_by_case", "case_id", "at_us"),
    Index("audit_case_entries_by_age", "at_us"),
)
