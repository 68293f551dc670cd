"""Tables of the log and of the key store, which is a database of its own.

Only `leaves.leaf` and `sealed.blob` are evidence; every other column is derived from them or checked against the signed head.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Index, Integer, LargeBinary, MetaData, Table, Text

log_tables = MetaData()

_Time = Text().with_variant(Text(collation="C"), "postgresql")
"""RFC 3339 to the microsecond in UTC: its order as bytes is its order in time, whatever the server's language."""


def _where(condition: ColumnElement[bool]) -> dict[str, Any]:
    return {"sqlite_where": condition, "postgresql_where": condition}


leaves = Table(
    "leaves",
    log_tables,
    Column("idx", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    # What follows repeats fields of the leaf, so that auditors can search; `audit.store.reads` proves that it does.
    Column("time", _Time, nullable=False),
    Column("kind", Text, nullable=False),
    Column("customer", Text),
    Column("customer_seq", BigInteger),
    Column("call", Text),
    Column("conversation", Text),
    Column("conversation_seq", BigInteger),
    Column("trace", Text),
    Column("function", Text),
    Column("decision", Text),
    Column("policies", Text),
    Column("bundle", Text),
    Column("end_state", Text),
    Column("approver", Text),
    Column("about", Text),
)
Index("leaves_customer", leaves.c.customer, leaves.c.customer_seq, unique=True, **_where(leaves.c.customer.is_not(None)))
Index("leaves_call", leaves.c.call, **_where(leaves.c.call.is_not(None)))
Index(
    "leaves_conversation",
    leaves.c.conversation,
    leaves.c.conversation_seq,
    unique=True,
    **_where(leaves.c.conversation.is_not(None)),
)

sealed = Table(
    "sealed",
    log_tables,
    Column("idx", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("blob", LargeBinary, nullable=False),
)

intents = Table(
    "intents",
    log_tables,
    Column("idx", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False),
    Column("call", Text, nullable=False),
    Column("time", Text, nullable=False),
    Column("end_state", Text),
)
Index("intents_open", intents.c.idx, **_where(intents.c.end_state.is_(None) | (intents.c.end_state == "outcome_unknown")))

tiles = Table(
    "tiles",
    log_tables,
    Column("level", Integer, primary_key=True),
    Column("idx", BigInteger, primary_key=True),
    Column("root", LargeBinary(32), nullable=False),
    Column("hashes", LargeBinary, nullable=False),
)

head = Table(
    "head",
    log_tables,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("peaks", LargeBinary, nullable=False),
    # A signature over a head that was committed: of the transaction before, so that nothing is signed that may be rolled back.
    Column("note", Text, nullable=False),
    Column("origin", Text),
    # Over origin, size and root, by a key of this installation: nobody else can make a head, and nobody can show it as evidence.
    Column("mac", LargeBinary),
)

checkpoints = Table(
    "checkpoints",
    log_tables,
    Column("id", Integer, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("peaks", LargeBinary, nullable=False),
    Column("time_s", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
)
Index("checkpoints_size", checkpoints.c.size)

cosignatures = Table(
    "cosignatures",
    log_tables,
    Column("id", Integer, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("name", Text, nullable=False),
    Column("time_s", BigInteger, nullable=False),
    Column("line", Text, nullable=False),
)
"""What witnesses cosigned, the newest of it: signature lines that stand behind those of a checkpoint of this size and root."""
Index("cosignatures_size", cosignatures.c.size)
Index("cosignatures_name", cosignatures.c.name, cosignatures.c.size)

timestamps = Table(
    "timestamps",
    log_tables,
    # The row of `checkpoints` whose note was stamped.
    Column("checkpoint", Integer, primary_key=True, autoincrement=False),
    Column("authority", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("time_s", BigInteger, nullable=False),
    Column("token", LargeBinary, nullable=False),
)
"""RFC 3161 tokens over published checkpoints, with the moment that each states, in seconds since 1970."""
Index("timestamps_authority", timestamps.c.authority, timestamps.c.checkpoint)
Index("timestamps_size", timestamps.c.size)

verification = Table(
    "verification",
    log_tables,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("until_s", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("mac", LargeBinary, nullable=False),
)
"""One row: which process verifies, until when (seconds since 1970), how far it is, and a code over that by a key of this installation."""

terms = Table(
    "terms",
    log_tables,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
)
"""What auditors search by: `function` and its name, `policy` and an id. `audit.store.auditors_index` fills this and what follows."""
Index("terms_name_value", terms.c.name, terms.c.value, unique=True)

postings = Table(
    "postings",
    log_tables,
    Column("term", BigInteger, primary_key=True),
    Column("idx", BigInteger, primary_key=True),
    sqlite_with_rowid=False,
)

time_blocks = Table(
    "time_blocks",
    log_tables,
    Column("block", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("earliest", _Time, nullable=False),
    Column("latest", _Time, nullable=False),
)
Index("time_blocks_latest", time_blocks.c.latest, time_blocks.c.block)

outcomes = Table(
    "outcomes",
    log_tables,
    Column("call", Text, primary_key=True),
    # The record that says it.
    Column("idx", BigInteger, primary_key=True),
    # The record that a question finds: the same, or the last of the call before it that names a function.
    Column("shown", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    # The record that said otherwise; null while this holds.
    Column("until", BigInteger),
)
"""How each call stood from which record on, so that a question finds how it stands in a tree of any size."""
Index("outcomes_now", outcomes.c.outcome, outcomes.c.shown, **_where(outcomes.c.until.is_(None)))
Index("outcomes_then", outcomes.c.outcome, outcomes.c.until, **_where(outcomes.c.until.is_not(None)))
Index("outcomes_shown", outcomes.c.shown)
Index("outcomes_idx", outcomes.c.idx)

index_cursor = Table(
    "index_cursor",
    log_tables,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("upto", BigInteger, nullable=False),
)

streams = Table(
    "streams",
    log_tables,
    Column("name", Text, primary_key=True),
    # The index of the first record that its receiver has not acknowledged.
    Column("upto", BigInteger, nullable=False),
    Column("begun_at", BigInteger, nullable=False),
    Column("acknowledged_ms", BigInteger),
    # Who may send, and until when; whoever takes it over afterwards sends from `upto` on.
    Column("holder", Text),
    Column("held_until_ms", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),
    # Not tried before; with the cause of the last failure, in a word of ours.
    Column("again_ms", BigInteger, nullable=False),
    Column("error", Text),
    Column("failed_ms", BigInteger),
    # So few records of a batch, while the one that the receiver refuses is looked for.
    Column("narrowed", Integer),
)
"""How far each stream of the trail to others got. Times in milliseconds since 1970."""

policy_bundles = Table(
    "policy_bundles",
    log_tables,
    Column("hash", Text, primary_key=True),
    Column("body", LargeBinary, nullable=False),
)
"""The canonical bytes of each bundle of rules that was activated, by their SHA-256 in hexadecimal."""

key_tables = MetaData()

subjects = Table(
    "subjects",
    key_tables,
    Column("customer", Text, primary_key=True),
    Column("subject", Text, nullable=False, unique=True),
)

data_keys = Table(
    "data_keys",
    key_tables,
    Column("subject", Text, primary_key=True),
    Column("retention", Text, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created", Text, nullable=False),
)

destructions = Table(
    "destructions",
    key_tables,
    Column("subject", Text, primary_key=True),
    Column("retention", Text, primary_key=True),
    # Records below this index were sealed under the destroyed key; a later one may have a new key.
    Column("below", BigInteger, nullable=False),
    Column("time", Text, nullable=False),
)

schedules = Table(
    "schedules",
    key_tables,
    Column("subject", Text, primary_key=True),
    Column("retention", Text, primary_key=True),
    # RFC 3339: when the legal minimum of the class is over, as far as was known when the person was erased.
    Column("due", Text, nullable=False),
)

log_position = Table(
    "log_position",
    key_tables,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # Of the newest checkpoint that was about to be published: at least what the log has published, at most what it has.
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
)
