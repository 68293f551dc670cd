"""Looks are found by whom they were about, so that one person's are not buried under those at others."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("leaves", sa.Column("about", sa.Text(), nullable=True))
    leaves = sa.table("leaves", sa.column("idx"), sa.column("leaf"), sa.column("kind"), sa.column("about"))
    connection = op.get_bind()
    looks = leaves.c.kind.in_(("audit.query", "audit.reveal", "audit.export"))
    for row in connection.execute(sa.select(leaves.c.idx, leaves.c.leaf).where(looks)).all():
        about = json.loads(row.leaf).get("facts", {}).get("by_customer")
        if about is not None:
            connection.execute(sa.update(leaves).where(leaves.c.idx == row.idx).values(about=about))
    # derived: made again from the leaves, with whom they were about
    for derived in ("postings", "terms", "time_blocks", "index_cursor"):
        connection.execute(sa.delete(sa.table(derived)))


def downgrade() -> None:
    """What was recorded is never dropped by a command."""
    raise NotImplementedError
