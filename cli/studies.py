"""One row per study, for ``hc-batch results --per study``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cli.console import stderr
from cli.exam_tables import ExamTables, read_tables, tell_unused
from cli.table import TableColumn, TextTable, lay_out, number
from worker.reports.studies import MEANINGS, Frames, NoStudyHc, select_studies
from worker.reports.study_rows import StudyRow, study_rows
from worker.store.rows import count_without_study

if TYPE_CHECKING:
    from worker.settings import Settings
    from worker.store.filter import Filter
    from worker.store.session import Database

_COLUMNS = (
    TableColumn("study"),
    TableColumn("fetus"),
    TableColumn("HC mm", is_right=True),
    TableColumn("\u00b1 mm", is_right=True),
    TableColumn("images", is_right=True),
    TableColumn("weeks", is_right=True),
    TableColumn("centile", is_right=True),
    TableColumn("theirs mm", is_right=True),
    TableColumn("reason"),
)


def studies_of(
    database: Database,
    which: Filter,
    settings: Settings,
    tables: ExamTables,
    frames: Frames,
    limit: int | None,
) -> Iterator[StudyRow]:
    """Yield the studies of these rows, then say how many have no HC, and why."""
    known = read_tables(tables, settings)
    reasons = Counter[str]()
    for studies in select_studies(database, which, limit):
        for row in study_rows(studies, known.sources(database, studies.uids), frames):
            reasons.update([row.reason] if row.reason else [])
            yield row
    for reason, count in reasons.items():
        stderr.print(f"{count} without HC, {reason}: {MEANINGS[NoStudyHc(reason)]}")
    if limit is None and (without := count_without_study(database, which)):
        stderr.print(f"{without} images name no study and are left out")
    tell_unused(known)


def studies_table(rows: Sequence[StudyRow], width: int) -> TextTable:
    """Return a table of the columns that fit a terminal; columns that say nothing are left out."""
    cells = [_cells(row) for row in rows]
    shown = [place for place in range(len(_COLUMNS)) if place < 1 or any(c[place] for c in cells)]
    columns = [_COLUMNS[place] for place in shown]
    return lay_out(columns, [[each[place] for place in shown] for each in cells], width)


def _cells(row: StudyRow) -> list[str]:
    half_mm = None
    if row.hc_low_mm is not None and row.hc_high_mm is not None:
        half_mm = (row.hc_high_mm - row.hc_low_mm) / 2
    return [
        row.study_instance_uid or "",
        row.fetus or "",
        number(row.hc_mm),
        number(half_mm),
        f"{row.images}",
        number(row.age_weeks),
        number(row.growth_centile),
        number(row.reference_hc_mm),
        row.reason or row.growth_reason or "",
    ]
