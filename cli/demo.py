"""``hc-batch demo``: the whole way on phantoms of known HC."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from cli.console import stderr, stdout
from cli.exit_codes import EXIT_NOT_FINISHED, EXIT_UNEXPECTED
from cli.follow import follow
from cli.table import STYLES, counts_line, number
from worker.intake.discover import Options
from worker.intake.submit import submit
from worker.result import NOTICE, Status
from worker.sample_files import PIXEL_SIZES, Sample, write_samples
from worker.settings import Settings
from worker.store.filter import Filter
from worker.store.rows import ReportRow, select_rows
from worker.store.session import open_database

TOLERANCE = 0.03
LIMIT_S = 300.0
_WORKER_STOP_S = 60.0


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), metavar="DIR")
def command(folder: Path) -> None:
    """Measure phantoms of known HC through queue, worker and database.

    Writes sample files into DIR/images, submits them through a private Redis to a worker that is
    started and stopped here, and prints the rows beside the truth. Database and Redis live in
    DIR/state, made anew each time; your own database and queue are left alone.

    Example: hc-batch demo demo
    """
    images = folder / "images"
    samples = write_samples(images)
    state = folder.absolute() / "state"
    shutil.rmtree(state, ignore_errors=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HC_")}
    environment["HC_DATA_DIR"] = str(state)
    settings = Settings.from_environment(environment)
    stderr.print(f"{len(samples)} samples written to {images}; starting a worker")
    with _worker(environment, state), open_database(settings) as database:
        options = Options(pixel_sizes=images / PIXEL_SIZES)
        submission = submit(settings, [images], options)
        done = follow(database, submission.batch, LIMIT_S)
        rows = {Path(row.source).name: row for row in select_rows(database, Filter())}
    if not done.finished:
        stderr.print(f"not finished after {LIMIT_S:.0f} s; see {state / 'worker.log'}")
        sys.exit(EXIT_NOT_FINISHED)
    as_expected = [_as_expected(sample, rows.get(sample.name)) for sample in samples]
    stdout.print(_table(samples, rows))
    stderr.print(f"{counts_line(done.counts, done.skipped)}; {NOTICE}")
    stderr.print(f"all columns: HC_DATA_DIR={folder / 'state'} hc-batch results --format csv")
    if not all(as_expected):
        stderr.print("some samples did not come out as expected")
        sys.exit(EXIT_UNEXPECTED)


@contextmanager
def _worker(environment: dict[str, str], state: Path) -> Iterator[None]:
    state.mkdir(parents=True)
    with (state / "worker.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "worker"], env=environment, stdout=log, stderr=log
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(_WORKER_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def _as_expected(sample: Sample, row: ReportRow | None) -> bool:
    if row is None:
        return False
    if sample.hc_mm is None:
        return row.status == Status.REJECTED
    return row.sizes.hc_mm is not None and abs(row.sizes.hc_mm / sample.hc_mm - 1) < TOLERANCE


def _table(samples: list[Sample], rows: dict[str, ReportRow]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("file", "what it is", "status"):
        table.add_column(heading, no_wrap=True)
    for heading in ("truth mm", "HC mm", "diff. mm"):
        table.add_column(heading, justify="right")
    table.add_column("code or flags")
    for sample in samples:
        row = rows.get(sample.name)
        if row is None:
            table.add_row(sample.name, sample.note, "missing")
            continue
        hc_mm, truth_mm = row.sizes.hc_mm, sample.hc_mm
        apart = "" if hc_mm is None or truth_mm is None else f"{hc_mm - truth_mm:+.1f}"
        status = Status(row.status)
        table.add_row(
            sample.name,
            sample.note,
            Text(status, STYLES.get(status, "")),
            number(truth_mm),
            number(hc_mm),
            apart,
            row.code or " ".join(row.ellipse.flags),
        )
    return table
