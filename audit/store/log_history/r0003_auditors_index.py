"""What auditors alone search by leaves the append's transaction: terms and times in an index that follows the leaves."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TIME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.drop_index("leaves_time", "leaves")
    op.drop_index("leaves_trace", "leaves")
    op.create_table(
        "terms",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("terms_name_value", "terms", ["name", "value"], unique=True)
    op.create_table(
        "postings",
        sa.Column("term", sa.BigInteger(), nullable=False),
        sa.Column("idx", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("term", "idx"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "time_blocks",
        sa.Column("block", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("earliest", _TIME, nullable=False),
        sa.Column("latest", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("block"),
    )
    op.create_index("time_blocks_latest", "time_blocks", ["latest", "block"], unique=False)
    op.create_table(
        "index_cursor",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("upto", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    """What was recorded is never dropped by a command."""
    raise NotImplementedError
