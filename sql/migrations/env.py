"""Alembic's entry point: runs the revisions on the connection of `scoring.warehouse.migrate`, in its transaction."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table_schema="scoring")
with context.begin_transaction():
    context.run_migrations()
