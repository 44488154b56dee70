"""How the scans of a file ended, once all of them have."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import case, func, select

from worker.result import Status
from worker.store.batches import PENDING
from worker.store.session import Database
from worker.store.tables import ScanRow

_REFUSED = (Status.REJECTED, Status.FAILED)


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
