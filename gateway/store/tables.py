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
    false,
    text,
)

from gateway.store.transitions import CALL_TRANSITIONS, CONFIRMATION_TRANSITIONS, RUN_TRANSITIONS, enforce

METADATA = MetaData()

CUSTOMERS = Table(
    "customers",
    METADATA,
    Column("customer", String(64), primary_key=True),
    Column("mandate_version", Integer, nullable=False),
    Column("mandate", LargeBinary, nullable=False),
    Column("mandate_signature", LargeBinary, nullable=False),
    Column("frozen", Boolean, nullable=False),
    # Counted by who locks a customer or claims without a lock: what was read before it is of an earlier state
    Column("moves", BigInteger, nullable=False, server_default="0"),
)

CONVERSATIONS = Table(
    "conversations",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("customer", String(64), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("tainted_us", BigInteger),  # since when third parties' text is in it
    Column("turns", Integer, nullable=False, server_default="0"),  # how often the customer spoke in it
    Column("said", Integer, nullable=False, server_default="0"),  # how many messages, whether or not they are kept
)

WORDS = Table(
    "words",
    METADATA,
    Column("conversation", String(40), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("origin", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("turn", Integer, nullable=False, server_default="0"),
    Column("reading", Text),  # of what was typed, as it was read when it was heard
    Index("words_by_turn", "conversation", "turn", "position"),
    Index("words_by_age", "at_us"),
)

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
    Column("confirmation", String(40)),
    Column("standing_mandate", String(40)),  # under which it was paid without the customer's confirmation
    UniqueConstraint("conversation", "turn", "native_id"),
    CheckConstraint("state in ('pending', 'unknown', 'posted', 'voided')", name="known_state"),
    CheckConstraint("(currency is null) = (minor is null)", name="whole_amount"),
    Index("calls_by_window", "customer", "currency", "created_us", "state", "minor", "standing_mandate"),
    Index("calls_by_state", "state", "created_us"),
)

SPENT = Table(
    "spent",  # what `calls` of an hour sum to, without those that were voided
    METADATA,
    Column("customer", String(64), primary_key=True),
    Column("currency", String(3), primary_key=True),
    Column("hour", BigInteger, primary_key=True, autoincrement=False),  # since 1970
    Column("standing_mandate", String(40), primary_key=True),  # empty: the customer confirmed
    Column("minor", BigInteger, nullable=False),
    Column("payments", BigInteger, nullable=False),
    Index("spent_by_hour", "hour"),
)

PROOFS = Table(
    "proofs",
    METADATA,
    Column("jti_hash", LargeBinary(32), primary_key=True),
    Column("thumbprint", String(64), primary_key=True),
    Column("expires_s", BigInteger, nullable=False),
    Index("proofs_by_expiry", "expires_s"),
)

RATES = Table(
    "rates",  # what each process took of token buckets, told to the others
    METADATA,
    Column("bucket", LargeBinary(32), primary_key=True),  # its kind, and of the SHA-256 of its name all but a byte
    Column("process", String(32), primary_key=True),
    Column("taken", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index("rates_by_time", "at_us"),
)

# What untrusted text an agent has read, and what the customer's words were used for.

TAINTS = Table(
    "taints",
    METADATA,
    Column("customer", String(64), primary_key=True),
    Column("agent", String(256), primary_key=True),
    Column("since_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),
    Index("taints_by_age", "last_us"),
)

READINGS = Table(
    "readings",
    METADATA,
    Column("call_id", String(40), primary_key=True),
    Column("conversation", String(40), nullable=False),
    Column("document", Text),  # the name by which the customer pointed at it; null for the bank's own figures
    Column("text", Text, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Index("readings_by_conversation", "conversation", "at_us"),
    Index("readings_by_age", "at_us"),
)

USES = Table(
    "uses",
    METADATA,
    Column("call_id", String(40), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("conversation", String(40), nullable=False),
    Column("value", String(128), nullable=False),
    Column("turn", Integer, nullable=False),
    Index("uses_by_conversation", "conversation", "turn"),
)

# What waits for the customer, and with what they confirm.

CONFIRMATIONS = Table(
    "confirmations",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("customer", String(64), nullable=False),
    Column("agent", String(256)),
    Column("conversation", String(40)),
    Column("turn", String(128)),
    Column("intent", LargeBinary, nullable=False),  # RFC 8785: exactly what is confirmed
    Column("principal", LargeBinary, nullable=False),
    Column("level", Integer, nullable=False),
    Column("moves_money", Boolean, nullable=False),
    Column("repeat_key", LargeBinary(32), nullable=False),
    Column("state", String(10), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("opened_us", BigInteger),
    Column("evidence", LargeBinary),
    Column("approver", String(64)),
    Column("approval", LargeBinary),
    Column("ended_us", BigInteger),
    CheckConstraint("state in ('open', 'confirmed', 'approved', 'declined', 'expired')", name="known_confirmation_state"),
    Index("confirmations_by_customer", "customer", "state", "created_us"),
    Index("confirmations_by_conversation", "conversation", "state", "expires_us"),
    Index("confirmations_by_age", "expires_us"),
)

APPROVERS = Table(
    "approvers",
    METADATA,
    Column("approver", String(64), primary_key=True),
    Column("expires_us", BigInteger, primary_key=True, autoincrement=False),
    Column("confirmation", String(40), primary_key=True),
    Index("approvers_by_age", "expires_us"),
)

PROPOSED_CALLS = Table(
    "proposed_calls",
    METADATA,
    Column("call_id", String(40), primary_key=True),
    Column("confirmation", String(40), nullable=False),
    Column("position", Integer, nullable=False),
    Column("native_id", String(128), nullable=False),
    Column("turn", String(128), nullable=False),
    Column("function", String(64), nullable=False),
    Column("arguments", LargeBinary, nullable=False),  # canonical, identifiers resolved
    Column("arguments_hash", LargeBinary(32), nullable=False),
    Column("sources", LargeBinary, nullable=False),
    Column("claimed", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("confirmation", "position"),
    Index("proposed_calls_by_native", "turn", "native_id"),
)

PASSKEYS = Table(
    "passkeys",
    METADATA,
    Column("credential", String(1400), primary_key=True),  # base64url
    Column("customer", String(64), nullable=False),
    Column("public_key", LargeBinary, nullable=False),  # COSE_Key
    Column("sign_count", BigInteger, nullable=False),
    Column("active_us", BigInteger, nullable=False),  # after the cooling-off
    Column("revoked_us", BigInteger),
    Index("passkeys_by_customer", "customer"),
)

STANDING_MANDATES = Table(
    "standing_mandates",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("customer", String(64), nullable=False),
    Column("terms", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("revoked_us", BigInteger),
    Index("standing_mandates_by_customer", "customer", "revoked_us"),
)

# What stops everything, something, or somebody.

KILL_SWITCHES = Table(
    "kill_switches",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("scope", String(10), nullable=False),
    Column("subject", String(256), nullable=False),
    Column("reason", Text, nullable=False),
    Column("engaged_by", String(256), nullable=False),
    Column("engaged_us", BigInteger, nullable=False),
    Column("first_lift_by", String(256)),
    Column("first_lift_us", BigInteger),
    Column("lifted_by", String(256)),
    Column("lifted_us", BigInteger),
    CheckConstraint("scope in ('global', 'customer', 'agent', 'client', 'function')", name="known_scope"),
    CheckConstraint(
        "lifted_us is null or (first_lift_by is not null and lifted_by is not null and lifted_by <> first_lift_by)", name="two_lift"
    ),
    Index("kill_switches_engaged", "lifted_us", "scope"),
)

POLICY_ACTIVATIONS = Table(
    "policy_activations",  # one row for each, never changed: the version is the bundle's own, and the greatest is in force
    METADATA,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("bundle", String(64), nullable=False, unique=True),  # SHA-256 of `body`, in hexadecimal
    Column("body", LargeBinary, nullable=False),
    Column("author", String(64), nullable=False),
    Column("author_signature", LargeBinary(64), nullable=False),
    Column("activator", String(64), nullable=False),
    Column("activator_signature", LargeBinary(64), nullable=False),
    Column("activated_us", BigInteger, nullable=False),
    CheckConstraint("author <> activator", name="two_sign"),
)

EPOCHS = Table(
    "epochs",
    METADATA,
    Column("name", String(16), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""`kill`: grows with each change of a kill switch, so that every call sees with one number whether it has to look again. `policy` is locked
while a bundle is activated."""

LOG_POSITION = Table(
    "log_position",  # how far the log was when this database was last written: `gateway.store.log_position`
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
)

WEBHOOKS = Table(
    "webhooks",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("call_id", String(40), nullable=False, unique=True),
    Column("body", LargeBinary, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_us", BigInteger, nullable=False),
    Column("delivered_us", BigInteger),
    Index("webhooks_due", "delivered_us", "next_us"),
)

ASSISTANTS = Table(
    "assistants",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("owner", String(256), nullable=False),  # the client whose token made it
    Column("created_us", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON: what the API calls it, but for what has a column
    Column("metadata", Text, nullable=False),
    Column("customer", String(64)),  # who made it by that client; none: the client itself
    Index("assistants_by_owner", "owner", "customer", "created_us", "id"),
)

THREADS = Table(
    "threads",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("customer", String(64), nullable=False),
    Column("conversation", String(40), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),  # of the newest of its messages, runs and steps: their order is total
    Column("metadata", Text, nullable=False),
    Column("resources", Text),  # JSON: what its tools may use
    Index("threads_by_conversation", "conversation"),
    Index("threads_by_age", "last_us"),
)

MESSAGES = Table(
    "messages",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("thread", String(64), nullable=False),
    Column("run", String(64)),  # which wrote it
    Column("created_us", BigInteger, nullable=False),
    Column("word", Integer),  # its position among the customer's words, where it is the customer's own
    Column("body", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Index("messages_by_thread", "thread", "created_us", unique=True),
)

RUN_IS_ACTIVE = text("state in ('queued', 'in_progress', 'requires_action', 'cancelling')")
"""Said with literals by whoever asks, too: an index of a part of the rows is used for what names that part word by word."""

RUNS = Table(
    "runs",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("thread", String(64), nullable=False),
    Column("customer", String(64), nullable=False),
    Column("assistant", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Column("due_us", BigInteger),  # when a worker must look at it: while one has it, when its lease is over
    Column("lease", String(32)),  # of the worker that has it
    Column("principal", LargeBinary, nullable=False),  # for whom it calls, sealed; empty once it has ended
    Column("body", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Index("runs_by_thread", "thread", "created_us", unique=True),
    Index("runs_active", "thread", unique=True, sqlite_where=RUN_IS_ACTIVE, postgresql_where=RUN_IS_ACTIVE),
    Index("runs_of_customer", "customer", sqlite_where=RUN_IS_ACTIVE, postgresql_where=RUN_IS_ACTIVE),
    Index("runs_due", "due_us"),
)

RUN_STEPS = Table(
    "run_steps",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("thread", String(64), nullable=False),
    Column("run", String(64), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Index("run_steps_by_thread", "thread", "created_us", unique=True),
    Index("run_steps_by_run", "run", "created_us"),
)

RUN_WAITS = Table(
    "run_waits",
    METADATA,
    Column("confirmation", String(40), primary_key=True),
    Column("run", String(64), primary_key=True),
    Index("run_waits_by_run", "run"),
)

RESPONSES = Table(
    "responses",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("thread", String(64), nullable=False),
    Column("run", String(64), nullable=False),
    Column("customer", String(64), nullable=False),
    Column("created_us", BigInteger, nullable=False),  # in the order of its thread: what the run did later is its output
    Column("body", Text, nullable=False),
    Index("responses_by_thread", "thread", "created_us"),
)

enforce(CALLS, CALL_TRANSITIONS)
enforce(CONFIRMATIONS, CONFIRMATION_TRANSITIONS)
enforce(RUNS, RUN_TRANSITIONS)
