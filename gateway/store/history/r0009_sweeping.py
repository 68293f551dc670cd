"""What is deleted by its age is found by it."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("words_by_age", "words", ["at_us"], unique=False)
    op.create_index("readings_by_age", "readings", ["at_us"], unique=False)
    op.create_index("taints_by_age", "taints", ["last_us"], unique=False)
    op.create_index("confirmations_by_age", "confirmations", ["expires_us"], unique=False)
    op.create_index("approvers_by_age", "approvers", ["expires_us"], unique=False)
    op.create_index("threads_by_conversation", "threads", ["conversation"], unique=False)


def downgrade() -> None:
    """Not offered: what was recorded is never dropped by a command."""
    raise NotImplementedError
