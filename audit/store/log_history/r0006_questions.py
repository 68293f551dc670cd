"""How each call stands, and more that auditors ask by: agents, people, reasons, cases, confirmations."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "outcomes",
        sa.Column("call", sa.Text(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.Column("shown", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("call", "idx"),
    )
    holds, held = sa.text("until IS NULL"), sa.text("until IS NOT NULL")
    op.create_index("outcomes_now", "outcomes", ["outcome", "shown"], sqlite_where=holds, postgresql_where=holds)
    op.create_index("outcomes_then", "outcomes", ["outcome", "until"], sqlite_where=held, postgresql_where=held)
    op.create_index("outcomes_shown", "outcomes", ["shown"])
    op.create_index("outcomes_idx", "outcomes", ["idx"])
    # derived: made again from the leaves, by the new terms
    for derived in ("postings", "terms", "time_blocks", "index_cursor"):
        op.get_bind().execute(sa.delete(sa.table(derived)))


def downgrade() -> None:
    """What was recorded is never dropped by a command."""
    raise NotImplementedError
