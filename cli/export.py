"""``hc-batch export``: measurements as objects that hospitals' systems read."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import click

from cli.console import stderr
from cli.exit_codes import EXIT_OK, EXIT_SOME_REFUSED
from cli.filter_words import Asked
from cli.options import GivenPath, filter_options
from worker.plain_text import visible
from worker.reports.objects.forms import OBJECT_FORMS
from worker.result import NOTICE
from worker.settings import Settings
from worker.store.session import open_database

_NAMED = 20  # lines that fit a terminal


@click.command()
@filter_options
@click.option("--limit", type=click.IntRange(1, 10**9), help="The newest N rows.")
@click.option(
    "--format",
    "form_name",
    required=True,
    type=click.Choice(list(OBJECT_FORMS)),
    help="DICOM SR (TID 1500, or TID 5000 for obstetrics), DICOM secondary capture, FHIR R4, "
    "HC18's table.",
)
@click.option(
    "--out",
    "folder",
    required=True,
    type=GivenPath(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where the files go: one per scan; per study with dicom-sr-obgyn; one table with hc18.",
)
@click.option(
    "--with-patient",
    is_flag=True,
    help="Copy the source's patient module into DICOM objects: only for its own archive.",
)
def command(
    which: Asked,
    limit: int | None,
    form_name: str,
    folder: Path,
    with_patient: bool,
) -> None:
    """Write measurements as objects into a folder, of all batches or of BATCH.

    Rows without an HC have none. The same measurement makes the same bytes. Each object says that
    it is for research, preliminary and unverified; none is a medical device's.

    Example: hc-batch export last --format dicom-sr --out reports
    """
    # Loads arrays and DICOM: not for those who only ask for help.
    from worker.reports.objects.folder import export
    from worker.reports.objects.keyed_uid import uid_maker
    from worker.reports.objects.made import Making

    form = OBJECT_FORMS[form_name]
    if with_patient and not form.is_dicom:
        raise click.UsageError(f"--with-patient is for DICOM objects, not for {form_name}")
    settings = Settings.from_environment()
    how = Making(form, uid_maker(settings), settings.data_roots, with_patient)
    written, without = 0, 0
    problems: Counter[str] = Counter()
    with open_database(settings) as database:
        for each in export(database, which.filter(database), folder, how, limit=limit):
            written += each.path is not None
            without += each.without
            if each.problem is not None:
                problems[each.problem.code] += 1
                if problems.total() <= _NAMED:
                    name = visible(each.rows[0].source)
                    stderr.print(f"nothing of {name}: {each.problem} [{each.problem.code}]")
    if problems.total() > _NAMED:
        by_code = ", ".join(f"{count} {code}" for code, count in problems.most_common())
        stderr.print(f"nothing of {problems.total()} in all: {by_code}")
    stderr.print(f"{written} files in {folder}, {without} rows without an HC; {NOTICE}")
    sys.exit(EXIT_SOME_REFUSED if problems else EXIT_OK)
