"""What is to be destroyed once its legal minimum has passed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("retention", sa.Text(), nullable=False),
        sa.Column("due", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("subject", "retention"),
    )


def downgrade() -> None:
    """What is to be destroyed is never forgotten by a command."""
    raise NotImplementedError
