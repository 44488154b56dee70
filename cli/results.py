"""``hc-batch results``: the rows, on the terminal or as a file."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from cli.console import FILE_WIDTH, TextConsole, stderr, stdout
from cli.exam_tables import ExamTables, exam_options
from cli.filter_words import Asked
from cli.options import filter_options, overlays_option
from cli.overlays import write_overlays
from cli.short_paths import ShownPaths
from cli.studies import studies_of, studies_table
from cli.table import TextTable, rows_table, values_table
from worker.reports.extract import COLUMNS, Extract, extract_of, extract_rows
from worker.reports.forms import FORMS, write
from worker.reports.output_file import replacing, replacing_bytes
from worker.reports.studies import Frames
from worker.reports.study_rows import StudyRow
from worker.result import NOTICE
from worker.settings import Settings
from worker.store.filter import Filter
from worker.store.rows import ReportRow, Sort, select_rows
from worker.store.session import Database, open_database

NEWEST = 50
TABLE = "table"


class ColumnName(click.ParamType[str]):
    """A column of the rows, for the order with a minus before it where the greatest comes first."""

    name = "COLUMN"

    def __init__(self, *, may_descend: bool = False) -> None:
        self._may_descend = may_descend

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the name. Raises ``BadParameter`` where there is no such column."""
        word = str(value).strip()
        name = word.removeprefix("-") if self._may_descend else word
        known = [each for each in COLUMNS if each != "notice" or not self._may_descend]
        if name not in known:
            near = " or ".join(difflib.get_close_matches(name, known)) or "one of docs/columns.md"
            self.fail(f"there is no column {name!r}: {near}?", param, ctx)
        return word


class ColumnNames(ColumnName):
    """Columns with commas between."""

    name = "COLUMN,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the names, each once. Raises ``BadParameter`` as for one."""
        words = str(value).split(",")
        return tuple(dict.fromkeys(super(ColumnNames, self).convert(w, param, ctx) for w in words))


@click.command()
@filter_options
@click.option(
    "--sort",
    multiple=True,
    type=ColumnName(may_descend=True),
    help="In the order of this column; -COLUMN for the greatest first; several for equal ones.",
)
@click.option("--columns", type=ColumnNames(), help="Only these columns, in this order.")
@click.option("--limit", type=click.IntRange(1, 10**9), help="The newest N, or first by --sort.")
@click.option(
    "--format",
    "form",
    type=click.Choice([TABLE, *FORMS]),
    help="A table, or a form with all columns.  [default: as the suffix of --out says, or table]",
)
@click.option(
    "--out",
    "target",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write to this file, in place of one that is there; - is standard output.",
)
@overlays_option
@click.option("--per", type=click.Choice(["study"]), help="One row per study and fetus.")
@click.option(
    "--frames",
    type=click.Choice(["all", "best"]),
    default="all",
    show_default=True,
    help="With --per study, which trusted frames of a loop count: their median, or the surest.",
)
@exam_options
def command(
    which: Asked,
    sort: tuple[str, ...],
    columns: tuple[str, ...] | None,
    limit: int | None,
    form: str | None,
    target: Path | None,
    overlays: Path | None,
    per: str | None,
    frames: str,
    tables: ExamTables,
) -> None:
    """Show or export the rows, of all batches or of BATCH: a name, the beginning of one, or last.

    A table on a terminal shows the newest 50 unless --limit says otherwise; CSV, JSON, Parquet,
    XLSX and files get all. --overlays draws the same rows. --per study gives the median HC of each
    study, with an interval that narrows with its images. Research use only, not a medical device.

    Example: hc-batch results last --status measured --sort -hc_mm --out hc.csv
    """
    if per is None and (tables.are_given or frames != Frames.ALL):
        raise click.UsageError("--reference, --ga and --frames go with --per study")
    if per is not None and (overlays, columns, sort) != (None, None, ()):
        raise click.UsageError("--per study takes no --overlays, --columns and --sort")
    target = None if target == Path("-") else target
    form = form or _form_of(target)
    is_shown = form == TABLE and target is None and sys.stdout.isatty()
    limit = NEWEST if limit is None and is_shown else limit
    settings = Settings.from_environment()
    order = [Sort(each.removeprefix("-"), each.startswith("-")) for each in sort]
    with open_database(settings) as database:
        asked = Rows(database, which.filter(database), order, limit)
        if per is not None:
            found = studies_of(database, asked.which, settings, tables, Frames(frames), limit)
            if form == TABLE:
                _print(studies_table(list(found), _width(target)), target)
            else:
                _export(extract_of(StudyRow, found), form, target)
            return
        paths = ShownPaths(database, settings.data_roots)
        if form == TABLE:
            _show(asked, columns, paths, target)
        else:
            _export(asked.extract(columns or tuple(COLUMNS)), form, target)
        if overlays is not None:
            write_overlays(asked.rows(), overlays, settings.data_roots)


@dataclass(frozen=True, slots=True)
class Rows:
    """What was asked for; the ledger is asked when rows are taken."""

    database: Database
    which: Filter
    sort: Sequence[Sort]
    limit: int | None

    def rows(self) -> Iterator[ReportRow]:
        """Return the rows."""
        return select_rows(self.database, self.which, **self._order())

    def extract(self, columns: Sequence[str]) -> Extract:
        """Return these columns of the rows, for a file."""
        return extract_rows(self.database, self.which, columns, **self._order())

    def _order(self) -> dict[str, Any]:
        newest_first = self.limit is not None and not self.sort
        return {"sort": self.sort, "limit": self.limit, "newest_first": newest_first}


def _form_of(target: Path | None) -> str:
    suffix = "" if target is None else target.suffix.lower().removeprefix(".")
    return suffix if suffix in FORMS else TABLE


def _show(
    asked: Rows, columns: tuple[str, ...] | None, paths: ShownPaths, target: Path | None
) -> None:
    width = _width(target)
    if columns is None:
        table = rows_table(asked.rows(), paths, width)
    else:
        table = values_table(asked.extract((*columns, "batch")), paths, width)
    _print(table, target)


def _width(target: Path | None) -> int:
    return stdout.width if target is None else FILE_WIDTH


def _print(table: TextTable, target: Path | None) -> None:
    if target is None:
        table.show(stdout)
        stderr.print(f"{table.row_count} rows; {NOTICE}")
        return
    with replacing(target) as file:
        table.show(TextConsole(file=file, width=FILE_WIDTH))
    stderr.print(f"{table.row_count} rows in {target}; {NOTICE}")


def _export(extract: Extract, form: str, target: Path | None) -> None:
    FORMS[form].writer()  # before a file is begun
    if target is not None:
        with replacing_bytes(target) as file:
            count = write(extract, form, file)
        stderr.print(f"{count} rows in {target}; {NOTICE}")
        return
    if not FORMS[form].is_text and sys.stdout.isatty():
        raise click.UsageError(f"{form} is no text for a terminal: name a file with --out")
    write(extract, form, sys.stdout.buffer)
