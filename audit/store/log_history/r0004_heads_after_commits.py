"""Heads are signed after their commit, and each log has an origin of its own. An older log keeps the one that it signed with."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("head", sa.Column("origin", sa.Text(), nullable=True))
    op.add_column("head", sa.Column("mac", sa.LargeBinary(), nullable=True))
    head = sa.table("head", sa.column("id", sa.Integer()), sa.column("note", sa.Text()), sa.column("origin", sa.Text()))
    connection = op.get_bind()
    for row in connection.execute(sa.select(head.c.id, head.c.note)).all():
        connection.execute(sa.update(head).where(head.c.id == row.id).values(origin=row.note.split("\n")[0]))


def downgrade() -> None:
    """What was recorded is never dropped by a command."""
    raise NotImplementedError
