"""Alembic entry point: runs the revisions on the connection, and in the transaction, of `scoring.warehouse.migrate`."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table_schema="scoring")
with context.begin_transaction():
    context.run_migrations()
