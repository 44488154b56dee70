"""Deliveries in both kinds of database: asked for once, owned by one, ended once."""

from __future__ import annotations

import subprocess
import sys

import pytest
from sqlalchemy import select

from rig.known_heads import store
from worker.result import FileIdentity, HeadSizes, Result, Status
from worker.store import deliveries
from worker.store.deliveries import claim_due, enqueue, next_due_s, put_off, refuse, sent, tally
from worker.store.filter import Filter
from worker.store.owner import new_owner
from worker.store.rows import select_by_study, select_rows
from worker.store.session import Database
from worker.store.tables import DeliveryRow

ALL = Filter()
FORM = "dicom-sr"


def result(number: int, study: str | None, hc_mm: float | None = 200.0) -> Result:
    status = Status.REJECTED if hc_mm is None else Status.MEASURED
    identity = FileIdentity(f"1.2.{number}", study, f"{number:064x}")
    return Result(status, "m", sizes=HeadSizes(hc_mm=hc_mm), file=identity)


@pytest.fixture
def database(database: Database) -> Database:
    """Three heads in two studies, one without a study, and a refusal."""
    rows = [(0, "1.2.8"), (1, "1.2.9"), (2, None), (3, "1.2.8")]
    results = [(f"/images/{number}", result(number, study)) for number, study in rows]
    store(database, [*results, ("/images/4", result(4, "1.2.8", None))])
    return database


def ids(database: Database, name: str) -> list[int]:
    chosen = select(DeliveryRow.scan_id).where(DeliveryRow.destination == name)
    with database.reading() as connection:
        return sorted(connection.scalars(chosen))


def test_each_measurement_is_asked_for_once(database: Database) -> None:
    by_source = {row.source: row.scan_id for row in select_rows(database)}
    scan_ids = [by_source[f"/images/{number}"] for number in range(4)]
    assert enqueue(database, "a", FORM, Filter(source="/images/1"), by_study=False) == 1
    assert enqueue(database, "a", FORM, ALL, by_study=False) == 3
    assert enqueue(database, "a", FORM, ALL, by_study=False) == 0
    assert enqueue(database, "a", "dicom-sc", ALL, by_study=False) == 4
    assert ids(database, "a") == sorted(2 * scan_ids)
    assert enqueue(database, "b", "dicom-sr-obgyn", ALL, by_study=True) == 2
    assert ids(database, "b") == [scan_ids[1], scan_ids[3]]


def test_one_owner_ends_a_delivery_once(database: Database) -> None:
    enqueue(database, "a", FORM, ALL, by_study=False)
    one = claim_due(database, "a", new_owner(), limit=3)
    other = claim_due(database, "a", new_owner(), limit=3)
    assert (len(one), len(other)) == (3, 1)
    assert not {each.id for each in one} & {each.id for each in other}
    assert sent(database, one[0], "1.2", committed=True)
    assert not sent(database, one[0], "1.2", committed=True)
    assert refuse(database, one[1], "class-refused", "no")
    assert put_off(database, one[2], "destination-busy", "full") == 2.0
    deliveries.give_back(database, other)
    assert tally(database, "a") == {
        ("sent", None): 1,
        ("refused", "class-refused"): 1,
        ("queued", "destination-busy"): 1,
        ("queued", None): 1,
    }
    assert deliveries.standing(database) == {
        ("a", "sent"): 1,
        ("a", "refused"): 1,
        ("a", "queued"): 2,
    }
    (again,) = claim_due(database, "a", new_owner(), limit=9)
    assert (again.id, again.attempt) == (other[0].id, 1)
    due_s = next_due_s(database, "a")
    assert due_s is not None
    assert 0 < due_s <= 2
    assert deliveries.retry_refused(database, "a") == 1
    assert next_due_s(database, "a") == 0
    assert next_due_s(database, "none") is None


def test_pauses_grow_to_ten_minutes(database: Database) -> None:
    enqueue(database, "a", FORM, Filter(source="/images/1"), by_study=False)
    pauses = []
    for attempt in range(1, 12):
        (first,) = claim_due(database, "a", new_owner(), limit=1)
        assert first.attempt == attempt
        pauses.append(put_off(database, first, "x", "y"))
        with database.writing() as connection:
            connection.execute(DeliveryRow.__table__.update().values(due_at=deliveries.now()))
    assert pauses == [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]


def test_what_a_dead_sender_held_is_free_at_once(database: Database) -> None:
    enqueue(database, "a", FORM, ALL, by_study=False)
    words = "from worker.store.owner import new_owner; print(new_owner())"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    dead = claim_due(database, "a", done.stdout.strip(), limit=2)
    living = claim_due(database, "a", new_owner(), limit=1)
    assert deliveries.free_of_the_dead(database, "a") == 2
    freed = claim_due(database, "a", new_owner(), limit=9)
    assert {each.id for each in dead} <= {each.id for each in freed}
    assert living[0].id not in {each.id for each in freed}
    assert not sent(database, dead[0], "1.2", committed=False)


@pytest.mark.parametrize("limit", [None, 9])
def test_rows_of_a_study_come_together(database: Database, limit: int | None) -> None:
    groups = list(select_by_study(database, ALL, limit=limit))
    names = sorted(sorted(row.source[-1] for row in rows) for rows in groups)
    assert names == [["0", "3", "4"], ["1"], ["2"]]
