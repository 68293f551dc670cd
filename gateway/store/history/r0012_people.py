"""Sessions of the bank's people, and what one of them asks and another approves."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "staff_sessions",
        sa.Column("id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("roles", sa.String(length=64), nullable=False),
        sa.Column("strong", sa.Boolean(), nullable=False),
        sa.Column("authenticated_s", sa.BigInteger(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("staff_sessions_by_subject", "staff_sessions", ["subject", "created_us"])
    op.create_index("staff_sessions_by_expiry", "staff_sessions", ["expires_us"])
    op.create_table(
        "staff_approvals",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("duty", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("customer", sa.String(length=64), nullable=True),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("approved_by", sa.String(length=64), nullable=True),
        sa.Column("approved_us", sa.BigInteger(), nullable=True),
        sa.Column("used_us", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("approved_by <> asked_by", name="two_people"),
        sa.CheckConstraint("(approved_by is null) = (approved_us is null)", name="whole_approval"),
        sa.CheckConstraint("used_us is null or approved_us is not null", name="used_once_approved"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("staff_approvals_by_expiry", "staff_approvals", ["expires_us"])


def downgrade() -> None:
    """Not offered: what was recorded is never dropped by a command."""
    raise NotImplementedError
