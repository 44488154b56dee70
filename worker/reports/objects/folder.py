"""Objects of rows into a folder: a file per scan, per study, or one table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.errors import HcBatchError
from worker.reports.objects.forms import Form
from worker.reports.objects.made import MadeObject, Making, make_objects
from worker.reports.output_file import replacing_bytes
from worker.reports.pictures.folder import frame_mark, make_folder, safe_stem
from worker.store.filter import Filter
from worker.store.rows import ReportRow, select_by_study, select_rows
from worker.store.session import Database

TABLE_NAME = "submission.csv"


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of some rows: ``path`` of their object, or ``problem``, why there is none.

    ``without``: how many of them have no HC.
    """

    rows: tuple[ReportRow, ...]
    without: int
    path: Path | None = None
    problem: HcBatchError | None = None


def export(
    database: Database,
    which: Filter,
    folder: Path,
    how: Making,
    *,
    limit: int | None = None,
) -> Iterator[Exported]:
    """Write the objects of the rows; yield what became of each, in order.

    The same rows make the same bytes. Raises ``OutputUnwritable``, ``DiskFull``, ``ExtraMissing``.
    """
    make_folder(folder)
    for made in make_objects(groups(database, which, how.form, limit), how):
        yield _written(made, folder, how.form)


def groups(
    database: Database, which: Filter, form: Form, limit: int | None
) -> Iterator[list[ReportRow]]:
    """Yield the rows that go into one object together."""
    if form.by_study:
        return select_by_study(database, which, limit=limit)
    rows = select_rows(database, which, limit=limit, newest_first=limit is not None)
    return iter([list(rows)]) if form.is_table else ([row] for row in rows)


def _written(made: MadeObject, folder: Path, form: Form) -> Exported:
    if made.content is None:
        return Exported(made.rows, made.without, problem=made.problem)
    path = folder / object_name(form, made.rows)
    with replacing_bytes(path) as file:
        file.write(made.content)
    return Exported(made.rows, made.without, path)


def object_name(form: Form, rows: tuple[ReportRow, ...]) -> str:
    """Return a file's name that begins with the number of its first scan."""
    if form.is_table:
        return TABLE_NAME
    row = rows[0]
    if form.by_study:
        return f"{row.scan_id:06}-study{form.suffix}"
    return f"{row.scan_id:06}-{safe_stem(row.source)}{frame_mark(row.frame)}{form.suffix}"
