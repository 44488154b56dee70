"""Ours against theirs as a table for a terminal: for ``hc-batch summary``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.console import stdout
from cli.exam_tables import ExamTables, read_tables, tell_unused
from cli.table import TableColumn, TextTable, lay_out, number
from hcmodel.agreement import Agreement, Estimate, agreements
from worker.reports.compared import compared, studies_of_references
from worker.reports.studies import grouped, select_sights

if TYPE_CHECKING:
    from worker.settings import Settings
    from worker.store.filter import Filter
    from worker.store.session import Database

_HEADINGS = ("ours - theirs", "heads", "bias mm", "SD mm", "limits mm", "mean abs. mm", "%")


def show_agreement(
    database: Database, which: Filter, tables: ExamTables, settings: Settings
) -> None:
    """Print how far HC agrees with the sonographer's, where that is known, by trimester.

    Reads the rows of studies that reports speak of; with a table, all rows.
    """
    known = read_tables(tables, settings)
    studies = (
        grouped(select_sights(database, which))
        if tables.are_given
        else studies_of_references(database, which)
    )
    if studies is None:
        return
    sources = known.sources(database, studies.uids)
    pairs = [each.pair for each in compared(sources.heads(studies), sources)]
    if pairs:
        stdout.print()
        _table(agreements(pairs), stdout.width).show(stdout)
    tell_unused(known)


def _table(lines: Sequence[Agreement], width: int) -> TextTable:
    columns = [TableColumn(name, is_right=place > 0) for place, name in enumerate(_HEADINGS)]
    rows = [
        [
            line.group,
            f"{line.pairs}",
            f"{line.bias_mm.value:+.2f}",
            number(line.sd_mm, 2),
            _limits(line.lower_mm, line.upper_mm),
            f"{line.absolute_mm:.2f}",
            f"{line.relative_percent:.2f}",
        ]
        for line in lines
    ]
    return lay_out(columns, rows, width)


def _limits(lower: Estimate | None, upper: Estimate | None) -> str:
    if lower is None or upper is None:
        return ""
    return f"{lower.value:+.2f} to {upper.value:+.2f}"
