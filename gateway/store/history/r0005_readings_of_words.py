"""How each of the customer's words was read when it was heard, beside it."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Words of before have none, and are read when they are needed."""
    op.add_column("words", sa.Column("reading", sa.Text(), nullable=True))


def downgrade() -> None:
    """Not offered: what was recorded is never dropped by a command."""
    raise NotImplementedError
