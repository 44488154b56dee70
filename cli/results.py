"""``hc-batch results``: the rows, on the terminal or as a file."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from cli.console import stderr, stdout
from cli.options import batch_option
from cli.table import rows_table
from worker.reports.forms import FORMS, write_rows
from worker.reports.record import NOTICE
from worker.result import Status
from worker.settings import Settings
from worker.store.rows import Filter, select_rows
from worker.store.session import open_database

NEWEST = 50


@click.command()
@batch_option
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice([status.value for status in Status]),
    help="Only this state; may be given several times.",
)
@click.option("--since", type=click.DateTime(), help="Only rows from this time on (UTC).")
@click.option("--until", type=click.DateTime(), help="Only rows before this time (UTC).")
@click.option("--source", help="Only paths with this in them; * and ? are wildcards.")
@click.option("--limit", type=click.IntRange(min=1), help="The newest N rows.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", *FORMS]),
    default="table",
    show_default=True,
)
@click.option(
    "--out",
    "target",
    type=click.Path(path_type=Path, dir_okay=False, writable=True),
    help="Write to this file instead of standard output.",
)
def command(
    batch: str | None,
    statuses: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    source: str | None,
    limit: int | None,
    form: str,
    target: Path | None,
) -> None:
    """Show or export the rows.

    A table on a terminal shows the newest 50 unless --limit says otherwise; CSV, JSON and files
    get all. Research use only, not a medical device.

    Example: hc-batch results --status measured --format csv --out hc.csv
    """
    which = Filter(
        batch=batch,
        statuses=[Status(status) for status in statuses] or None,
        since=_utc(since),
        until=_utc(until),
        source=source,
    )
    on_terminal = form == "table" and target is None and sys.stdout.isatty()
    if limit is None and on_terminal:
        limit = NEWEST
    with open_database(Settings.from_environment()) as database:
        rows = select_rows(database, which, limit=limit, newest_first=limit is not None)
        if form != "table":
            if target is None:
                write_rows(rows, form, sys.stdout)
                return
            with target.open("w", encoding="utf-8", newline="") as file:
                count = write_rows(rows, form, file)
            stderr.print(f"{count} rows in {target}")
            return
        table = rows_table(rows)
    if target is None:
        stdout.print(table)
    else:
        with target.open("w", encoding="utf-8") as file:
            type(stdout)(file=file, width=200).print(table)
    stderr.print(f"{table.row_count} rows; {NOTICE}")


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
