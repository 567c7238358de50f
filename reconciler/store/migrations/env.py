"""What Alembic runs to upgrade: on the connection, and in the transaction, that `bring_forward` gives."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
