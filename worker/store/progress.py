"""How far batches have come: always counted in the ledger, never in the broker."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, case, func, select

from worker.result import Status
from worker.store.batches import FINAL, PENDING, BatchKind, NewSkip, require
from worker.store.clock import now
from worker.store.session import Database
from worker.store.tables import BatchRow, ScanRow, SkippedFileRow

_RATE_WINDOW_S = 60.0  # several chunks, and soon over when workers come or go


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a batch, or with ``batch`` None everything, has come.

    ``rate_per_s`` is that of the last minute; ``remaining_s`` follows from it. Unknown is None.
    """

    batch: str | None
    counts: dict[Status, int]
    skipped: int
    intake_done: bool
    rate_per_s: float | None

    @property
    def total(self) -> int:
        """Scans submitted so far."""
        return sum(self.counts.values())

    @property
    def pending(self) -> int:
        """Scans that are queued or running."""
        return sum(self.counts[status] for status in PENDING)

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.intake_done and not self.pending

    @property
    def remaining_s(self) -> float | None:
        """Seconds to the end at the present rate."""
        if not self.pending:
            return 0.0
        return self.pending / self.rate_per_s if self.rate_per_s else None


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """A batch, and how many of its scans stand where."""

    batch: str
    kind: str
    label: str
    created_at: datetime
    intake_done: bool
    counts: dict[Status, int]


@dataclass(frozen=True, slots=True)
class Census:
    """The whole ledger at a moment; ``codes``: why scans ended without an HC."""

    counts: dict[Status, int]
    codes: dict[str, int]
    oldest_queued_s: float


def census(database: Database) -> Census:
    """Return what a monitor asks for, in one consistent view."""
    refused = ScanRow.state.in_((Status.REJECTED, Status.FAILED))
    codes = select(ScanRow.code, func.count()).where(refused).group_by(ScanRow.code)
    oldest = select(func.min(ScanRow.queued_at), now()).where(ScanRow.state == Status.QUEUED)
    with database.reading() as connection:
        since, present = connection.execute(oldest).one()
        return Census(
            counts=_counts(connection, []),
            codes={code or "": count for code, count in connection.execute(codes)},
            oldest_queued_s=0.0 if since is None else (present - since).total_seconds(),
        )


def counts(database: Database, batch_id: str | None = None) -> dict[Status, int]:
    """Count scans by state, of one batch or of all."""
    with database.reading() as connection:
        return _counts(connection, _of(batch_id))


def progress(database: Database, batch_id: str | None = None) -> Progress:
    """Return how far one batch is, or all are, in one consistent view.

    Raises ``BatchUnknown``.
    """
    with database.reading() as connection:
        if batch_id is not None:
            require(connection, batch_id)
        open_intakes = select(func.count()).where(BatchRow.intake_done_at.is_(None))
        skipped = select(func.count(SkippedFileRow.id))
        if batch_id is not None:
            open_intakes = open_intakes.where(BatchRow.id == batch_id)
            skipped = skipped.where(SkippedFileRow.batch_id == batch_id)
        return Progress(
            batch=batch_id,
            counts=_counts(connection, _of(batch_id)),
            skipped=connection.scalar(skipped) or 0,
            intake_done=not connection.scalar(open_intakes),
            rate_per_s=_rate_per_s(connection, _of(batch_id)),
        )


def waits_for_workers(database: Database, batch_id: str | None = None) -> bool:
    """Return whether a scan of one batch, or of any, is pending that no ``run`` measures itself."""
    pending = (
        select(ScanRow.id)
        .join(BatchRow, BatchRow.id == ScanRow.batch_id)
        .where(*_of(batch_id), ScanRow.state.in_(PENDING), BatchRow.kind != BatchKind.RUN)
        .limit(1)
    )
    with database.reading() as connection:
        return connection.scalar(pending) is not None


