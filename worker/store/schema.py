"""The ledger's tables and this version: create, upgrade, compare."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, inspect, text

from worker.errors import DatabaseRefused, SchemaOutdated
from worker.store.tables import VIEWS, Base

if TYPE_CHECKING:
    from alembic.config import Config

# Spelt out, so that a command need not load Alembic to learn that all is well; a test compares.
HEAD = "0009"

_UPGRADE_LOCK = 0x6863_6261  # "hcba"; any number that others do not use


@dataclass(frozen=True, slots=True)
class SchemaState:
    """The tables' revision, this version's, and where tables and code differ.

    ``is_empty``: none of the tables is there yet.
    """

    revision: str | None
    head: str
    drift: tuple[str, ...]
    is_empty: bool = False

    @property
    def current(self) -> bool:
        """Whether this version can work with these tables."""
        return self.revision == self.head and not self.drift


def ensure(engine: Engine) -> None:
    """Create the tables in a database that has none of them yet.

    Raises ``SchemaOutdated`` where an older or newer version made them, and ``DatabaseRefused``
    where they cannot be in this database.
    """
    revision = _present(engine)
    if revision != HEAD:
        raise SchemaOutdated(f"found {revision or 'tables without a revision'}, need {HEAD}")


def _present(engine: Engine) -> str:
    """Return the tables' revision, empty where they have none; where none are, make them first."""
    with engine.connect() as connection:
        _refuse_encoding(connection)
        _refuse_foreign(connection)
        revision = _revision(connection)
        is_empty = revision is None and not _own_tables(connection)
    if not is_empty:
        return revision or ""
    at_once = import_module("migrations.at_once")  # by its name, as Alembic finds the others
    with _alone(engine) as connection:
        if _revision(connection) is None and not _own_tables(connection):  # nobody came before
            at_once.create(connection, HEAD)
    return HEAD


def upgrade(engine: Engine) -> None:
    """Bring the tables up to this version; harmless where they are.

    Raises ``SchemaOutdated`` where a newer version made them, and ``DatabaseRefused``.
    """
    _present(engine)
    migrate(engine)  # where there is nothing to change, it makes the views anew


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the tables up to a revision, one change after the other. Raises ``SchemaOutdated``."""
    from alembic import command
    from alembic.util import CommandError

    with engine.connect() as connection:
        present = _revision(connection)
    with _migrating(engine) as config:
        try:
            command.upgrade(config, revision)
        except CommandError as error:  # a revision that this version does not know
            raise SchemaOutdated(f"found {present}, need {HEAD}") from error


def downgrade(engine: Engine, revision: str) -> None:
    """Take the tables back to a revision, or to none with ``base``."""
    from alembic import command

    with _migrating(engine) as config:
        command.downgrade(config, revision)


def check(engine: Engine) -> SchemaState:
    """Compare the tables with the code; other programs' tables in the database are left out."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine.connect() as connection:
        _refuse_encoding(connection)
        _refuse_foreign(connection)
        opts = {"compare_type": True, "include_name": _is_own}
        context = MigrationContext.configure(connection, opts=opts)
        differences = compare_metadata(context, Base.metadata)
        revision = _revision(connection)
        drift = tuple(str(each) for each in differences if not _is_comment(each))
        if revision == HEAD:
            missing = VIEWS.keys() - inspect(connection).get_view_names()
            drift += tuple(f"view {name} is missing" for name in sorted(missing))
        is_empty = revision is None and not _own_tables(connection)
        return SchemaState(revision, HEAD, drift, is_empty)


@contextmanager
def _migrating(engine: Engine) -> Iterator[Config]:
    with _alone(engine) as connection:
        config = migrations()
        config.attributes["connection"] = connection
        yield config


@contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """Let one change the tables at a time, in one transaction: several workers may start."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
        yield connection


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


def _own_tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) & set(Base.metadata.tables)


def _is_own(name: str | None, kind: str, _parents: object) -> bool:
    return kind != "table" or name in Base.metadata.tables


def _is_comment(difference: Any) -> bool:
    """Whether it is one of comments alone: they are written beside the tables, with the views."""
    changes = difference if isinstance(difference, list) else [difference]
    return all(change[0] == "modify_comment" for change in changes)


def _refuse_foreign(connection: Connection) -> None:
    """Refuse a database whose revision is another program's: the name of the table is Alembic's."""
    revision = _revision(connection)
    if revision is not None and not _own_tables(connection) and not revision.isdecimal():
        raise DatabaseRefused(f"another program keeps its revision {revision} in alembic_version")


def _refuse_encoding(connection: Connection) -> None:
    if connection.dialect.name != "postgresql":
        return
    encoding = connection.scalar(text("SHOW server_encoding"))
    if encoding != "UTF8":
        raise DatabaseRefused(
            f"it is in {encoding}; CREATE DATABASE hc ENCODING 'UTF8' TEMPLATE template0"
        )
