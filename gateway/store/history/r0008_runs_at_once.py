"""How many runs of a customer are under way is counted by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_IS_ACTIVE = sa.text("state in ('queued', 'in_progress', 'requires_action', 'cancelling')")


def upgrade() -> None:
    op.create_index("runs_of_customer", "runs", ["customer"], unique=False, sqlite_where=_IS_ACTIVE, postgresql_where=_IS_ACTIVE)


def downgrade() -> None:
    """Not offered: what was recorded is never dropped by a command."""
    raise NotImplementedError
