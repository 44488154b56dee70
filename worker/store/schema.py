"""The ledger's tables and this version: create, upgrade, compare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

from worker.errors import SchemaOutdated
from worker.store.tables import Base

if TYPE_CHECKING:
    from alembic.config import Config

# Spelt out, so that a command need not load Alembic to learn that all is well; a test compares.
HEAD = "0003"

_UPGRADE_LOCK = 0x6863_6261  # "hcba"; any number that others do not use


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The tables' revision, this version's, and where tables and code differ."""

    revision: str | None
    head: str
    drift: tuple[str, ...]

    @property
    def current(self) -> bool:
        """Whether this version can work with these tables."""
        return self.revision == self.head and not self.drift


def ensure(engine: Engine) -> None:
    """Create the tables in an empty database.

    Raises ``SchemaOutdated`` where an older or newer version made them.
    """
    with engine.connect() as connection:
        revision = _revision(connection)
        empty = revision is None and _is_empty(connection)
    if empty:
        upgrade(engine)
    elif revision != HEAD:
        raise SchemaOutdated(f"found {revision or 'tables without a revision'}, need {HEAD}")


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the tables up to this version; harmless where they are."""
    from alembic import command

    with _migrating(engine) as config:
        command.upgrade(config, revision)


def downgrade(engine: Engine, revision: str) -> None:
    """Take the tables back to a revision, or to none with ``base``."""
    from alembic import command

    with _migrating(engine) as config:
        command.downgrade(config, revision)


def check(engine: Engine) -> SchemaState:
    """Compare the tables with the code."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, Base.metadata)
        return SchemaState(_revision(connection), HEAD, tuple(map(str, differences)))


@contextmanager
def _migrating(engine: Engine) -> Iterator[Config]:
    """Let one migration run at a time, in one transaction: several workers may start at once."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        config = migrations()
        config.attributes["connection"] = connection
        yield config


def migrations() -> Config:
    """Return Alembic's configuration, from wherever this package was installed."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    return config


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def _is_empty(connection: Connection) -> bool:
    return not set(inspect(connection).get_table_names()) & set(Base.metadata.tables)
