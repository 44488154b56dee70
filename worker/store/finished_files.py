"""What the ledger holds of the files of a watched folder, and how their scans ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, select

from worker.result import Status
from worker.store.batches import PENDING
from worker.store.session import Database
from worker.store.tables import ScanRow

_REFUSED = (Status.REJECTED, Status.FAILED)


@dataclass(frozen=True, slots=True)
class TakenFile:
    """What stands of a file's frames in the ledger; ``sha256`` once it was read."""

    version: str
    status: Status
    sha256: str | None


def taken_files(
    database: Database, batch_id: str, sources: Sequence[str]
) -> dict[str, list[TakenFile]]:
    """Return what the batch holds of each source, the oldest first."""
    taken: dict[str, list[TakenFile]] = {}
    with database.reading() as connection:
        rows = connection.execute(
            select(ScanRow.source, ScanRow.version, ScanRow.state, ScanRow.sha256)
            .where(ScanRow.batch_id == batch_id, ScanRow.source.in_(sources))
            .order_by(ScanRow.id)
        )
        for source, version, state, sha256 in rows:
            taken.setdefault(source, []).append(TakenFile(version, Status(state), sha256))
    return taken


def endings(
    database: Database, batch_id: str, sources: Sequence[str]
) -> dict[tuple[str, str], str | None]:
    """Return a refused frame's code or None, by source and version, where no frame is pending."""
    code = func.coalesce(ScanRow.code, ScanRow.state)
    with database.reading() as connection:
        rows = connection.execute(
            select(
                ScanRow.source, ScanRow.version, func.min(case((ScanRow.state.in_(_REFUSED), code)))
            )
            .where(ScanRow.batch_id == batch_id, ScanRow.source.in_(sources))
            .group_by(ScanRow.source, ScanRow.version)
            .having(func.sum(case((ScanRow.state.in_(PENDING), 1), else_=0)) == 0)
        )
        return {(source, version): refusal for source, version, refusal in rows}
