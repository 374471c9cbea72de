"""Alembic's entry: migrates over the connection that :func:`defib.store.migrate.upgrade` hands in."""

from alembic import context

from defib.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
context.run_migrations()
