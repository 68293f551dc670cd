"""Under which standing mandate each automatic payment went: the bounds of a mandate are counted by mandate, whoever acts."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_UNDER_WHICH = """
    update calls set standing_mandate = (
        select id from standing_mandates
        where standing_mandates.customer = calls.customer and standing_mandates.created_us <= calls.created_us
        order by standing_mandates.created_us limit 1
    ) where automatic
"""
"""What was paid before says only that some mandate covered it: it counts against the customer's first. Exact with one mandate."""


def upgrade() -> None:
    op.add_column("calls", sa.Column("standing_mandate", sa.String(length=40), nullable=True))
    op.execute(_UNDER_WHICH)
    op.drop_index("calls_by_window", table_name="calls")
    op.drop_column("calls", "automatic")
    op.create_index(
        "calls_by_window", "calls", ["customer", "currency", "created_us", "state", "minor", "standing_mandate"], unique=False
    )


def downgrade() -> None:
    """Not offered: what was recorded is never dropped by a command."""
    raise NotImplementedError
