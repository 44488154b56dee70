"""``hc-batch run``: measures in this process."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import click

from cli.console import stderr, stdout
from cli.exit_codes import EXIT_INTERRUPTED
from cli.follow import bar, exit_code_for
from cli.options import input_options, overlays_option, paths_argument, thorough_option
from cli.overlays import write_overlays
from cli.short_paths import ShownPaths
from cli.summary import name_skipped, sum_refused
from cli.table import counts_line, rows_table
from worker.errors import NothingToMeasure
from worker.intake.discover import Options
from worker.result import NOTICE
from worker.roots import Roots
from worker.run import measure_run, prepare_run
from worker.settings import Settings
from worker.store.filter import Filter
from worker.store.progress import counts, progress
from worker.store.rows import select_rows
from worker.store.session import Database, open_database

NEWEST = 50


@click.command()
@paths_argument
@input_options
@thorough_option
@overlays_option
def command(
    paths: tuple[Path, ...], options: Options, thorough: bool, overlays: Path | None
) -> None:
    """Measure files in this process and store the rows; no queue needed.

    Ctrl-C keeps what was measured; the same command again continues.

    Example: hc-batch run ~/scans --pixel-size 0.154
    """
    settings = Settings.from_environment()
    settings = replace(settings, thorough=thorough or settings.thorough)
    if overlays is not None:
        from worker.reports.pictures.folder import make_folder

        make_folder(overlays, [path for path in paths if path.is_dir()])
    with open_database(settings) as database:
        batch = prepare_run(database, settings, paths, options)
        try:
            _measure(database, settings, batch)
        except KeyboardInterrupt:
            stderr.print()
            stderr.print(f"interrupted: {counts_line(counts(database, batch))}")
            stderr.print("what was measured is kept; the same command again continues")
            sys.exit(EXIT_INTERRUPTED)
        if overlays is not None:
            write_overlays(
                select_rows(database, Filter(batch=batch)), overlays, settings.data_roots
            )
        _report(database, batch, paths, settings.data_roots)


def _measure(database: Database, settings: Settings, batch: str) -> None:
    before = progress(database, batch)
    if not before.pending:
        return
    with bar() as progress_bar:
        task = progress_bar.add_task(
            "measuring", total=before.total, completed=before.total - before.pending
        )
        measure_run(database, settings, batch, lambda _claim, _status: progress_bar.advance(task))


def _report(database: Database, batch: str, paths: tuple[Path, ...], roots: Roots) -> None:
    limit = NEWEST if sys.stdout.isatty() else None
    rows = select_rows(database, Filter(batch=batch), limit=limit, newest_first=limit is not None)
    rows_table(rows, ShownPaths(database, roots), stdout.width).show(stdout)
    name_skipped(database, batch)
    sum_refused(database, batch)
    done = progress(database, batch)
    stderr.print(f"batch {batch}: {counts_line(done.counts, done.skipped)}; {NOTICE}")
    if not done.total:
        raise NothingToMeasure(", ".join(map(str, paths)))
    sys.exit(exit_code_for(done))
