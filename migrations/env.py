"""Runs the migrations: on the connection given by the program, or on the configured database."""

from alembic import context

from worker.settings import Settings
from worker.store import schema
from worker.store.session import make_engine
from worker.store.tables import Base
from worker.store.views import drop_views, make_views


def migrate(connection):
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        drop_views(connection)
        context.run_migrations()
        if context.get_context().get_current_revision() == schema.HEAD:
            make_views(connection)


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    engine = make_engine(Settings.from_environment().database_url)
    with engine.begin() as connection:
        migrate(connection)
    engine.dispose()
