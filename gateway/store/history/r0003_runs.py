"""What assistants, threads and runs keep."""

import sqlalchemy as sa
from alembic import op

from gateway.store.transitions import enforcing

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ACTIVE = sa.text("state in ('queued', 'in_progress', 'requires_action', 'cancelling')")
_RUNS = {
    "queued": ("in_progress", "cancelling", "cancelled", "failed", "expired"),
    "in_progress": ("requires_action", "cancelling", "completed", "incomplete", "failed", "expired"),
    "requires_action": ("queued", "cancelling", "cancelled", "failed", "expired"),
    "cancelling": ("cancelled", "failed"),
}


def upgrade() -> None:
    op.create_table(
        "assistants",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=256), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("assistants_by_owner", "assistants", ["owner", "created_us", "id"], unique=False)
    op.create_table(
        "threads",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("customer", sa.String(length=64), nullable=False),
        sa.Column("conversation", sa.String(length=40), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "messages",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("thread", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("word", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("messages_by_thread", "messages", ["thread", "created_us"], unique=True)
    op.create_table(
        "runs",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("thread", sa.String(length=64), nullable=False),
        sa.Column("customer", sa.String(length=64), nullable=False),
        sa.Column("assistant", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=True),
        sa.Column("lease", sa.String(length=32), nullable=True),
        sa.Column("principal", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("runs_by_thread", "runs", ["thread", "created_us"], unique=True)
    op.create_index("runs_active", "runs", ["thread"], unique=True, sqlite_where=_ACTIVE, postgresql_where=_ACTIVE)
    op.create_index("runs_due", "runs", ["due_us"], unique=False)
    op.create_table(
        "run_steps",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("thread", sa.String(length=64), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("run_steps_by_thread", "run_steps", ["thread", "created_us"], unique=True)
    op.create_index("run_steps_by_run", "run_steps", ["run", "created_us"], unique=False)
    op.create_table(
        "run_waits",
        sa.Column("confirmation", sa.String(length=40), nullable=False),
        sa.Column("run", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("confirmation", "run"),
    )
    for statement in enforcing("runs", _RUNS, op.get_bind().dialect.name):
        op.execute(statement)


def downgrade() -> None:
    """Not offered: what was recorded is never dropped by a command."""
    raise NotImplementedError
