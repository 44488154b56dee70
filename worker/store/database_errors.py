"""Whose fault a database's error is: its own, an operator's, or, where none is left, ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import (
    DatabaseError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
    ResourceClosedError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from worker.errors import (
    DatabaseCrowded,
    DatabaseReadOnly,
    DatabaseRefused,
    DatabaseUnreachable,
    DiskFull,
    HcBatchError,
    SchemaOutdated,
    SettingInvalid,
)

# By SQLSTATE, or the beginning of one; the first that fits counts.
_BY_STATE: tuple[tuple[str, type[HcBatchError]], ...] = (
    ("25006", DatabaseReadOnly),  # read_only_sql_transaction
    ("42501", DatabaseRefused),  # insufficient_privilege
    ("22P05", DatabaseRefused),  # untranslatable_character: the database is not in UTF-8
    ("42", SchemaOutdated),  # undefined tables, columns and the like
    ("3F", SchemaOutdated),  # invalid_schema_name
    ("53100", DiskFull),  # disk_full
    ("53300", DatabaseCrowded),  # too_many_connections
)

# By the driver's words, where there is no state: SQLite's, and those of a refused connection.
_BY_WORDS: tuple[tuple[str, type[HcBatchError]], ...] = (
    ("readonly database|read-only transaction", DatabaseReadOnly),
    (r"invalid (connection option|\w+ value|integer value|port number|URI)", SettingInvalid),
    ("disk is full|No space left on device|[Dd]isk quota exceeded", DiskFull),
    ("no such table|no such column|has no column", SchemaOutdated),
    ("too many (clients|connections)|connection slots|no more connections", DatabaseCrowded),
)

_OF_CONNECTION = (PendingRollbackError, PoolTimeout, ResourceClosedError)
_GRANTS = {
    "schema": "GRANT USAGE, CREATE ON SCHEMA {name} TO ROLE",
    "table": "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ROLE",
    "sequence": "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO ROLE",
    "database": "GRANT CONNECT ON DATABASE {name} TO ROLE",
}


@contextmanager
def translated() -> Iterator[None]:
    """Raise this product's own errors for those of the database that are not about a row.

    ``DatabaseUnreachable``, ``DatabaseReadOnly``, ``DatabaseCrowded`` and ``DiskFull`` pass;
    ``DatabaseRefused``, ``SchemaOutdated`` and ``SettingInvalid`` wait for a person. What
    is left is a mistake of ours.
    """
    try:
        yield
    except DBAPIError as error:
        kind = _kind(error)
        if kind is None:
            raise
        of_setting = "HC_DATABASE_URL: " if kind is SettingInvalid else ""
        raise kind(of_setting + _reason(error)) from error
    except _OF_CONNECTION as error:
        raise DatabaseUnreachable(type(error).__name__) from error


def _kind(error: DBAPIError) -> type[HcBatchError] | None:
    state = getattr(error.orig, "sqlstate", None) or ""
    for beginning, kind in _BY_STATE:
        if state.startswith(beginning):
            return kind
    words = str(error.orig)
    for pattern, kind in _BY_WORDS:
        if not state and re.search(pattern, words):
            return kind
    # Subclasses about statements and rows are mistakes of ours; the class itself is what SQLite
    # says of a file that is damaged or no database.
    is_of_database = type(error) in (OperationalError, InterfaceError, DatabaseError)
    return DatabaseUnreachable if is_of_database else None


def _reason(error: SQLAlchemyError) -> str:
    # The driver's own words: SQLAlchemy's hold the statement.
    text = str(getattr(error, "orig", None) or error).strip()
    line = text.splitlines()[0] if text else type(error).__name__
    denied = re.match(r'permission denied for (\w+) ("?[\w.]+"?)', line)
    if denied is None or denied[1] not in _GRANTS:
        return line
    return f"{line}; {_GRANTS[denied[1]].format(name=denied[2])}"
