"""What witnesses cosigned stands beside the checkpoints, the newest of it."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cosignatures",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("time_s", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("cosignatures_size", "cosignatures", ["size"])
    op.create_index("cosignatures_name", "cosignatures", ["name", "size"])


def downgrade() -> None:
    """What was recorded is never dropped by a command."""
    raise NotImplementedError
