"""What grounding, confirmations, standing mandates and kill switches keep."""

import sqlalchemy as sa
from alembic import op

from gateway.store.transitions import enforcing

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_CALLS = {"pending": ("posted", "voided", "unknown"), "unknown": ("posted", "voided")}
_CONFIRMATIONS = {"open": ("confirmed", "declined", "expired"), "confirmed": ("approved", "declined", "expired")}


def upgrade() -> None:
    op.create_table(
        "confirmations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("customer", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=256), nullable=True),
        sa.Column("conversation", sa.String(length=40), nullable=True),
        sa.Column("turn", sa.String(length=128), nullable=True),
        sa.Column("intent", sa.LargeBinary(), nullable=False),
        sa.Column("principal", sa.LargeBinary(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("moves_money", sa.Boolean(), nullable=False),
        sa.Column("repeat_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("opened_us", sa.BigInteger(), nullable=True),
        sa.Column("evidence", sa.LargeBinary(), nullable=True),
        sa.Column("approver", sa.String(length=64), nullable=True),
        sa.Column("approval", sa.LargeBinary(), nullable=True),
        sa.Column("ended_us", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("state in ('open', 'confirmed', 'approved', 'declined', 'expired')", name="known_confirmation_state"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("confirmations_by_customer", "confirmations", ["customer", "state", "created_us"], unique=False)
    op.create_table(
        "epochs",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "kill_switches",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("scope", sa.String(length=10), nullable=False),
        sa.Column("subject", sa.String(length=256), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("engaged_by", sa.String(length=256), nullable=False),
        sa.Column("engaged_us", sa.BigInteger(), nullable=False),
        sa.Column("first_lift_by", sa.String(length=256), nullable=True),
        sa.Column("first_lift_us", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.String(length=256), nullable=True),
        sa.Column("lifted_us", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("scope in ('global', 'customer', 'agent', 'function')", name="known_scope"),
        sa.CheckConstraint(
            "lifted_us is null or (first_lift_by is not null and lifted_by is not null and lifted_by <> first_lift_by)",
            name="two_lift",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("kill_switches_engaged", "kill_switches", ["lifted_us", "scope"], unique=False)
    op.create_table(
        "passkeys",
        sa.Column("credential", sa.String(length=1400), nullable=False),
        sa.Column("customer", sa.String(length=64), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("active_us", sa.BigInteger(), nullable=False),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("credential"),
    )
    op.create_index("passkeys_by_customer", "passkeys", ["customer"], unique=False)
    op.create_table(
        "proposed_calls",
        sa.Column("call_id", sa.String(length=40), nullable=False),
        sa.Column("confirmation", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("native_id", sa.String(length=128), nullable=False),
        sa.Column("turn", sa.String(length=128), nullable=False),
        sa.Column("function", sa.String(length=64), nullable=False),
        sa.Column("arguments", sa.LargeBinary(), nullable=False),
        sa.Column("arguments_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sources", sa.LargeBinary(), nullable=False),
        sa.Column("claimed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("call_id"),
        sa.UniqueConstraint("confirmation", "position"),
    )
    op.create_index("proposed_calls_by_native", "proposed_calls", ["turn", "native_id"], unique=False)
    op.create_table(
        "readings",
        sa.Column("call_id", sa.String(length=40), nullable=False),
        sa.Column("conversation", sa.String(length=40), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("call_id"),
    )
    op.create_index("readings_by_conversation", "readings", ["conversation", "at_us"], unique=False)
    op.create_table(
        "standing_mandates",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("customer", sa.String(length=64), nullable=False),
        sa.Column("terms", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("revoked_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("standing_mandates_by_customer", "standing_mandates", ["customer", "revoked_us"], unique=False)
    op.create_table(
        "taints",
        sa.Column("customer", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=256), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer", "agent"),
    )
    op.create_table(
        "uses",
        sa.Column("call_id", sa.String(length=40), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("conversation", sa.String(length=40), nullable=False),
        sa.Column("value", sa.String(length=128), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("call_id", "kind"),
    )
    op.create_index("uses_by_conversation", "uses", ["conversation"], unique=False)
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("call_id", sa.String(length=40), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_us", sa.BigInteger(), nullable=False),
        sa.Column("delivered_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("call_id"),
    )
    op.create_index("webhooks_due", "webhooks", ["delivered_us", "next_us"], unique=False)
    op.add_column("calls", sa.Column("automatic", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("calls", sa.Column("confirmation", sa.String(length=40), nullable=True))
    op.drop_index("calls_by_window", table_name="calls")
    op.create_index("calls_by_window", "calls", ["customer", "currency", "created_us", "state", "minor", "automatic"], unique=False)
    op.add_column("conversations", sa.Column("tainted_us", sa.BigInteger(), nullable=True))
    op.add_column("conversations", sa.Column("turns", sa.Integer(), server_default="0", nullable=False))
    op.execute("update conversations set tainted_us = created_us where tainted")
    op.drop_column("conversations", "tainted")
    op.add_column("words", sa.Column("turn", sa.Integer(), server_default="0", nullable=False))
    for table, transitions in (("calls", _CALLS), ("confirmations", _CONFIRMATIONS)):
        for statement in enforcing(table, transitions, op.get_bind().dialect.name):
            op.execute(statement)


def downgrade() -> None:
    """Not offered: what was recorded is never dropped by a command."""
    raise NotImplementedError
