"""A report from rows: what it shows is gathered once, then written as a page or as a paragraph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from worker.plain_text import visible
from worker.reports.compared import compared
from worker.reports.document.comparisons import (
    agreement_section,
    growth_section,
    placed,
    reviews_section,
    studies_section,
)
from worker.reports.document.digest import Digest, digest_of
from worker.reports.document.gallery import Shown, missing, pictures_of
from worker.reports.document.methods import methods_of
from worker.reports.document.overview import sections_of, sentence_of
from worker.reports.document.page import Report, page_of
from worker.reports.document.provenance import Provenance, provenance
from worker.reports.document.section import Picture, Section
from worker.reports.exam_facts import Sources
from worker.reports.studies import Studies, sight_of
from worker.result import Status
from worker.roots import Roots
from worker.store.filter import Filter
from worker.store.listing import row_of
from worker.store.reviews import reviewed
from worker.store.rows import ReportRow
from worker.store.session import Database


@dataclass(frozen=True, slots=True)
class Gathered:
    """All that a report tells, before it has a form; ``remarks`` are what a reader must know."""

    title: str
    digest: Digest
    studies: Studies
    pairs_mm: Sequence[tuple[float, float]]
    made_with: Provenance
    remarks: Sequence[str] = ()
    extra: Sequence[Section] = ()


def gather(title: str, rows: Iterable[ReportRow], weights: Path) -> Gathered:
    """Read all rows once."""
    studies = Studies()
    digest = digest_of(_also(rows, studies))
    return Gathered(
        title=title,
        digest=digest,
        studies=studies,
        pairs_mm=list(studies.pairs_mm()),
        made_with=provenance(digest.models, weights),
    )


def beside_others(
    found: Gathered, database: Database, which: Filter, sources: Sources, roots: Roots, images: int
) -> Gathered:
    """Return the same with what others say: reports, tables, ages and reviewers.

    ``images``: whether there are pictures, of the worst cases too.
    """
    heads = list(sources.heads(found.studies))

    def pictures(words_by_scan: Mapping[int, str]) -> list[Picture]:
        found_rows = [row_of(database, scan_id) for scan_id in words_by_scan] if images else []
        rows = [row for row in found_rows if row is not None]
        return [
            picture_of_row(shown, words_by_scan[shown.row.scan_id])
            for shown in pictures_of(rows, len(rows), roots)
        ]

    sections = (
        studies_section(heads),
        agreement_section(list(compared(heads, sources)), pictures),
        growth_section(list(placed(heads, sources)), sources.chart),
        reviews_section(reviewed(database, which)),
    )
    return replace(found, extra=[each for each in sections if each is not None])


def as_page(found: Gathered, images: int, roots: Roots) -> tuple[str, list[Shown]]:
    """Return HTML, and the rows whose picture is missing; ``images``: pictures at most."""
    digest = found.digest
    shown = pictures_of(digest.first_rows, images, roots)
    absent = missing(shown)
    report = Report(
        title=found.title,
        sentence=sentence_of(digest),
        remarks=[*found.remarks, *_unseen(absent)],
        sections=[*sections_of(digest, found.pairs_mm), *found.extra],
        rows=digest.first_rows,
        left_out=digest.left_out,
        gallery=[picture_of_row(each) for each in shown],
        gallery_text="Flagged first, then refused, then the least sure; cropped to the region "
        "whose scale is known.",
        made_by=_made_by(found.made_with, digest),
    )
    return page_of(report), absent


def as_paragraph(found: Gathered) -> str:
    """Return Markdown."""
    return methods_of(found.digest, found.made_with, found.pairs_mm, found.extra)


def picture_of_row(shown: Shown, words: str = "") -> Picture:
    """Return a row's small picture with what a person must know of it."""
    row = shown.row
    sizes = row.sizes
    size = "no HC" if sizes.hc_mm is None else f"HC {sizes.hc_mm:.1f} mm"
    interval = ""
    if sizes.hc_low_mm is not None and sizes.hc_high_mm is not None:
        interval = f" ({sizes.hc_low_mm:.1f} to {sizes.hc_high_mm:.1f})"
    frame = f", frame {row.frame}" if row.frame else ""
    note = row.code or " ".join(row.ellipse.flags)
    name = f"scan {row.scan_id}{frame}"
    return Picture(
        heading=f"{size}{interval}, {row.status}",
        status=Status(row.status).value,
        text=", ".join(filter(None, (words, note, name))),
        address=shown.address,
        problem=shown.problem,
    )


def _also(rows: Iterable[ReportRow], studies: Studies) -> Iterator[ReportRow]:
    for row in rows:
        studies.add(sight_of(row))
        yield row


def _unseen(absent: Sequence[Shown]) -> list[str]:
    if not absent:
        return []
    return [f"{len(absent)} pictures are missing; each place says why, the rows are complete."]


def _made_by(made_with: Provenance, digest: Digest) -> str:
    models = ", ".join(sorted(map(visible, digest.models))) or "none"
    return (
        f"Written by hc-batch {made_with.product} at {datetime.now(UTC):%Y-%m-%d %H:%M} UTC; "
        f"instruments: {models}."
    )
