"""A ledger in SQLite whose clock stands still until it is moved: both sides of every bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, event, select

from worker.store.batches import BatchKind, NewScan, finish_intake, insert_scans, open_batch
from worker.store.session import Database, make_engine
from worker.store.tables import AttemptRow, Base, ScanRow

BEGUN = datetime(2026, 1, 31, 8, tzinfo=UTC)


class ClockedLedger(Database):
    """``present`` is the time, in whole milliseconds; tables without views."""

    present = BEGUN

    def wait_s(self, seconds: float) -> datetime:
        """Move the clock on; return the new present."""
        self.present += timedelta(seconds=seconds)
        return self.present

    def put(
        self, batch: str, count: int, kind: BatchKind = BatchKind.SUBMIT, *, published: bool = True
    ) -> list[int]:
        """Add scans ``/BATCH/0`` and so on to the open batch of this key; return their ids."""
        opened = open_batch(self, kind, batch, f"/{batch}")
        scans = [NewScan(f"/{batch}/{number}") for number in range(count)]
        ids = insert_scans(self, opened, scans, published=published)
        finish_intake(self, opened)
        return ids

    def scan(self, scan_id: int) -> Any:
        """Return the scan's row."""
        with self.reading() as connection:
            return connection.execute(select(ScanRow.__table__).where(ScanRow.id == scan_id)).one()

    def values(self, *columns: ColumnElement[Any] | Any) -> list[Any]:
        """Return the columns of all rows, in the order of the first."""
        with self.reading() as connection:
            rows: Sequence[Any] = connection.execute(select(*columns).order_by(columns[0])).all()
        return [tuple(row) for row in rows]

    def history(self) -> list[tuple[Any, ...]]:
        """Return scan, number, event, owner, code and time of all that happened, in order."""
        of = AttemptRow
        columns = (of.id, of.scan_id, of.number, of.event, of.owner, of.code, of.at)
        return [row[1:] for row in self.values(*columns)]


@contextmanager
def clocked_ledger(path: Path) -> Iterator[ClockedLedger]:
    """Open a new ledger in this file."""
    ledger = ClockedLedger(make_engine(f"sqlite:///{path}"))

    def strftime(form: str, present: str, offset: str) -> str:
        assert (form, present) == ("%Y-%m-%d %H:%M:%f000", "now")
        seconds, unit = offset.split()
        assert unit == "seconds"
        return f"{ledger.present + timedelta(seconds=float(seconds)):%Y-%m-%d %H:%M:%S.%f}"

    def use_clock(connection: Any, _: object) -> None:
        connection.create_function("strftime", 3, strftime)

    event.listen(ledger.engine, "connect", use_clock)
    with ledger.writing() as connection:
        Base.metadata.create_all(connection)
    try:
        yield ledger
    finally:
        ledger.close()
