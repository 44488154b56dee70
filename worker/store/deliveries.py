"""Objects to be sent: asked for once, claimed for a while, sent or refused.

A delivery names what is to be sent, never its bytes: these are made anew for each try, and are the
same each time, so that an archive that got them before takes them for what they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import ColumnElement, exists, func, select, update

from worker.result import Status
from worker.store.clock import now
from worker.store.filter import Filter, conditions, scans_with_results
from worker.store.owner import is_known_dead
from worker.store.session import Database
from worker.store.tables import RESULT_COLUMNS, DeliveryRow, ScanRow

FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 600.0
"""Between two tries: an archive that is away for a night is asked every ten minutes."""
LEASE_S = 120.0
"""For so long a claimed delivery is its owner's: longer than making and sending one may take."""


class DeliveryState(StrEnum):
    """Where a delivery stands."""

    QUEUED = "queued"
    SENT = "sent"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One that its owner may try now; ``attempt`` counts from 1."""

    id: int
    scan_id: int
    form: str
    attempt: int
    owner: str


def enqueue(database: Database, destination: str, form: str, which: Filter, by_study: bool) -> int:
    """Ask for the objects of all rows with an HC that were never asked for; return how many.

    ``by_study``: one for each study, under the number of its last scan.
    """
    study = RESULT_COLUMNS["study_instance_uid"]
    subject = func.max(ScanRow.id) if by_study else ScanRow.id
    chosen = (
        select(subject.label("scan_id"))
        .select_from(scans_with_results())
        .where(
            *conditions(which),
            ScanRow.state.in_((Status.MEASURED, Status.FLAGGED)),
            RESULT_COLUMNS["hc_mm"].is_not(None),
        )
    )
    if by_study:
        chosen = chosen.where(study.is_not(None)).group_by(study)
    found = chosen.subquery()
    asked = exists().where(
        DeliveryRow.destination == destination,
        DeliveryRow.form == form,
        DeliveryRow.scan_id == found.c.scan_id,
    )
    new = select(found.c.scan_id).where(~asked).order_by(found.c.scan_id)
    with database.writing() as connection:
        scan_ids = connection.scalars(new).all()
        rows = [
            {"destination": destination, "form": form, "scan_id": scan_id} for scan_id in scan_ids
        ]
        for part in _parts(rows):
            connection.execute(database.insert_new(DeliveryRow), part)
    return len(rows)


def _parts(rows: Sequence[dict[str, object]]) -> Iterable[list[dict[str, object]]]:
    for start in range(0, len(rows), 1000):
        yield list(rows[start : start + 1000])


def claim_due(
    database: Database, destination: str, owner: str, *, limit: int, form: str | None = None
) -> list[Delivery]:
    """Take deliveries whose time has come, also those of owners that fell silent."""
    where: list[ColumnElement[bool]] = [
        DeliveryRow.destination == destination,
        DeliveryRow.state == DeliveryState.QUEUED,
        DeliveryRow.due_at <= now(),
    ]
    if form is not None:
        where.append(DeliveryRow.form == form)
    chosen = (
        select(DeliveryRow.id)
        .where(*where)
        .order_by(DeliveryRow.due_at, DeliveryRow.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    with database.writing() as connection:
        rows = connection.execute(
            update(DeliveryRow)
            .where(DeliveryRow.id.in_(select(chosen.c.id)))
            .values(owner=owner, attempts=DeliveryRow.attempts + 1, due_at=now(LEASE_S))
            .returning(DeliveryRow.id, DeliveryRow.scan_id, DeliveryRow.form, DeliveryRow.attempts)
        ).all()
    found = [Delivery(row.id, row.scan_id, row.form, row.attempts, owner) for row in rows]
    return sorted(found, key=lambda delivery: delivery.id)


def sent(database: Database, delivery: Delivery, object_uid: str, *, committed: bool) -> bool:
    """Record that the archive has it; return whether the delivery still was its owner's."""
    return _end(
        database,
        delivery,
        state=DeliveryState.SENT,
        object_uid=object_uid,
        code=None,
        message=None,
        committed_at=now() if committed else None,
    )


