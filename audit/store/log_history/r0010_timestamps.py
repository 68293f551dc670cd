"""Time stamps (RFC 3161) stand beside the checkpoints that they are over; they are never changed."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "timestamps",
        sa.Column("checkpoint", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("authority", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("time_s", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("checkpoint", "authority"),
    )
    op.create_index("timestamps_authority", "timestamps", ["authority", "checkpoint"])
    op.create_index("timestamps_size", "timestamps", ["size"])


def downgrade() -> None:
    """What was recorded is never dropped by a command."""
    raise NotImplementedError
