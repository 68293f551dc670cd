"""Alembic's environment of every history: `audit.migration` hands in the connection, inside its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transaction_per_migration=False)
context.run_migrations()
