"""``hc-batch fetch``: images of an archive into a folder and the queue."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.console import stderr
from cli.options import GivenPath, input_options
from worker import log
from worker.extras import extra
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.intake.discover import Options

_DATES = re.compile(r"\d{8}|\d{8}-|-\d{8}|\d{8}-\d{8}")


@click.command()
@click.argument(
    "folder", required=False, type=GivenPath(path_type=Path, file_okay=False), metavar="[DIR]"
)
@click.option(
    "--dicomweb",
    "archive",
    required=True,
    metavar="URL|NAME",
    help="The archive's address, before /studies; or a destination of kind stow, with its login.",
)
@click.option("--study", metavar="UID", help="Only this study.")
@click.option(
    "--study-date", metavar="DAY|FROM-TO", help="Only studies of these days: 20260101-20260131."
)
@click.option("--accession", metavar="NUMBER", help="Only the study of this accession number.")
@click.option(
    "--modality",
    "modalities",
    multiple=True,
    default=("US",),
    show_default=True,
    metavar="CODE",
    help="Series of this modality; SR for scanners' reports; may be given several times.",
)
@click.option("--limit", type=click.IntRange(min=1), help="At most so many objects now.")
@input_options
def command(
    folder: Path | None,
    archive: str,
    study: str | None,
    study_date: str | None,
    accession: str | None,
    modalities: tuple[str, ...],
    limit: int | None,
    options: Options,
) -> None:
    """Fetch what an archive has (QIDO-RS, WADO-RS) into DIR, and queue it.

    What lies in DIR is not fetched again; after an interrupt the same command goes on. Without DIR
    that is fetched/ in HC_DATA_DIR.

    Example: hc-batch fetch --dicomweb https://archive.example/dicom-web --study-date 20260101-
    """
    if study_date is not None and not _DATES.fullmatch(study_date):
        raise click.BadParameter("a day or a range: 20260101-20260131", param_hint="--study-date")
    settings = Settings.from_environment()
    log.configure(settings.log_level, settings.log_format)
    with extra("hospital"):
        # An extra; and nobody who asks for help should wait for it.
        from worker.hospital.destinations import web_archive
        from worker.hospital.fetch import Wanted, fetch
    wanted = Wanted(modalities, study, study_date, accession, limit)
    done = fetch(
        settings,
        web_archive(settings, archive),
        wanted,
        folder or settings.data_dir / "fetched",
        options,
    )
    words = f"{done.new} fetched, {done.present} here before, {done.skipped} of no use"
    batch = "nothing to queue" if done.submission is None else f"batch {done.submission.batch}"
    stderr.print(f"{words}; {batch}")