def refusals_by_code(database: Database, batch_id: str) -> dict[str, int]:
    """Count a batch's rejected and failed scans by code, the most frequent first."""
    refused = ScanRow.state.in_((Status.REJECTED, Status.FAILED))
    by_code = (
        select(ScanRow.code, func.count())
        .where(ScanRow.batch_id == batch_id, refused)
        .group_by(ScanRow.code)
        .order_by(func.count().desc(), ScanRow.code)
    )
    with database.reading() as connection:
        return {code or "": count for code, count in connection.execute(by_code)}


def skips_by_code(database: Database, batch_id: str) -> dict[str, tuple[int, str]]:
    """Count a batch's skipped files by code, the most frequent first, with a reason they share."""
    reason = func.min(SkippedFileRow.reason)
    shared = case((reason == func.max(SkippedFileRow.reason), reason), else_="")
    by_code = (
        select(SkippedFileRow.code, func.count(), shared)
        .where(SkippedFileRow.batch_id == batch_id)
        .group_by(SkippedFileRow.code)
        .order_by(func.count().desc(), SkippedFileRow.code)
    )
    with database.reading() as connection:
        return {code: (count, reason) for code, count, reason in connection.execute(by_code)}


def wait(
    database: Database,
    batch_id: str,
    timeout_s: float | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
    poll_s: float = 0.5,
) -> Progress:
    """Follow a batch until it is finished or the time is over; ``finished`` tells which.

    Raises ``BatchUnknown``.
    """
    deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        present = progress(database, batch_id)
        on_progress(present)
        if present.finished or (deadline_s is not None and time.monotonic() >= deadline_s):
            return present
        time.sleep(poll_s)


def latest_batches(database: Database, limit: int = 20) -> list[BatchSummary]:
    """Return the newest batches, the newest first."""
    with database.reading() as connection:
        batches = connection.execute(
            select(
                BatchRow.id,
                BatchRow.kind,
                BatchRow.label,
                BatchRow.created_at,
                BatchRow.intake_done_at,
            )
            .order_by(BatchRow.created_at.desc(), BatchRow.id.desc())
            .limit(limit)
        ).all()
        return [
            BatchSummary(
                batch=row.id,
                kind=row.kind,
                label=row.label,
                created_at=row.created_at,
                intake_done=row.intake_done_at is not None,
                counts=_counts(connection, _of(row.id)),
            )
            for row in batches
        ]


def skipped_files(database: Database, batch_id: str, limit: int | None = None) -> list[NewSkip]:
    """Return a batch's files that are no scans, in the order in which they were met.

    Raises ``BatchUnknown``.
    """
    with database.reading() as connection:
        require(connection, batch_id)
        rows = connection.execute(
            select(SkippedFileRow.source, SkippedFileRow.code, SkippedFileRow.reason)
            .where(SkippedFileRow.batch_id == batch_id)
            .order_by(SkippedFileRow.id)
            .limit(limit)
        )
        return [NewSkip(*row) for row in rows]


def _of(batch_id: str | None) -> list[ColumnElement[bool]]:
    return [] if batch_id is None else [ScanRow.batch_id == batch_id]


def _counts(connection: Connection, where: list[ColumnElement[bool]]) -> dict[Status, int]:
    rows = connection.execute(
        select(ScanRow.state, func.count()).where(*where).group_by(ScanRow.state)
    )
    present = {Status(state): count for state, count in rows}
    return {status: present.get(status, 0) for status in Status}


def _rate_per_s(connection: Connection, where: list[ColumnElement[bool]]) -> float | None:
    """Return ends per second, over the part of the last minute in which there were any."""
    count, first, present = connection.execute(
        select(func.count(), func.min(ScanRow.changed_at), now()).where(
            *where, ScanRow.state.in_(FINAL), ScanRow.changed_at > now(-_RATE_WINDOW_S)
        )
    ).one()
    if count < 2:
        return None
    elapsed_s: float = (present - first).total_seconds()
    return count / elapsed_s if elapsed_s > 0 else None
