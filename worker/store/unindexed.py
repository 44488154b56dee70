"""A column that SQLite reads from the row, where its index would give rows in another order."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class unindexed(FunctionElement[Any]):  # noqa: N801 - reads as an SQL function
    """The column itself; PostgreSQL knows how many rows have which value, and chooses well."""

    inherit_cache = True

    def __init__(self, column: InstrumentedAttribute[Any]) -> None:
        self.type = column.type
        super().__init__(column)


@compiles(unindexed)
def _plain(element: unindexed, compiler: SQLCompiler, **options: Any) -> str:
    return str(compiler.process(element.clauses, **options))


@compiles(unindexed, "sqlite")
def _on_sqlite(element: unindexed, compiler: SQLCompiler, **options: Any) -> str:
    # A sign without effect on the value: https://sqlite.org/optoverview.html, "Disqualifying Terms
    # Using Unary +".
    return f"+{compiler.process(element.clauses, **options)}"
