"""From claims to ends: each scan once, with its result; what is left goes back, and who is blamed.

The ledger is a real one; the instrument is one whose results are known.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import select, update

from hcmodel.spacing import Spacing
from rig.ending import first_measured
from rig.waiting import until
from worker.errors import (
    DatabaseUnreachable,
    HcBatchError,
    ModelMismatch,
    ScanFailed,
    ServiceUnavailable,
)
from worker.measuring import instrument, leased
from worker.measuring.instrument import Instrument, ScanRequest
from worker.result import FileIdentity, Result, Status
from worker.settings import Settings
from worker.store.batches import BatchKind, NewScan, finish_intake, insert_scans, open_batch
from worker.store.claims import Claim, claim, give_back
from worker.store.clock import now
from worker.store.filter import Filter
from worker.store.recovery import free_expired
from worker.store.rows import select_rows
from worker.store.session import Database, open_database
from worker.store.tables import AttemptRow, ScanRow

MODEL = "hc-test-1"


class TimeIsUp(Exception):
    """As the queue raises it into a chunk."""


@dataclass
class Known:
    """Measures each scan as its name says; ``seen`` are its requests, chunk by chunk."""

    model: str = MODEL
    seen: list[list[ScanRequest]] = field(default_factory=list)
    before: Callable[[ScanRequest], None] = lambda _: None
    manual: Spacing | None = None

    def measure_groups(
        self, requests: Iterable[ScanRequest], known: instrument.Known | None = None
    ) -> Iterator[list[tuple[ScanRequest, Result]]]:
        for each in self._measure(requests, known):
            yield [each]

    def _measure(
        self, requests: Iterable[ScanRequest], known: instrument.Known | None
    ) -> Iterator[tuple[ScanRequest, Result]]:
        assert known is not None
        self.seen.append([])
        for request in requests:
            self.seen[-1].append(request)
            self.before(request)
            if self.manual is not None:
                request = replace(request, manual=self.manual)
            name = Path(request.source).stem
            file = FileIdentity(sha256=name.rpartition("-")[2])
            if name.startswith("bad"):
                yield request, Result(Status.REJECTED, MODEL, code="no-head", file=file)
            elif known([(request, str(file.sha256))]):
                yield request, Result(Status.DUPLICATE, MODEL, file=file)
            else:
                yield request, Result(Status.MEASURED, MODEL, file=file)

    @property
    def names(self) -> list[list[str]]:
        return [[Path(request.source).stem for request in chunk] for chunk in self.seen]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment(
        {
            "HC_DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.sqlite3'}",
            "HC_DATA_DIR": str(tmp_path / "data"),
            "HC_LEASE_S": "30",
            "HC_CHUNK_SIZE": "2",
        }
    )


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    with open_database(settings) as database:
        yield database
    leased._owed.clear()


def submit(
    database: Database, *names: str, kind: BatchKind = BatchKind.SUBMIT, **said: object
) -> list[int]:
    batch = open_batch(database, kind, f"{names}", "/scans")
    scans = [NewScan(f"/scans/{name}.png", **said) for name in names]  # type: ignore[arg-type]
    ids = insert_scans(database, batch, scans, published=True)
    finish_intake(database, batch)
    return ids


def measure_ids(
    database: Database, known: Known, settings: Settings, ids: list[int], **how: object
) -> int:
    opened = cast(Instrument, known)
    time_limit = cast(type[Exception], how.get("time_limit", TimeIsUp))
    return leased.measure_ids(database, lambda: opened, settings, ids, time_limit)


def states(database: Database) -> list[tuple[str, str | None, int]]:
    with database.reading() as connection:
        rows = connection.execute(
            select(ScanRow.state, ScanRow.code, ScanRow.attempts).order_by(ScanRow.id)
        )
        return [tuple(row) for row in rows]


def owned(database: Database) -> int:
    with database.reading() as connection:
        return len(connection.scalars(select(ScanRow.id).where(ScanRow.owner.is_not(None))).all())


def test_each_scan_ends_with_its_result(database: Database, settings: Settings) -> None:
    ids = submit(database, "a-1", "bad-2", "c-1", "d-4")
    assert measure_ids(database, known := Known(), settings, ids[:3]) == 4
    # What waits is taken along, so that the network's batches are full.
    assert known.names == [["a-1", "bad-2", "c-1", "d-4"]]
    assert states(database) == [
        ("measured", None, 1),
        ("rejected", "no-head", 1),
        ("duplicate", None, 1),
        ("measured", None, 1),
    ]
    assert owned(database) == 0
    assert measure_ids(database, known, settings, ids) == 0


def test_nothing_to_do_opens_no_instrument(database: Database, settings: Settings) -> None:
    ids = submit(database, "a-1")
    claim(database, ids, "host:1:1:a", lease_s=60)

    def never() -> Instrument:
        raise AssertionError("opened for nothing")

    assert leased.measure_ids(database, never, settings, ids, TimeIsUp) == 0


def test_the_request_is_what_the_ledger_says(database: Database, settings: Settings) -> None:
    (scan_id,) = submit(database, "a-1", frame=3, manual=Spacing(0.2, 0.3), any_plane=True)
    measure_ids(database, known := Known(), settings, [scan_id])
    asked = ScanRequest(scan_id, "/scans/a-1.png", 3, Spacing(0.2, 0.3), True)
    assert known.seen == [[asked]]


def test_what_a_sidecar_said_is_part_of_what_was_measured(
    database: Database, settings: Settings
) -> None:
    ids = submit(database, "a-1", "b-1")
    said = Spacing(0.2, 0.3)
    assert measure_ids(database, Known(manual=said), settings, ids) == 2
    assert first_measured(database, "1", 0, said, False, MODEL) == ids[0]
    assert first_measured(database, "1", 0, None, False, MODEL) is None
    assert [state for state, *_ in states(database)] == ["measured", "duplicate"]


def test_what_was_tried_before_is_measured_alone(database: Database, settings: Settings) -> None:
    ids = submit(database, "a-1", "b-2", "c-3", "d-4", "e-5")
    claim(database, ids[1:3], "host:1:1:a", lease_s=60)
    give_back(database, "host:1:1:a", HcBatchError("KeyError"))
    assert measure_ids(database, known := Known(), settings, ids) == 5
    assert known.names == [["a-1", "d-4", "e-5"], ["b-2"], ["c-3"]]
    assert [attempts for _, _, attempts in states(database)] == [1, 2, 2, 1, 1]


def test_a_message_takes_more_only_for_its_share_of_the_time(
    database: Database, settings: Settings
) -> None:
    ids = submit(database, *(f"{number}-{number}" for number in range(6)))
    short = replace(settings, chunk_limit_s=8.0, lease_s=30)
    slow = Known(before=lambda _: time.sleep(2.1))
    # After two seconds no more is taken: the first scan alone has lasted longer.
    assert measure_ids(database, slow, short, ids[:1]) == 1
    assert slow.names == [["0-0"]]
    ample = replace(settings, chunk_limit_s=4000.0)
    assert measure_ids(database, Known(), ample, ids[1:2]) == 5


def test_an_error_gives_back_what_is_left_and_counts_the_attempt(
    database: Database, settings: Settings
) -> None:
    ids = submit(database, "a-1", "b-2", "c-3")

    def fail(request: ScanRequest) -> None:
        if "b-2" in request.source:
            raise KeyError("name of a patient")

    with pytest.raises(KeyError):
        measure_ids(database, Known(before=fail), settings, ids)
    assert states(database) == [("measured", None, 1), ("queued", None, 1), ("queued", None, 1)]
    with database.reading() as connection:
        lost = connection.execute(
            select(AttemptRow.scan_id, AttemptRow.code).where(AttemptRow.event == "lost")
        ).all()
    assert [tuple(row) for row in lost] == [(ids[1], "unexpected"), (ids[2], "unexpected")]
    assert owned(database) == 0


@pytest.mark.parametrize(
    ("error", "attempts", "code"),
    [
        (KeyError("x"), 1, "unexpected"),
        (ScanFailed("x"), 1, "failed"),
        (TimeIsUp(), 1, "time-limit"),
        (ModelMismatch("x"), 0, None),
        (ServiceUnavailable("x"), 0, None),
        (DatabaseUnreachable("x"), 0, None),
        (KeyboardInterrupt(), 0, None),
        (SystemExit(1), 0, None),
    ],
    ids=repr,
)
def test_who_is_to_blame(
    database: Database,
    settings: Settings,
    error: BaseException,
    attempts: int,
    code: str | None,
) -> None:
    ids = submit(database, "a-1")

    def fail(_: ScanRequest) -> None:
        raise error

    with pytest.raises(type(error)):
        measure_ids(database, Known(before=fail), settings, ids)
    assert states(database) == [("queued", None, attempts)]
    with database.reading() as connection:
        last = connection.execute(
            select(AttemptRow.event, AttemptRow.code).order_by(AttemptRow.id.desc())
        ).first()
    assert last is not None
    assert tuple(last) == (("lost", code) if attempts else ("given-back", None))


def test_a_scan_that_is_anothers_meanwhile_does_not_count(
    database: Database, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    ids = submit(database, "a-1", "b-2")

    def lose(request: ScanRequest) -> None:
        if "a-1" in request.source:
            with database.writing() as connection:
                connection.execute(
                    update(ScanRow).where(ScanRow.id == ids[0]).values(lease_until=now(-1))
                )
            assert free_expired(database) == 1
            assert claim(database, ids[:1], "host:2:2:b", lease_s=60)

    with caplog.at_level(logging.WARNING):
        assert measure_ids(database, Known(before=lose), settings, ids) == 1
    assert [state for state, *_ in states(database)] == ["running", "measured"]
    assert f"scan {ids[0]} was taken over" in caplog.text


def test_leases_are_renewed_while_work_moves(database: Database, settings: Settings) -> None:
    ids = submit(database, "a-1")
    short = replace(settings, lease_s=1.5)

    def ends() -> datetime:
        with database.reading() as connection:
            (end,) = connection.scalars(select(ScanRow.lease_until))
            assert end is not None
            return end

    def last(_: ScanRequest) -> None:
        first = ends()
        until(lambda: ends() >= first + timedelta(seconds=1.5))

    assert measure_ids(database, Known(before=last), short, ids) == 1


def test_leases_run_out_where_nothing_moves(database: Database, settings: Settings) -> None:
    ids = submit(database, "a-1")
    stuck = replace(settings, lease_s=0.9, chunk_limit_s=0.1)
    taken: list[Claim] = []

    def wait(_: ScanRequest) -> None:
        deadline_s = time.monotonic() + 60
        while not taken and time.monotonic() < deadline_s:
            free_expired(database)
            taken.extend(claim(database, ids, "host:2:2:b", lease_s=60))
            time.sleep(0.05)

    assert measure_ids(database, Known(before=wait), stuck, ids) == 0
    assert [each.attempt for each in taken] == [2]


def test_what_could_not_be_given_back_is_owed(database: Database, settings: Settings) -> None:
    ids = submit(database, "a-1", "b-2")
    away = replace(settings, lease_s=0.6)

    def vanish(_: ScanRequest) -> None:
        with database.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE scans RENAME TO hidden")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_ids(database, Known(before=vanish), away, ids[:1])
    assert len(leased._owed) == 1
    with database.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE hidden RENAME TO scans")
    assert measure_ids(database, Known(), settings, ids) == 2
    assert leased._owed == []
    assert [attempts for _, _, attempts in states(database)] == [1, 1]


def test_a_batch_is_measured_by_chunks_and_what_was_tried_alone(
    database: Database, settings: Settings
) -> None:
    other = submit(database, "other-9", kind=BatchKind.RUN)
    ids = submit(database, *(f"{n}-{n}" for n in range(5)), kind=BatchKind.RUN)
    claim(database, ids[:2], "host:1:1:a", lease_s=60)
    give_back(database, "host:1:1:a", HcBatchError("KeyError"))
    batch = next(row.batch for row in select_rows(database) if row.scan_id == ids[0])
    ended: list[tuple[int, Status]] = []
    finished = leased.measure_batch(
        database,
        cast(Instrument, known := Known()),
        settings,
        batch,
        lambda claimed, status: ended.append((claimed.scan_id, status)),
    )
    assert finished == 5
    assert known.names == [["2-2", "3-3", "4-4"], ["0-0"], ["1-1"]]
    assert ended == [(ids[n], Status.MEASURED) for n in (2, 3, 4, 0, 1)]
    statuses = {row.status for row in select_rows(database, Filter(batch=batch))}
    assert statuses == {"measured"}
    assert [row.status for row in select_rows(database) if row.scan_id in other] == ["queued"]


def test_of_a_batch_each_claim_takes_a_chunk(database: Database, settings: Settings) -> None:
    ids = submit(database, *(f"{n}-{n}" for n in range(5)), kind=BatchKind.RUN)
    batch = next(row.batch for row in select_rows(database) if row.scan_id == ids[0])
    held: list[int] = []
    known = Known(before=lambda _: held.append(owned(database)))
    leased.measure_batch(database, cast(Instrument, known), settings, batch)
    assert held == [2, 1, 2, 1, 1]


def test_the_log_tells_what_ended_without_hc(
    database: Database, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    ids = submit(database, "a-1", "bad-2")
    with caplog.at_level(logging.INFO, logger="worker.measuring.leased"):
        measure_ids(database, Known(), settings, ids)
    assert [record.getMessage() for record in caplog.records] == [
        f"scan {ids[1]}: rejected, no-head"
    ]
