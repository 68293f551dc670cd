"""The first tables of the gateway database."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("call_id", sa.String(length=40), nullable=False),
        sa.Column("customer", sa.String(length=64), nullable=False),
        sa.Column("conversation", sa.String(length=40), nullable=False),
        sa.Column("turn", sa.String(length=128), nullable=False),
        sa.Column("native_id", sa.String(length=128), nullable=False),
        sa.Column("function", sa.String(length=64), nullable=False),
        sa.Column("arguments_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("agent", sa.String(length=256), nullable=True),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column("core_key", sa.String(length=40), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("settled_us", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=True),
        sa.Column("minor", sa.BigInteger(), nullable=True),
        sa.Column("payee", sa.String(length=64), nullable=True),
        sa.CheckConstraint("state in ('pending', 'unknown', 'posted', 'voided')", name="known_state"),
        sa.CheckConstraint("(currency is null) = (minor is null)", name="whole_amount"),
        sa.PrimaryKeyConstraint("call_id"),
        sa.UniqueConstraint("conversation", "turn", "native_id"),
        sa.UniqueConstraint("core_key"),
    )
    op.create_index("calls_by_state", "calls", ["state", "created_us"], unique=False)
    op.create_index("calls_by_window", "calls", ["customer", "currency", "created_us", "state", "minor"], unique=False)
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("customer", sa.String(length=64), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("tainted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "customers",
        sa.Column("customer", sa.String(length=64), nullable=False),
        sa.Column("mandate_version", sa.Integer(), nullable=False),
        sa.Column("mandate", sa.LargeBinary(), nullable=False),
        sa.Column("mandate_signature", sa.LargeBinary(), nullable=False),
        sa.Column("frozen", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("customer"),
    )
    op.create_table(
        "proofs",
        sa.Column("jti_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("thumbprint", sa.String(length=64), nullable=False),
        sa.Column("expires_s", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("jti_hash", "thumbprint"),
    )
    op.create_index("proofs_by_expiry", "proofs", ["expires_s"], unique=False)
    op.create_table(
        "words",
        sa.Column("conversation", sa.String(length=40), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("conversation", "position"),
    )


def downgrade() -> None:
    """There is nothing before the first revision: what was recorded is never dropped by a command."""
    raise NotImplementedError
