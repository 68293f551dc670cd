"""A kill switch over a client; assistants that a customer made."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The assistants of before are their clients'."""
    with op.batch_alter_table("kill_switches") as table:  # SQLite changes no check of a table that stands
        table.drop_constraint("known_scope", type_="check")
        table.create_check_constraint("known_scope", "scope in ('global', 'customer', 'agent', 'client', 'function')")
    op.add_column("assistants", sa.Column("customer", sa.String(length=64), nullable=True))
    op.drop_index("assistants_by_owner", table_name="assistants")
    op.create_index("assistants_by_owner", "assistants", ["owner", "customer", "created_us", "id"], unique=False)


def downgrade() -> None:
    """Not offered: what was recorded is never dropped by a command."""
    raise NotImplementedError
