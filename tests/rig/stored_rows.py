"""Rows put into a ledger without measuring anything, for what reads it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert, select

from worker.store.session import Database
from worker.store.tables import BatchRow, ResultRow, ScanRow

MODEL = "hc18 1"
_OF_SCAN = (
    "id",
    "source",
    "frame",
    "version",
    "code",
    "message",
    "sha256",
    "model",
    "duplicate_of",
)
_COPIED = (ScanRow.hc_mm, ScanRow.plane, ScanRow.flags)


def put_batch(database: Database, name: str, label: str = "/scans") -> str:
    """Add an empty batch; return its name."""
    row = {"id": name, "kind": "run", "request_key": name, "label": label}
    with database.writing() as connection:
        connection.execute(insert(BatchRow).values(row))
    return name


def put_row(
    database: Database, batch: str, source: str, status: str = "measured", **values: Any
) -> int:
    """Add a scan with this status and its result where it has ended; return the scan's id.

    ``values`` by column, of either table; ``changed_at`` is that of the scan, and ``measured_at``.
    """
    ended = status not in ("queued", "running")
    values = {"frame": 0, "version": "", "model": MODEL if ended else None} | values
    scan = {name: values[name] for name in _OF_SCAN if name in values}
    if "changed_at" in values:
        scan["changed_at"] = values["measured_at"] = values.pop("changed_at")
    with database.writing() as connection:
        if "duplicate_of" in scan:
            first = select(*_COPIED).where(ScanRow.id == scan["duplicate_of"])
            scan |= connection.execute(first).one()._mapping
        else:
            flags = " ".join(values.get("flags", ())) or None
            scan |= {"hc_mm": values.get("hc_mm"), "plane": values.get("plane"), "flags": flags}
        scan_id: int = connection.scalar(
            insert(ScanRow)
            .values(batch_id=batch, source=source, state=status, **scan)
            .returning(ScanRow.id)
        )
        if ended and status != "duplicate":
            kept = set(ResultRow.__table__.columns.keys()) - {"id"}
            of_result = {
                name: value for name, value in values.items() if name in kept and name != "id"
            }
            row = {"flags": (), "status": status, "scan_id": scan_id} | of_result
            connection.execute(insert(ResultRow).values(row))
    return scan_id
