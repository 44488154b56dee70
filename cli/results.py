"""``hc-batch results``: the rows, on the terminal or as a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TextIO

import click

from cli.console import FILE_WIDTH, TextConsole, stderr, stdout
from cli.filter_words import Asked
from cli.options import filter_options, overlays_option
from cli.overlays import write_overlays
from cli.table import rows_table
from worker.reports.forms import FORMS, write_rows
from worker.reports.output_file import replacing
from worker.result import NOTICE
from worker.settings import Settings
from worker.store.rows import ReportRow, select_rows
from worker.store.session import open_database

NEWEST = 50
TABLE = "table"


@click.command()
@filter_options
@click.option("--limit", type=click.IntRange(min=1), help="The newest N rows.")
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
def command(
    which: Asked,
    limit: int | None,
    form: str | None,
    target: Path | None,
    overlays: Path | None,
) -> None:
    """Show or export the rows, of all batches or of BATCH: a name, the beginning of one, or last.

    A table on a terminal shows the newest 50 unless --limit says otherwise; CSV, JSON and files
    get all. --overlays draws the same rows. Research use only, not a medical device.

    Example: hc-batch results last --status measured --out hc.csv
    """
    target = None if target == Path("-") else target
    form = form or _form_of(target)
    if limit is None and form == TABLE and target is None and sys.stdout.isatty():
        limit = NEWEST
    settings = Settings.from_environment()
    with open_database(settings) as database:
        wanted = which.filter(database)
        rows = select_rows(database, wanted, limit=limit, newest_first=limit is not None)
        if target is not None:
            with replacing(target) as file:
                count = _write(rows, form, file)
            stderr.print(f"{count} rows in {target}; {NOTICE}")
        elif form != TABLE:
            write_rows(rows, form, sys.stdout)
        else:
            table = rows_table(rows)
            stdout.print(table)
            stderr.print(f"{table.row_count} rows; {NOTICE}")
        if overlays is not None:
            again = select_rows(database, wanted, limit=limit, newest_first=limit is not None)
            write_overlays(again, overlays, settings.data_roots)


def _form_of(target: Path | None) -> str:
    suffix = "" if target is None else target.suffix.lower().removeprefix(".")
    return suffix if suffix in FORMS else TABLE


def _write(rows: Iterable[ReportRow], form: str, file: TextIO) -> int:
    if form != TABLE:
        return write_rows(rows, form, file)
    table = rows_table(rows)
    TextConsole(file=file, width=FILE_WIDTH).print(table)
    return table.row_count
