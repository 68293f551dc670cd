"""What grows is found by an index or summed as it comes: payments by the hour, words by their turn, proposals by who may approve them."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_SPENT = """
    insert into spent (customer, currency, hour, standing_mandate, minor, payments)
    select customer, currency, created_us / 3600000000, coalesce(standing_mandate, ''), sum(minor), count(*)
    from calls where minor is not null and state != 'voided'
    group by customer, currency, created_us / 3600000000, coalesce(standing_mandate, '')
"""
_SAID = """
    update conversations set said = (
        select coalesce(max(position) + 1, 0) from words where words.conversation = conversations.id
    )
"""


def upgrade() -> None:
    """Who may approve what waits already is found by its id alone: to list it, the core would have to be asked."""
    op.create_table(
        "spent",
        sa.Column("customer", sa.String(length=64), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("standing_mandate", sa.String(length=40), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("payments", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("customer", "currency", "hour", "standing_mandate"),
    )
    op.create_index("spent_by_hour", "spent", ["hour"], unique=False)
    op.execute(_SPENT)
    op.add_column("conversations", sa.Column("said", sa.Integer(), server_default="0", nullable=False))
    op.execute(_SAID)
    op.create_index("words_by_turn", "words", ["conversation", "turn", "position"], unique=False)
    op.drop_index("uses_by_conversation", table_name="uses")
    op.create_index("uses_by_conversation", "uses", ["conversation", "turn"], unique=False)
    op.create_index("confirmations_by_conversation", "confirmations", ["conversation", "state", "expires_us"], unique=False)
    op.create_table(
        "approvers",
        sa.Column("approver", sa.String(length=64), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.Column("confirmation", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("approver", "expires_us", "confirmation"),
    )


def downgrade() -> None:
    """Not offered: what was recorded is never dropped by a command."""
    raise NotImplementedError
