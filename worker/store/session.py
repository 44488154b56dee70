"""The way to the database: SQLite or PostgreSQL, transactions for reading and for writing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.pool import ConnectionPoolEntry

from worker.errors import DatabaseUnreachable, SchemaOutdated
from worker.settings import Settings
from worker.store import schema
from worker.store.tables import Base

_BUSY_TIMEOUT_MS = 30_000  # SQLite's writers queue: longer than any transaction of ours
_READING = {"hc_reading": True}

# A server that vanishes without a word is noticed within seconds, not by the kernel's hours.
_POSTGRESQL_ARGUMENTS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "hc-batch",
}


class Database:
    """The ledger's database, whose tables are those of this version."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open one consistent view, which never makes a writer wait; raises as ``translated``."""
        with translated(), self.engine.connect().execution_options(**_READING) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction, committed at the end or rolled back; raises as ``translated``."""
        with translated(), self.engine.begin() as connection:
            yield connection

    def insert_new(self, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
        """Return an INSERT that leaves rows alone that are there already."""
        if self.engine.dialect.name == "postgresql":
            return postgresql.insert(table).on_conflict_do_nothing()
        return sqlite.insert(table).on_conflict_do_nothing()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Connect, and create the tables where there are none yet.

    Raises ``DatabaseUnreachable`` and ``SchemaOutdated``.
    """
    engine = make_engine(settings.database_url)
    try:
        with translated():
            schema.ensure(engine)
        yield Database(engine)
    finally:
        engine.dispose()


def make_engine(database_url: str) -> Engine:
    """Return an engine with the settings that the ledger's protocol relies on.

    Raises ``DatabaseUnreachable`` where SQLite's folder cannot be made.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "postgresql":
        return create_engine(
            url, connect_args=_POSTGRESQL_ARGUMENTS, pool_pre_ping=True, hide_parameters=True
        )
    folder = Path(url.database or "").parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUnreachable(f"{folder}: {error.strerror}") from error
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@contextmanager
def translated() -> Iterator[None]:
    """Tell a database out of reach from a mistake of ours.

    Raises ``DatabaseUnreachable``, and ``SchemaOutdated`` where a table or column is missing.
    """
    try:
        yield
    except DBAPIError as error:
        # Its subclasses about statements and rows are mistakes of ours; the class itself is what
        # SQLite says of a file that is damaged or no database.
        if type(error) not in (OperationalError, InterfaceError, DatabaseError):
            raise
        reason = _first_line(error)
        if "no such table" in reason or "no such column" in reason:
            raise SchemaOutdated(reason) from error
        raise DatabaseUnreachable(reason) from error


def _first_line(error: SQLAlchemyError) -> str:
    # The driver's own words: SQLAlchemy's hold the statement.
    text = str(getattr(error, "orig", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _configure_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    # Python's driver would begin transactions by itself, and too late to be IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    # The timeout comes first: the change to WAL needs the file for itself.
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer takes the lock at once: read-then-write could not wait for it, but would fail.
    reading = connection.get_execution_options().get("hc_reading", False)
    connection.exec_driver_sql("BEGIN DEFERRED" if reading else "BEGIN IMMEDIATE")
