"""How soon a ledger of a million rows answers what people ask, and how fast it is exported."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, insert, text

from worker.bench.processes import peak_mb
from worker.bench.servers import Figure, databases
from worker.reports.exam_facts import sources_of
from worker.reports.extract import extract_rows
from worker.reports.forms import write
from worker.reports.studies import select_studies
from worker.reports.study_rows import study_rows
from worker.result import Status
from worker.settings import Settings
from worker.store.filter import Filter
from worker.store.rows import count_rows, select_rows
from worker.store.session import Database, open_database
from worker.store.tables import BatchRow

_PAGE = 50
_TRIES = 3
_WARM_UP = 70_000  # rows, after which more of them should need no more memory
_FIRST_S = 1_767_225_600  # 2026-01-01
_EVERY_S = 30
_STUDY = "1.2.826.0.1.3680043.8.498.{}"
_IMAGES = 4  # to a study

_BATCHES = 10
BATCH = f"2026-{_BATCHES // 2}"
"""One in the middle, as ``fill`` names it."""
LATE = 7919
"""A prime number of rows: steps of it meet rows of every kind and batch."""
_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
# Of 100 rows 80 are measured, 11 flagged, 5 rejected, 1 failed and 3 the same as one before.
_STATE = (
    "CASE WHEN i % 100 < 80 THEN 'measured' WHEN i % 100 < 91 THEN 'flagged'"
    " WHEN i % 100 < 96 THEN 'rejected' WHEN i % 100 < 97 THEN 'failed' ELSE 'duplicate' END"
)
_CODE = "CASE s WHEN 'rejected' THEN 'no-head' WHEN 'failed' THEN 'decode-timeout' END"
_MESSAGE = (
    "CASE WHEN s IN ('rejected', 'failed') THEN 'No fetal head was found. Look at the image; submit"
    " one in the standard plane for HC.' END"
)
_SHA256 = "'ab34cd8f7890123456789012345678901234567890123456789012345' || (1000000 + i)"
_HC = "(100.123456 + (({}) % 2503) / 10.0)"
"""Of 2503 that differ."""
_PLANE = "CASE WHEN i % 5 = 0 THEN 'other-head' ELSE 'trans-thalamic' END"
_FLAGS = (
    "CASE WHEN s <> 'flagged' THEN '' WHEN i % 3 = 0 THEN 'cut-by-border'"
    " WHEN i % 3 = 1 THEN 'low-confidence plane-unsure' ELSE 'not-hc-plane' END"
)
_OF_SCAN = {
    "id": "i",
    "batch_id": "'2026-' || ((i - 1) * {batches} / {rows})",
    # One in 16 is a file that came before.
    "source": "'/scans/' || (i / 1000) || '/image-' || (i - CASE WHEN i % 16 = 0 THEN 8 ELSE 0 END)"
    " || '.dcm'",
    "frame": "0",
    "version": "CASE WHEN i % 16 = 0 THEN '2' ELSE '' END",
    "state": "s",
    "code": _CODE,
    "message": _MESSAGE,
    "attempts": "1",
    "changed_at": "{at}",
    "sha256": _SHA256,
    "model": "'hc18 1 (0123abcd)'",
    "duplicate_of": "CASE s WHEN 'duplicate' THEN i - 20 END",
    "hc_mm": f"CASE s WHEN 'duplicate' THEN {_HC.format('i - 20')} ELSE hc END",
    "plane": _PLANE,
    "flags": f"nullif({_FLAGS}, '')",
}
_OF_RESULT = {
    "scan_id": "i",
    "content_key": "CASE WHEN hc IS NOT NULL THEN 'k' || i END",
    "measured_at": "{at}",
    "status": "s",
    "model": _OF_SCAN["model"],
    "code": _CODE,
    "message": _MESSAGE,
    "hc_mm": "hc",
    "hc_low_mm": "hc - 2.123456",
    "hc_high_mm": "hc + 2.234567",
    "bpd_mm": "hc / 3.6",
    "ofd_mm": "hc / 2.8",
    "ga_weeks": "hc / 8.123",
    "ga_formula": "'hadlock-1984'",
    "row_mm": "0.1541234",
    "column_mm": "0.1541234",
    "spacing_source": "'us-region'",
    "center_x_px": "400.0 + hc / 7.7",
    "center_y_px": "270.0 - hc / 9.1",
    "semi_axis_a_px": "hc * 1.7123",
    "semi_axis_b_px": "hc * 1.3123",
    "angle_rad": "hc / 1000.0 - 0.2",
    "confidence": "CASE WHEN hc IS NOT NULL THEN 0.5 + (i % 4999) / 10000.0 END",
    "flags": _FLAGS,
    "sop_instance_uid": "'1.2.826.0.1.3680043.8.498.1.' || i",
    "study_instance_uid": "'" + _STUDY.format("' || (i / {images})"),
    "series_instance_uid": "'1.2.826.0.1.3680043.8.498.7.' || (i / {images})",
    "sha256": _SHA256,
    "decoder": "'pydicom'",
    "region_index": "0",
    "region_box": "'0,0,800,540'",
    "delta_x_cm": "0.01541234",
    "delta_y_cm": "0.01541234",
    "rows": "540",
    "columns": "800",
    "plane": _PLANE,
    "plane_confidence": "0.98765432",
    "plane_source": "'gate'",
    "study_date": "{day}",
    "machine": "'GE Healthcare Voluson E' || (i % 3)",
    "software_version": "'21.0.' || (i % 4)",
}


_FILTERS = {
    "--status": Filter(statuses=(Status.FLAGGED,)),
    "--code": Filter(codes=("no-head",)),
    "--flag": Filter(flags=("cut-by-border",)),
    "--flag of no row": Filter(flags=("weak-fit",)),
    "--hc-from and --hc-to": Filter(hc_from_mm=170.0, hc_to_mm=180.0),
    "--hc-to of no row": Filter(hc_to_mm=20.0),
    "--plane": Filter(planes=("trans-thalamic",)),
    "--model": Filter(models=("hc18",)),
    "--path": Filter(source="/image-77"),
}


def bench_results(folder: Path, rows: int) -> Iterator[Figure]:
    """Fill ledgers with so many rows, ask and export them; yield lines as they are known."""
    for name, url in databases(folder):
        settings = Settings.from_environment({"HC_DATA_DIR": str(folder), "HC_DATABASE_URL": url})
        with open_database(settings) as database:
            fill(database, rows)
            for what, ask in _questions(database, rows).items():
                least_s = min(_seconds(ask) for _ in range(_TRIES))
                yield Figure(f"{name}, {what}", 1000 * least_s, "ms")
            for what, which in _FILTERS.items():
                least_s = min(_seconds(partial(count_rows, database, which)) for _ in range(_TRIES))
                yield Figure(f"{name}, {what}, counted", 1000 * least_s, "ms")
            _studies(database, rows // 20)
            before_mb = peak_mb()
            of_all_s = _seconds(partial(_studies, database))
            yield Figure(f"{name}, --per study of all", rows / of_all_s, "rows/s")
            yield Figure(f"{name}, --per study of all, memory beyond", peak_mb() - before_mb, "MB")
            for form in ("csv", "parquet"):
                write_rows = partial(_export, database, folder / f"rows.{form}", form)
                write_rows(limit=_WARM_UP)
                before_mb = peak_mb()
                yield Figure(f"{name}, {form}", rows / _seconds(write_rows), "rows/s")
                yield Figure(f"{name}, {form}, memory beyond", peak_mb() - before_mb, "MB")


def fill(database: Database, rows: int) -> None:
    """Put rows of every kind into an empty ledger, as a year of two machines would."""
    with database.writing() as connection:
        for number in range(_BATCHES):
            batch = {"id": f"2026-{number}", "kind": "run", "request_key": "", "label": "/scans"}
            connection.execute(insert(BatchRow).values(batch))
        _insert(connection, "scans", _OF_SCAN, rows, "TRUE")
        _insert(connection, "results", _OF_RESULT, rows, "s <> 'duplicate'")
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT setval('scans_id_seq', :rows)"), {"rows": rows})
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # PostgreSQL would clear up by itself within minutes, in the middle of a measurement.
        is_sqlite = connection.dialect.name == "sqlite"
        connection.exec_driver_sql("ANALYZE" if is_sqlite else "VACUUM (ANALYZE)")


def last_day(rows: int) -> datetime:
    """Return a day before the last of so many rows."""
    return datetime.fromtimestamp(_FIRST_S + rows * _EVERY_S, UTC) - timedelta(days=1)


def _insert(
    connection: Connection, table: str, values: dict[str, str], rows: int, which: str
) -> None:
    at_s = f"({_FIRST_S} + i * {_EVERY_S})"
    if connection.dialect.name == "sqlite":
        at = f"strftime('%Y-%m-%d %H:%M:%f000', {at_s}, 'unixepoch')"
        day = f"date({at_s}, 'unixepoch')"
    else:
        at, day = f"to_timestamp({at_s})", f"CAST(to_timestamp({at_s}) AS date)"
    made = {
        name: value.format(at=at, day=day, rows=rows, batches=_BATCHES, images=_IMAGES)
        for name, value in values.items()
    }
    hc = f"CASE WHEN s IN ('measured', 'flagged') THEN {_HC.format('i')} END"
    connection.exec_driver_sql(
        f"{_NUMBERS.format(rows=rows)} INSERT INTO {table} ({', '.join(made)})"
        f" SELECT {', '.join(made.values())}"
        f" FROM (SELECT i, s, {hc} AS hc FROM (SELECT i, {_STATE} AS s FROM n) p) q"
        f" WHERE {which} ORDER BY i",
        execution_options={"no_parameters": True},
    )


def _questions(database: Database, rows: int) -> dict[str, Callable[[], object]]:
    def page(which: Filter) -> Callable[[], object]:
        return lambda: list(select_rows(database, which, limit=_PAGE, newest_first=True))

    return {
        "first page": page(Filter()),
        "first page of a batch": page(Filter(batch=BATCH)),
        "--since yesterday": page(Filter(since=last_day(rows))),
        "--latest": page(Filter(latest=True)),
        "--study": page(Filter(study=_STUDY.format(rows // _IMAGES // 2))),
        "--per study": lambda: _studies(database, _PAGE),
    }


def _studies(database: Database, limit: int | None = None) -> None:
    for studies in select_studies(database, Filter(), limit):
        for _ in study_rows(studies, sources_of(database, studies.uids)):
            pass


def _export(database: Database, path: Path, form: str, limit: int | None = None) -> None:
    with path.open("wb") as file:
        write(extract_rows(database, Filter(), limit=limit), form, file)


def _seconds(ask: Callable[[], object]) -> float:
    begun_s = time.perf_counter()
    ask()
    return time.perf_counter() - begun_s
