"""What alembic runs around the migrations: the connection is handed in by the caller."""

from alembic import context

from stretto.engine.tables import METADATA, VERSION_TABLE

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table=VERSION_TABLE,
)
with context.begin_transaction():
    context.run_migrations()
