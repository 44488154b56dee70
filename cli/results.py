"""``hc-batch results``: the rows, on the terminal or as a file."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TextIO

import click

from cli.console import FILE_WIDTH, TextConsole, stderr, stdout
from cli.moment import Moment
from cli.options import overlays_option
from cli.overlays import write_overlays
from cli.table import rows_table
from worker.reports.forms import FORMS, write_rows
from worker.reports.output_file import replacing
from worker.reports.record import NOTICE
from worker.result import Status
from worker.settings import Settings
from worker.store.batches import find_batch
from worker.store.rows import Filter, ReportRow, select_rows
from worker.store.session import open_database

NEWEST = 50
TABLE = "table"


@click.command()
@click.argument("batch", required=False)
@click.option("--batch", "named", metavar="BATCH", help="The same as BATCH.")
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([status.value for status in Status]),
    help="Only this state; may be given several times.",
)
@click.option(
    "--since",
    type=Moment(),
    help="Only rows from this time on: 2026-01-31 08:15 (UTC, or with a zone), today, 90m, 2d.",
)
@click.option("--until", type=Moment(), help="Only rows before this time.")
@click.option("--source", help="Only paths with this in them; * and ? are wildcards.")
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
    batch: str | None,
    named: str | None,
    statuses: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    source: str | None,
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
    if batch is not None and named is not None:
        raise click.UsageError("give BATCH once, with --batch or without")
    target = None if target == Path("-") else target
    form = form or _form_of(target)
    if limit is None and form == TABLE and target is None and sys.stdout.isatty():
        limit = NEWEST
    settings = Settings.from_environment()
    with open_database(settings) as database:
        wanted = batch if named is None else named
        which = Filter(
            batch=None if wanted is None else find_batch(database, wanted),
            statuses=[Status(status) for status in statuses] or None,
            since=since,
            until=until,
            source=source,
        )
        rows = select_rows(database, which, limit=limit, newest_first=limit is not None)
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
            again = select_rows(database, which, limit=limit, newest_first=limit is not None)
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
