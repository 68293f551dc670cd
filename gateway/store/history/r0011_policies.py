"""Bundles of rules that were activated, each with the signatures of two officers."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policy_activations",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("bundle", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("author", sa.String(length=64), nullable=False),
        sa.Column("author_signature", sa.LargeBinary(length=64), nullable=False),
        sa.Column("activator", sa.String(length=64), nullable=False),
        sa.Column("activator_signature", sa.LargeBinary(length=64), nullable=False),
        sa.Column("activated_us", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("author <> activator", name="two_sign"),
        sa.PrimaryKeyConstraint("version"),
        sa.UniqueConstraint("bundle"),
    )


def downgrade() -> None:
    """Not offered: what was recorded is never dropped by a command."""
    raise NotImplementedError
