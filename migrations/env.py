"""Runs the migrations: on the connection given by the program, or on the configured database."""

from alembic import context

from worker.settings import Settings
from worker.store.session import make_engine
from worker.store.tables import Base


def migrate(connection):
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    engine = make_engine(Settings.from_environment().database_url)
    with engine.begin() as connection:
        migrate(connection)
    engine.dispose()