def refuse(
    database: Database, delivery: Delivery, code: str, message: str, object_uid: str | None = None
) -> bool:
    """Record why it never will be sent; return whether it still was its owner's."""
    return _end(
        database,
        delivery,
        state=DeliveryState.REFUSED,
        code=code,
        message=message,
        object_uid=object_uid,
    )


def put_off(database: Database, delivery: Delivery, code: str, message: str) -> float:
    """Let it be tried again, later each time; return in how many seconds."""
    pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (delivery.attempt - 1))
    _end(database, delivery, code=code, message=message, due_at=now(pause_s), owner=None)
    return pause_s


def give_back(database: Database, deliveries: Sequence[Delivery]) -> None:
    """Free claimed ones that were not tried after all; the try does not count."""
    for delivery in deliveries:
        _end(database, delivery, owner=None, due_at=now(), attempts=DeliveryRow.attempts - 1)


def free_of_the_dead(database: Database, destination: str) -> int:
    """Free at once what owners hold that died on this machine; return how many."""
    held = [DeliveryRow.destination == destination, DeliveryRow.state == DeliveryState.QUEUED]
    with database.writing() as connection:
        owners = connection.scalars(
            select(DeliveryRow.owner).where(*held, DeliveryRow.owner.is_not(None)).distinct()
        ).all()
        dead = [owner for owner in owners if owner is not None and is_known_dead(owner)]
        return connection.execute(
            update(DeliveryRow)
            .where(*held, DeliveryRow.owner.in_(dead))
            .values(owner=None, due_at=now())
        ).rowcount


def _end(database: Database, delivery: Delivery, **values: object) -> bool:
    if "state" in values:
        values |= {"owner": None, "changed_at": now()}
    with database.writing() as connection:
        changed = connection.execute(
            update(DeliveryRow)
            .where(
                DeliveryRow.id == delivery.id,
                DeliveryRow.owner == delivery.owner,
                DeliveryRow.attempts == delivery.attempt,
                DeliveryRow.state == DeliveryState.QUEUED,
            )
            .values(**values)
        ).rowcount
    return changed == 1


def retry_refused(database: Database, destination: str) -> int:
    """Queue refused deliveries again; return how many."""
    with database.writing() as connection:
        return connection.execute(
            update(DeliveryRow)
            .where(
                DeliveryRow.destination == destination,
                DeliveryRow.state == DeliveryState.REFUSED,
            )
            .values(state=DeliveryState.QUEUED, attempts=0, due_at=now(), changed_at=now())
        ).rowcount


def tally(database: Database, destination: str) -> dict[tuple[str, str | None], int]:
    """Return how many deliveries stand where, by state and code."""
    statement = (
        select(DeliveryRow.state, DeliveryRow.code, func.count())
        .where(DeliveryRow.destination == destination)
        .group_by(DeliveryRow.state, DeliveryRow.code)
    )
    with database.reading() as connection:
        return {(state, code): count for state, code, count in connection.execute(statement)}


def standing(database: Database) -> dict[tuple[str, str], int]:
    """Return how many deliveries stand where, by destination and state."""
    key = (DeliveryRow.destination, DeliveryRow.state)
    with database.reading() as connection:
        rows = connection.execute(select(*key, func.count()).group_by(*key))
        return {(destination, state): count for destination, state, count in rows}


def next_due_s(database: Database, destination: str) -> float | None:
    """Return in how many seconds the next one is due; ``None`` where none is queued."""
    statement = select(func.min(DeliveryRow.due_at), now()).where(
        DeliveryRow.destination == destination, DeliveryRow.state == DeliveryState.QUEUED
    )
    with database.reading() as connection:
        due, present = connection.execute(statement).one()
    return None if due is None else max(0.0, (due - present).total_seconds())
