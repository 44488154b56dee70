"""``hc-batch inspect``: what files tell, before anything is measured."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from cli.console import stdout
from cli.exit_codes import EXIT_SOME_REFUSED
from cli.options import input_options, paths_argument
from worker.errors import NothingToMeasure
from worker.intake.discover import Options, Request
from worker.reading.inspect import inspect
from worker.settings import Settings
from worker.store.batches import NewScan

HEADINGS = (
    "source",
    "frame",
    "row_mm",
    "column_mm",
    "rule",
    "region_index",
    "region_box",
    "decoder",
)


@click.command()
@paths_argument
@input_options
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="A table for people, or JSON with everything that was read.",
)
def command(paths: tuple[Path, ...], options: Options, format_name: str) -> None:
    """Show what files tell: scale, regions, rule and decoder, or the refusal.

    Nothing is measured or stored, and no network is loaded. One line per region in which a head
    may lie: where there are several, the head decides. Columns are named as in the results.

    Example: hc-batch inspect ~/scans --format json
    """
    roots = Settings.from_environment().data_roots
    rows = list(_rows(Request.of(paths, options, roots)))
    if format_name == "json":
        click.echo(json.dumps(rows, indent=1))
    else:
        stdout.print(_table(rows))
    if all(row.get("status") == "skipped" for row in rows):
        raise NothingToMeasure(", ".join(map(str, paths)))
    if any(row.get("code") for row in rows):
        sys.exit(EXIT_SOME_REFUSED)


def _rows(request: Request) -> Iterator[dict[str, Any]]:
    for entry in request.discover():
        if not isinstance(entry, NewScan):
            yield {"source": entry.source, "status": "skipped", "message": entry.reason}
            continue
        path = request.roots.located(entry.source)
        for row in inspect(path, entry.frame, entry.manual, roots=request.roots.paths):
            yield {"source": entry.source, **row}


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    table.add_column("code, flags or why not", overflow="fold")
    for row in rows:
        cells = [_cell(row.get(heading)) for heading in HEADINGS]
        skipped = row["message"] if row.get("status") == "skipped" else ""
        table.add_row(*cells, row.get("code") or " ".join(row.get("flags", ())) or skipped)
    return table


def _cell(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
