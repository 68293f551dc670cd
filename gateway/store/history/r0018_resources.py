"""What the tools of a thread may use, and which vector store was made for which thread."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("threads", sa.Column("resources", sa.Text(), nullable=True))
    op.add_column("vector_stores", sa.Column("thread", sa.String(length=64), nullable=True))
    op.create_index("vector_stores_by_thread", "vector_stores", ["thread", "id"])


def downgrade() -> None:
    """Not offered: what was recorded is never dropped by a command."""
    raise NotImplementedError
