"""What data people ask: views whose columns stay when the tables change, and PostgreSQL's comments.

``v_results`` has the rows of an export, column by column; ``v_latest`` the newest of each file and
frame among them. Neither database lets a table change under a view, so a migration takes them away
before and makes them anew after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, literal

from worker.columns import columns_of
from worker.result import NOTICE
from worker.store.filter import Filter
from worker.store.rows import ReportRow, rows_statement
from worker.store.tables import VIEWS, Base

_ROWS = {"v_results": Filter(), "v_latest": Filter(latest=True)}
_AS_IT_STANDS: dict[str, Any] = {"execution_options": {"no_parameters": True}}
"""Else the driver takes a % for the place of a value."""
_NOTICE = "what none of it may be used for"


def drop_views(connection: Connection) -> None:
    """Take the views away; harmless where there are none."""
    for name in VIEWS:
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")


def make_views(connection: Connection) -> None:
    """Make the views anew, and on PostgreSQL say what each table, view and column means."""
    drop_views(connection)
    for name, which in _ROWS.items():
        statement = rows_statement(which).add_columns(literal(NOTICE).label("notice"))
        query = statement.compile(connection, compile_kwargs={"literal_binds": True})
        connection.exec_driver_sql(f"CREATE VIEW {name} AS {query}", **_AS_IT_STANDS)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(";".join(_comments()), **_AS_IT_STANDS)


def _comments() -> Iterator[str]:
    of_row = {
        each.name: f"{each.meaning} [{each.unit}]" if each.unit else each.meaning
        for each in columns_of(ReportRow)
    }
    for name, table in Base.metadata.tables.items():
        for column in table.columns:
            text = column.doc if column.doc is not None else of_row[column.name]
            yield _comment(f"COLUMN {name}.{column.name}", text)
    for name, meaning in VIEWS.items():
        yield _comment(f"VIEW {name}", meaning)
        for column_name, text in (of_row | {"notice": _NOTICE}).items():
            yield _comment(f"COLUMN {name}.{column_name}", text)


def _comment(what: str, text: str) -> str:
    quoted = text.replace("'", "''")
    return f"COMMENT ON {what} IS '{quoted}'"
