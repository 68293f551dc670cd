"""Vector stores: their files, what is to be indexed, and the index."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "vector_stores",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=256), nullable=False),
        sa.Column("customer", sa.String(length=64), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("lasts_days", sa.Integer(), nullable=True),
        sa.Column("active_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=True),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("vector_stores_by_owner", "vector_stores", ["owner", "customer", "created_us", "id"])
    op.create_index("vector_stores_by_age", "vector_stores", ["expires_us"])
    op.create_table(
        "vector_batches",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("cancelled_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("vector_batches_by_store", "vector_batches", ["store"])
    op.create_table(
        "vector_files",
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("owner", sa.String(length=256), nullable=False),
        sa.Column("customer", sa.String(length=64), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("batch", sa.String(length=64), nullable=True),
        sa.Column("entry", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("error", sa.String(length=32), nullable=True),
        sa.Column("error_text", sa.Text(), nullable=True),
        sa.Column("attributes", sa.Text(), nullable=False),
        sa.Column("chunk_tokens", sa.Integer(), nullable=False),
        sa.Column("overlap_tokens", sa.Integer(), nullable=False),
        sa.Column("usage_bytes", sa.BigInteger(), nullable=False),
        sa.Column("chunks", sa.Integer(), nullable=False),
        sa.Column("turn_us", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("lease", sa.String(length=32), nullable=True),
        sa.Column("due_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("store", "id"),
    )
    op.create_index("vector_files_by_store", "vector_files", ["store", "created_us", "id"])
    op.create_index("vector_files_by_owner", "vector_files", ["owner", "customer"])
    op.create_index("vector_files_by_file", "vector_files", ["id"])
    op.create_index("vector_files_by_entry", "vector_files", ["store", "entry"])
    op.create_index("vector_files_by_batch", "vector_files", ["batch"])
    op.create_index("vector_files_due", "vector_files", ["due_us"])
    op.create_table(
        "vector_attributes",
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("file", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("number", sa.Float(precision=53), nullable=True),
        sa.Column("truth", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("store", "file", "key"),
    )
    op.create_table(
        "vector_chunks",
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first", sa.Integer(), nullable=False),
        sa.Column("behind", sa.Integer(), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("store", "entry", "number"),
    )
    op.create_table(
        "vector_words",
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("word", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("places", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("store", "word", "entry"),
    )
    op.create_index("vector_words_by_entry", "vector_words", ["store", "entry"])
    op.create_table(
        "vector_left",
        sa.Column("store", sa.String(length=64), nullable=False),
        sa.Column("entry", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.String(length=256), nullable=False),
        sa.Column("customer", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("store", "entry"),
    )


def downgrade() -> None:
    """Not offered: what was recorded is never dropped by a command."""
    raise NotImplementedError
