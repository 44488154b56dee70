"""Rows as PostgreSQL itself writes them: lines of CSV, many times as quick as value by value."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy.exc import DBAPIError

from worker.store.filter import Filter
from worker.store.rows import Sort, plain_statement
from worker.store.session import Database


def copied_rows(
    database: Database,
    which: Filter,
    names: Sequence[str],
    *,
    sort: Sequence[Sort] = (),
    limit: int | None = None,
    newest_first: bool = False,
) -> Generator[bytes, None, None]:
    """Yield the rows of ``select_columns`` on PostgreSQL as CSV in UTF-8, without a heading.

    Unknown is an empty field, and an empty text ``""``; pieces end where a line does.
    """
    statement = plain_statement(
        database, which, names, sort=sort, limit=limit, newest_first=newest_first
    )
    query = statement.compile(database.engine, compile_kwargs={"render_postcompile": True})
    with database.reading() as connection, _as_told_by_sqlalchemy():
        driver: Any = connection.connection.driver_connection
        # A COPY takes no values from outside: the driver writes them into its text, quoted.
        with driver.cursor().copy(f"COPY ({query}) TO STDOUT (FORMAT csv)", query.params) as lines:
            for line in lines:
                yield bytes(line)


@contextmanager
def _as_told_by_sqlalchemy() -> Iterator[None]:
    """Raise the driver's errors in the form in which ``translated`` knows them."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        told = DBAPIError.instance("COPY", None, error, psycopg.Error, hide_parameters=True)
        raise told from error
