"""The first tables of the log database."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "checkpoints",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("peaks", sa.LargeBinary(), nullable=False),
        sa.Column("time_s", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("checkpoints_size", "checkpoints", ["size"], unique=False)
    op.create_table(
        "head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("peaks", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "intents",
        sa.Column("idx", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("time", sa.Text(), nullable=False),
        sa.Column("end_state", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("idx"),
    )
    op.create_index(
        "intents_open",
        "intents",
        ["idx"],
        unique=False,
        sqlite_where=sa.text("end_state IS NULL OR end_state = 'outcome_unknown'"),
        postgresql_where=sa.text("end_state IS NULL OR end_state = 'outcome_unknown'"),
    )
    op.create_table(
        "leaves",
        sa.Column("idx", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("time", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("customer", sa.Text(), nullable=True),
        sa.Column("customer_seq", sa.BigInteger(), nullable=True),
        sa.Column("call", sa.Text(), nullable=True),
        sa.Column("conversation", sa.Text(), nullable=True),
        sa.Column("conversation_seq", sa.BigInteger(), nullable=True),
        sa.Column("trace", sa.Text(), nullable=True),
        sa.Column("function", sa.Text(), nullable=True),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("policies", sa.Text(), nullable=True),
        sa.Column("bundle", sa.Text(), nullable=True),
        sa.Column("end_state", sa.Text(), nullable=True),
        sa.Column("approver", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("idx"),
    )
    op.create_index(
        "leaves_call",
        "leaves",
        ["call"],
        unique=False,
        sqlite_where=sa.text("call IS NOT NULL"),
        postgresql_where=sa.text("call IS NOT NULL"),
    )
    op.create_index(
        "leaves_conversation",
        "leaves",
        ["conversation", "conversation_seq"],
        unique=True,
        sqlite_where=sa.text("conversation IS NOT NULL"),
        postgresql_where=sa.text("conversation IS NOT NULL"),
    )
    op.create_index(
        "leaves_customer",
        "leaves",
        ["customer", "customer_seq"],
        unique=True,
        sqlite_where=sa.text("customer IS NOT NULL"),
        postgresql_where=sa.text("customer IS NOT NULL"),
    )
    op.create_index("leaves_time", "leaves", ["time"], unique=False)
    op.create_index(
        "leaves_trace",
        "leaves",
        ["trace"],
        unique=False,
        sqlite_where=sa.text("trace IS NOT NULL"),
        postgresql_where=sa.text("trace IS NOT NULL"),
    )
    op.create_table(
        "sealed",
        sa.Column("idx", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("idx"),
    )
    op.create_table(
        "tiles",
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "idx"),
    )


def downgrade() -> None:
    """There is nothing before the first revision: what was recorded is never dropped by a command."""
    raise NotImplementedError
