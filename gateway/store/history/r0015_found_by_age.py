"""What is deleted by its age, or with what it waits for, is found by it: old threads, and the waits of a run."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("threads_by_age", "threads", ["last_us"], unique=False)
    op.create_index("run_waits_by_run", "run_waits", ["run"], unique=False)


def downgrade() -> None:
    """Not offered: what was recorded is never dropped by a command."""
    raise NotImplementedError
