"""Alembic's environment of every history: `audit.migration` hands in the connection, inside its transaction, and the table of versions."""

from alembic import context

given = context.config.attributes
context.configure(connection=given["connection"], version_table=given["version"], transaction_per_migration=False)
context.run_migrations()
