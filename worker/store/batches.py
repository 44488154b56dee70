"""Batches: opened, filled, and known by what was asked for."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    TableValuedAlias,
    Text,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
    text,
    true,
    update,
)

from hcmodel.spacing import Spacing
from worker.errors import BatchAmbiguous, BatchUnknown
from worker.result import Status
from worker.store.clock import now
from worker.store.session import Database
from worker.store.tables import BatchRow, ScanRow, SkippedFileRow

LAST = "last"
_NAME = re.compile(r"[\w-]+", re.ASCII)

PENDING = (Status.QUEUED, Status.RUNNING)
FINAL = tuple(status for status in Status if status not in PENDING)


class BatchKind(StrEnum):
    """Who measures a batch: the command itself, or workers."""

    RUN = "run"
    SUBMIT = "submit"
    WATCH = "watch"


@dataclass(frozen=True, slots=True)
class NewScan:
    """A frame of a file to measure.

    ``manual`` is a person's pixel size, ``any_plane`` a person's word for head and plane.
    """

    source: str
    frame: int = 0
    manual: Spacing | None = None
    version: str = ""
    any_plane: bool = False


@dataclass(frozen=True, slots=True)
class NewSkip:
    """A file that is no scan, and why."""

    source: str
    code: str
    reason: str


def open_batch(database: Database, kind: BatchKind, request_key: str, label: str) -> str:
    """Return the name of the request's unfinished batch, or of a new one."""
    request_key, label = _storable(request_key), _storable(label)
    pending = exists().where(ScanRow.batch_id == BatchRow.id, ScanRow.state.in_(PENDING))
    # A watched folder never ends, and has one batch for ever.
    unfinished = (
        true() if kind is BatchKind.WATCH else or_(BatchRow.intake_done_at.is_(None), pending)
    )
    with database.writing() as connection:
        _one_at_a_time(connection, f"{kind}:{request_key}")
        unfinished_id: str | None = connection.scalar(
            select(BatchRow.id)
            .where(BatchRow.kind == kind, BatchRow.request_key == request_key, unfinished)
            .order_by(BatchRow.created_at.desc())
            .limit(1)
        )
        if unfinished_id is not None:
            return unfinished_id
        batch_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        row = {"id": batch_id, "kind": kind, "request_key": request_key, "label": label}
        connection.execute(database.insert_new(BatchRow).values(row))
        return batch_id


_NAMED = select(BatchRow.id).where(BatchRow.id == bindparam("name", type_=Text))


def find_batch(database: Database, name: str) -> str:
    """Return the batch of this name, or the only one whose name begins so; ``last`` is the newest.

    Raises ``BatchUnknown`` and ``BatchAmbiguous``.
    """
    if not _NAME.fullmatch(name):
        raise BatchUnknown(name)
    newest = select(BatchRow.id).order_by(BatchRow.created_at.desc(), BatchRow.id.desc()).limit(1)
    begun = select(BatchRow.id).where(BatchRow.id.startswith(name, autoescape=True))
    with database.reading() as connection:
        if connection.scalar(_NAMED, {"name": name}) is not None:
            return name
        ids = list(connection.scalars(newest if name == LAST else begun))
    if len(ids) == 1:
        return ids[0]
    raise BatchAmbiguous(f"{len(ids)} begin with {name}") if ids else BatchUnknown(name)


def label_of(database: Database, batch_id: str) -> str | None:
    """Return the paths that a batch was given, as one text; ``None`` where there is no batch."""
    with database.reading() as connection:
        return connection.scalar(select(BatchRow.label).where(BatchRow.id == batch_id))


def watched_folders(database: Database) -> list[Path]:
    """Return the folders that were ever watched, as they are called where that was."""
    with database.reading() as connection:
        labels = connection.scalars(
            select(BatchRow.label).where(BatchRow.kind == BatchKind.WATCH).distinct()
        )
        return sorted(map(Path, labels))


def _one_at_a_time(connection: Connection, name: str) -> None:
    """Let others with the same name wait here until this transaction has ended.

    Else two watchers of one folder would both find no batch, and open one each. SQLite has one
    writer anyway.
    """
    if connection.dialect.name == "postgresql":
        lock = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
        connection.execute(lock, {"name": name})


def insert_scans(
    database: Database, batch_id: str, scans: Sequence[NewScan], *, published: bool
) -> list[int]:
    """Add those that the batch does not hold yet; return their ids.

    ``published``: the caller sends their ids to the broker as soon as this has returned.
    """
    if not scans:
        return []
    manual = [scan.manual for scan in scans]
    columns: dict[str, list[Any]] = {
        "source": [scan.source for scan in scans],
        "frame": [scan.frame for scan in scans],
        "version": [scan.version for scan in scans],
        "manual_row_mm": [each and each.row_mm for each in manual],
        "manual_column_mm": [each and each.column_mm for each in manual],
        "any_plane": [scan.any_plane for scan in scans],
    }
    statement = database.insert_new(ScanRow).returning(ScanRow.id)
    same: dict[str, ColumnElement[Any]] = {"batch_id": literal(batch_id)}
    if published:
        same["published_at"] = now()
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            # Columns as arrays: to read a statement of thousands of values takes most of the time.
            rows = _unnested(columns)
            selected = select(*same.values(), *rows.c)
            added = connection.execute(
                statement.from_select([*same, *columns], selected), columns
            ).scalars()
        else:
            lines = [
                dict(zip(columns, line, strict=True))
                for line in zip(*columns.values(), strict=True)
            ]
            added = connection.execute(statement.values(same), lines).scalars()
        return sorted(added)


def _unnested(columns: Iterable[str]) -> TableValuedAlias:
    """Return PostgreSQL's table of arrays that are given by these names of ``ScanRow``."""
    arrays = [bindparam(name, type_=ARRAY(ScanRow.__table__.c[name].type)) for name in columns]
    return func.unnest(*arrays).table_valued(*columns).render_derived()


def insert_skipped(database: Database, batch_id: str, skipped: Sequence[NewSkip]) -> None:
    """Keep the names of files that are no scans, with the reason."""
    if not skipped:
        return
    rows = [
        {"batch_id": batch_id, "source": skip.source, "code": skip.code, "reason": skip.reason}
        for skip in skipped
    ]
    with database.writing() as connection:
        connection.execute(database.insert_new(SkippedFileRow), rows)


def finish_intake(database: Database, batch_id: str) -> None:
    """Note that all files of the request are in."""
    with database.writing() as connection:
        connection.execute(
            update(BatchRow).where(BatchRow.id == batch_id).values(intake_done_at=now())
        )


def require(connection: Connection, batch_id: str) -> None:
    """Raise ``BatchUnknown`` where there is no batch of this name."""
    if connection.scalar(select(BatchRow.id).where(BatchRow.id == batch_id)) is None:
        raise BatchUnknown(batch_id)


def _storable(text: str) -> str:
    """Return the text with escapes for the bytes of a path that are no UTF-8."""
    return text.encode(errors="backslashreplace").decode()
