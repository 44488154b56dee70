"""The way to the database: SQLite or PostgreSQL, transactions for reading and for writing."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from worker.errors import DatabaseUnreachable, FolderUnusable
from worker.private_folder import make_missing, make_private, refusal_of
from worker.settings import Settings
from worker.store import schema
from worker.store.database_errors import translated
from worker.store.tables import Base

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql, sqlite

_BUSY_TIMEOUT_MS = 30_000  # SQLite's writers queue: longer than any transaction of ours
_READING = {"hc_reading": True}
_IDENTITY, _LOG = "hc_identity", "hc_log"

# A server that vanishes without a word is noticed within seconds, not by the kernel's hours.
_POSTGRESQL_ARGUMENTS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
    "application_name": "hc-batch",
    # File names are Unicode, whatever the database was made for; schema.ensure looks at that.
    "client_encoding": "utf8",
    # A prepared statement has a name in one session: pgbouncer's next transaction is in another.
    "prepare_threshold": None,
}


class _View(ExitStack):
    """A connection for reading that is taken when somebody asks for it."""

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._taken: Connection | None = None

    def connection(self) -> Connection:
        """Return the connection, the same each time."""
        if self._taken is None:
            options: dict[str, Any] = dict(_READING)
            if self._engine.dialect.name == "postgresql":
                # Each statement sees what is committed then, in a transaction or not.
                options["isolation_level"] = "AUTOCOMMIT"
            self._taken = self.enter_context(self._engine.connect().execution_options(**options))
        return self._taken


class Database:
    """The ledger's database, whose tables are those of this version."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._of_thread = threading.local()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open one consistent view, which never makes a writer wait; raises as ``translated``."""
        view: _View | None = getattr(self._of_thread, "view", None)
        if view is None:
            with translated(), self.engine.connect().execution_options(**_READING) as connection:
                yield connection
        else:
            with translated():
                yield view.connection()

    @contextmanager
    def one_view(self) -> Iterator[None]:
        """Let all that this thread reads meanwhile come through one connection, taken once."""
        with translated(), _View(self.engine) as self._of_thread.view:
            try:
                yield
            finally:
                self._of_thread.view = None

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Open a transaction, committed at the end or rolled back; raises as ``translated``."""
        with translated(), self.engine.begin() as connection:
            yield connection

    def insert_new(self, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
        """Return an INSERT that leaves rows alone that are there already."""
        if self.engine.dialect.name == "postgresql":
            from sqlalchemy.dialects import postgresql

            return postgresql.insert(table).on_conflict_do_nothing()
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table).on_conflict_do_nothing()

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


@contextmanager
def binary_numbers(connection: Connection) -> Iterator[None]:
    """Let PostgreSQL send what is read in parts in its own form: half the work on both sides."""
    if connection.dialect.name != "postgresql":
        yield
        return
    from psycopg import ServerCursor
    from psycopg.pq import Format

    def in_binary(*names: Any, **options: Any) -> ServerCursor[Any]:
        cursor: ServerCursor[Any] = ServerCursor(*names, **options)
        cursor.format = Format.BINARY
        return cursor

    driver: Any = connection.connection.driver_connection
    driver.server_cursor_factory = in_binary
    try:
        yield
    finally:
        driver.server_cursor_factory = ServerCursor


@contextmanager
def open_database(settings: Settings) -> Iterator[Database]:
    """Connect, and create the tables where there are none yet.

    Raises ``DatabaseUnreachable`` and its like, ``DatabaseRefused``, ``FolderUnusable`` and
    ``SchemaOutdated``.
    """
    if settings.sqlite_path is not None and settings.sqlite_path.parent == settings.data_dir:
        make_private(settings.data_dir)
    engine = make_engine(settings.database_url)
    try:
        with translated():
            schema.ensure(engine)
        yield Database(engine)
    finally:
        engine.dispose()


def make_engine(database_url: str) -> Engine:
    """Return an engine with the settings that the ledger's protocol relies on.

    Raises as ``refusal_of`` tells where SQLite's file or its folder cannot be made.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "postgresql":
        return create_engine(
            url, connect_args=_POSTGRESQL_ARGUMENTS, pool_pre_ping=True, hide_parameters=True
        )
    path = Path(url.database or "")
    try:
        make_missing(path.parent)
        # SQLite gives its other files the mode of this one. One that is there is not opened: to
        # close it would give up all locks that this process has there through other connections.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        mode = path.stat().st_mode
    except OSError as error:
        raise refusal_of(path, error) from error
    if not stat.S_ISREG(mode):
        raise FolderUnusable(f"{path}: no regular file")
    if not os.access(path, os.R_OK | os.W_OK):
        raise FolderUnusable(f"{path}: no right to read and write it")
    engine = create_engine(url, hide_parameters=True)
    event.listen(engine, "do_connect", partial(_refuse_missing, path))
    event.listen(engine, "connect", partial(_configure_sqlite, path))
    event.listen(engine, "checkout", partial(_notice_replaced, path))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _refuse_missing(path: Path, *_: object) -> None:
    """Refuse to connect to a file that has gone: SQLite would begin an empty one in its place."""
    if not path.exists():
        raise DatabaseUnreachable(f"{path} has gone")


def _notice_replaced(
    path: Path,
    _connection: DBAPIConnection,
    record: ConnectionPoolEntry,
    _proxy: PoolProxiedConnection,
) -> None:
    """Connect anew where another file lies under the path, such as a backup that was put back.

    SQLite would read the old file's log into the new one, if it still lies there.
    """
    log = path.with_name(f"{path.name}-wal")
    present = _identity(path)
    if record.info[_IDENTITY] == present:
        record.info[_LOG] = _identity(log)
        return
    # One that has gone may come back, and then needs its log, which may hold all there is.
    if present is not None and record.info.get(_LOG) == _identity(log):
        for stale in (log, path.with_name(f"{path.name}-shm")):
            stale.unlink(missing_ok=True)
    raise InvalidatePoolError("the file was replaced")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _configure_sqlite(path: Path, connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    record.info[_IDENTITY] = _identity(path)
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
