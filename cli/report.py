"""``hc-batch report``: what came out, as one page to look at or as a paragraph for a paper."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.console import stderr
from cli.exam_tables import ExamTables, exam_options, read_tables
from cli.filter_words import Asked
from cli.options import filter_options
from worker.plain_text import visible
from worker.reports.output_file import replacing
from worker.result import NOTICE
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.reports.document.compose import Gathered
    from worker.reports.document.gallery import Shown

PAGE, PARAGRAPH = "html", "md"
_NAMED = 20  # lines that fit a terminal


@click.command()
@filter_options
@click.option(
    "--format",
    "form",
    type=click.Choice([PAGE, PARAGRAPH]),
    help="A page, or Markdown for a paper.  [default: as the suffix of --out says, or html]",
)
@click.option(
    "--out",
    "target",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help="Write to this file; - is standard output.  [default: report.html; Markdown: -]",
)
@click.option(
    "--images",
    type=click.IntRange(0, 500),
    default=60,
    show_default=True,
    metavar="N",
    help="Small pictures in the page, at most.",
)
@click.option("--no-images", is_flag=True, help="No pictures: the page shows no patient's image.")
@exam_options
def command(
    which: Asked,
    form: str | None,
    target: Path | None,
    images: int,
    no_images: bool,
    tables: ExamTables,
) -> None:
    """Write a report of all batches or of BATCH: a name, the beginning of one, or last.

    One HTML file that needs no network: counts with remedies, sizes, rates, repeatability, a table
    that sorts and filters, and pictures of what a person must look at; they show patients' images.
    Markdown is methods and results for a paper. Research use only, not a medical device.

    Example: hc-batch report last --out report.html
    """
    from worker.reports.document.compose import as_page, as_paragraph, beside_others, gather
    from worker.store.rows import select_rows
    from worker.store.session import open_database

    form = form or (PARAGRAPH if target is not None and target.suffix == ".md" else PAGE)
    settings = Settings.from_environment()
    known = read_tables(tables, settings)
    with open_database(settings) as database:
        wanted = which.filter(database)
        title = "all batches" if wanted.batch is None else f"batch {wanted.batch}"
        found = gather(title, select_rows(database, wanted), settings.weights)
        sources = known.sources(database, found.studies.uids)
        count = 0 if no_images or form == PARAGRAPH else images
        found = beside_others(found, database, wanted, sources, settings.data_roots, count)
        found = replace(found, remarks=known.unused())
    _warn(found)
    if form == PARAGRAPH:
        text = as_paragraph(found)
        target = target or Path("-")
    else:
        text, absent = as_page(found, count, settings.data_roots)
        _name_absent(absent)
        target = target or Path("report.html")
    if target == Path("-"):
        sys.stdout.write(text)
        return
    with replacing(target) as file:
        file.write(text)
    stderr.print(f"{found.digest.total} rows in {target}; {NOTICE}")


def _warn(found: Gathered) -> None:
    if not found.digest.total:
        stderr.print("no row fits; leave filters out, or see the batches with hc-batch status")
    for said in found.remarks:
        stderr.print(said)


def _name_absent(absent: list[Shown]) -> None:
    for each in absent[:_NAMED]:
        stderr.print(f"no picture of {visible(each.row.source)}: {each.problem}")
    if len(absent) > _NAMED:
        stderr.print(f"no picture of {len(absent)} in all")
