"""What one owner works on, step by step: clocks are moved by hand, and no thread runs beside."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import update

from hcmodel.spacing import Spacing
from rig.clocked import ClockedLedger
from worker.errors import DatabaseUnreachable, HcBatchError, OperatorError, TimeLimit
from worker.measuring import leased
from worker.measuring.instrument import Instrument, ScanRequest
from worker.result import FileIdentity, Result, Status
from worker.settings import Settings
from worker.store.batches import BatchKind, NewScan, insert_scans, open_batch
from worker.store.claims import Claim, claim, give_back
from worker.store.tables import AttemptRow, ScanRow

LEASE_S, CHUNK_LIMIT_S = 30.0, 400.0
A = "host:1:1:a"


class TimeIsUp(Exception):
    """As the queue raises it into a chunk."""


class Instruments:
    """Stands for the instrument: groups of scans, each measured under a hash of its own."""

    model = "m"

    def __init__(self, group: int = 1, before: Callable[[ScanRequest], None] = lambda _: None):
        self.group, self.before = group, before
        self.chunks: list[list[int]] = []
        self.opened = 0

    def open(self) -> Instrument:
        """Count how often it is opened."""
        self.opened += 1
        return cast(Instrument, self)

    def measure_groups(
        self, requests: Iterable[ScanRequest], known: Callable[[Any], set[int]]
    ) -> Iterator[list[tuple[ScanRequest, Result]]]:
        """Yield groups of this size."""
        self.chunks.append([])
        group: list[tuple[ScanRequest, Result]] = []
        for request in requests:
            self.chunks[-1].append(request.scan_id)
            self.before(request)
            file = FileIdentity(sha256=f"{request.scan_id}")
            group.append((request, Result(Status.MEASURED, "m", file=file)))
            if len(group) == self.group:
                yield group
                group = []
        if group:
            yield group


class Owner:
    """The ledger, the clock of this process, the heartbeat that would run beside the work."""

    def __init__(self, ledger: ClockedLedger, tmp_path: Path) -> None:
        environment = {
            "HC_DATA_DIR": str(tmp_path / "data"),
            "HC_CHUNK_SIZE": "2",
            "HC_LEASE_S": f"{LEASE_S}",
            "HC_CHUNK_LIMIT_S": f"{CHUNK_LIMIT_S}",
        }
        self.settings = Settings.from_environment(environment)
        self.ledger = ledger
        self.present_s = time.monotonic()  # for a hold begins by the clock that runs
        self.beats: list[tuple[str, float, bool]] = []
        self.beat: Callable[[], None] = lambda: None
        self.points: list[tuple[str, list[str]]] = []

    @contextmanager
    def repeating(
        self, name: str, act: Callable[[], None], every_s: float, *, at_once: bool
    ) -> Iterator[None]:
        """Keep what would be repeated."""
        self.beats.append((name, every_s, at_once))
        self.beat = act
        yield

    def measure(self, instruments: Instruments, ids: list[int]) -> int:
        """Measure these and what waits."""
        return leased.measure_ids(self.ledger, instruments.open, self.settings, ids, TimeIsUp)

    def states(self) -> list[tuple[str, int]]:
        """State and attempts of each scan."""
        rows = self.ledger.values(ScanRow.id, ScanRow.state, ScanRow.attempts)
        return [(state, attempts) for _, state, attempts in rows]

    def hit(self, point: str) -> None:
        """Keep the states at a point where a process may die."""
        self.points.append((point, [state for state, _ in self.states()]))


@pytest.fixture
def owner(ledger: ClockedLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Owner:
    """Nobody's work yet."""
    owner = Owner(ledger, tmp_path)
    monkeypatch.setattr(leased.time, "monotonic", lambda: owner.present_s)
    monkeypatch.setattr(leased, "repeating", owner.repeating)
    monkeypatch.setattr(leased, "_owed", [])
    return owner


def test_a_chunk_takes_more_for_a_quarter_of_its_time(owner: Owner) -> None:
    for present_s, taken in ((99.99, [3, 2]), (100.0, [3])):
        ids = owner.ledger.put(f"b{present_s}", 5)

        def wait(request: ScanRequest, last: int = ids[2], by_s: float = present_s) -> None:
            if request.scan_id == last:
                owner.present_s += by_s

        instruments = Instruments(before=wait)
        assert owner.measure(instruments, ids[:3]) == sum(taken)
        assert instruments.chunks == [ids[: sum(taken)]]
        owner.measure(Instruments(), ids)


def test_more_is_taken_a_chunk_at_a_time_and_none_of_runs(owner: Owner) -> None:
    ids = owner.ledger.put("one", 6)
    owner.ledger.put("run", 1, BatchKind.RUN)
    held: list[int] = []

    def count(_: ScanRequest) -> None:
        held.append(sum(state == "running" for state, _ in owner.states()))

    instruments = Instruments(before=count)
    assert owner.measure(instruments, ids[:3]) == 6
    assert held == [3, 2, 1, 2, 1, 1]
    assert instruments.opened == 1
    assert owner.states()[-1] == ("queued", 0)


def test_where_the_ledger_is_away_no_more_is_taken(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> list[Claim]:
        raise DatabaseUnreachable("no answer")

    ids = owner.ledger.put("one", 3)
    monkeypatch.setattr(leased, "claim_waiting", refuse)
    assert owner.measure(Instruments(), ids[:2]) == 2
    assert [state for state, _ in owner.states()] == ["measured", "measured", "queued"]


def test_a_lease_is_renewed_thrice_while_it_lasts(owner: Owner) -> None:
    ids = owner.ledger.put("one", 2)
    ends: list[Any] = []

    def beat(_: ScanRequest) -> None:
        owner.ledger.wait_s(10)
        owner.beat()
        ends.append([owner.ledger.scan(scan_id).lease_until for scan_id in ids])

    begun = owner.ledger.present
    assert owner.measure(Instruments(group=2, before=beat), ids) == 2
    assert owner.beats == [("heartbeat", LEASE_S / 3, False)]
    assert ends == [[begun + timedelta(seconds=LEASE_S + 10 * count)] * 2 for count in (1, 2)]


def test_leases_are_renewed_while_results_come(owner: Owner) -> None:
    """A chunk's limit is for each result, and not for the chunk."""
    ids = owner.ledger.put("one", 3)

    def beat(request: ScanRequest) -> None:
        owner.present_s += CHUNK_LIMIT_S
        owner.beat()
        if request.scan_id == ids[2]:
            owner.present_s += 0.001
            with pytest.raises(TimeLimit, match="nothing was finished for 400 s"):
                owner.beat()

    assert owner.measure(Instruments(before=beat), ids) == 3


def test_what_was_tried_is_taken_alone_and_after_the_others(owner: Owner) -> None:
    ids = owner.ledger.put("one", 4)
    claim(owner.ledger, ids[:2], A, lease_s=60)
    give_back(owner.ledger, A, HcBatchError("x"))
    instruments = Instruments(group=2)
    assert owner.measure(instruments, ids) == 4
    assert instruments.chunks == [ids[2:], ids[:1], ids[1:2]]
    assert owner.states() == [*[("measured", 2)] * 2, *[("measured", 1)] * 2]
    assert instruments.opened == 3
    assert owner.measure(instruments, ids) == 0
    assert instruments.opened == 3, "not for nothing"


def test_where_a_worker_may_die(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = owner.ledger.put("one", 1)
    monkeypatch.setattr(leased.failpoint, "hit", owner.hit)
    owner.measure(Instruments(), ids)
    assert [point for point in owner.points if point[0] != "before-commit"] == [
        *(("after-claim", ["running"]), ("before-ack", ["measured"]))
    ]


def test_a_time_limit_blames_no_scan_while_the_ledger_is_waited_for(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited_s: list[float] = []
    real = leased.until_available

    def wait(act: Callable[[], Any], for_s: float) -> Any:
        waited_s.append(for_s)
        if len(waited_s) == 2:  # to store the result
            raise TimeIsUp
        return real(act, for_s)

    ids = owner.ledger.put("one", 1)
    with monkeypatch.context() as outage:
        outage.setattr(leased, "until_available", wait)
        with pytest.raises(TimeIsUp):
            owner.measure(Instruments(), ids)
    assert waited_s == [LEASE_S] * 2
    assert owner.states() == [("queued", 0)]

    def last(_: ScanRequest) -> None:
        raise TimeIsUp

    with pytest.raises(TimeIsUp):
        owner.measure(Instruments(before=last), ids)
    assert owner.states() == [("queued", 1)], "while it is measured, the scan may be at fault"
    codes = owner.ledger.values(AttemptRow.id, AttemptRow.event, AttemptRow.code)
    assert codes[-1][1:] == ("lost", TimeLimit.code)


def test_who_may_be_at_fault(owner: Owner) -> None:
    hold = leased._Hold(owner.ledger, A, LEASE_S, lambda *_: None)
    assert hold.is_waiting is False
    assert hold.moved_s >= owner.present_s
    assert leased._blame(None, TimeIsUp, hold) is None
    for innocent in (OperatorError("x"), DatabaseUnreachable("x"), KeyboardInterrupt()):
        assert leased._blame(innocent, TimeIsUp, hold) is None
    limit = leased._blame(TimeIsUp(), TimeIsUp, hold)
    assert (type(limit), str(limit)) == (TimeLimit, str(TimeLimit()))
    error = HcBatchError("own")
    assert leased._blame(error, TimeIsUp, hold) is error
    other = leased._blame(KeyError("a name"), TimeIsUp, hold)
    assert (type(other), str(other)) == (HcBatchError, str(HcBatchError("KeyError")))
    hold.is_waiting = True
    assert leased._blame(TimeIsUp(), TimeIsUp, hold) is None
    assert leased._blame(error, TimeIsUp, hold) is error


@pytest.mark.parametrize(
    ("error", "owed"), [(KeyboardInterrupt(), 1), (KeyError("x"), 0)], ids=["stopped", "failed"]
)
@pytest.mark.parametrize("refusal", [DatabaseUnreachable("x"), OperatorError("x")], ids=repr)
def test_what_cannot_be_given_back_is_owed_where_no_attempt_is_to_count(
    owner: Owner,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    owed: int,
    refusal: HcBatchError,
) -> None:
    def fail(_: ScanRequest) -> None:
        raise error

    def refuse(*_: object) -> None:
        raise refusal

    ids = owner.ledger.put("one", 2)
    with monkeypatch.context() as outage:
        outage.setattr(leased, "give_back", refuse)
        with pytest.raises(type(error)):
            owner.measure(Instruments(before=fail), ids[:1])
    assert len(leased._owed) == owed
    assert owner.states() == [("running", 1), ("queued", 0)]
    claim(owner.ledger, ids[1:], "host:1:2:b", lease_s=60)
    leased._owed.append("host:1:2:b")
    assert owner.measure(Instruments(), ids) == 1 + owed
    assert leased._owed == []
    kept = ("measured", 1) if owed else ("running", 1)
    assert owner.states() == [kept, ("measured", 1)]


def test_contents_are_known_by_what_was_said_of_them(owner: Owner) -> None:
    """Bytes, frame, pixel size and a person's word for the plane, under this model."""
    first, second = owner.ledger.put("one", 2)
    said = Spacing(0.2, 0.3)
    asked: list[set[int]] = []

    class Asking(Instruments):
        def measure_groups(
            self, requests: Iterable[ScanRequest], known: Callable[[Any], set[int]]
        ) -> Iterator[list[tuple[ScanRequest, Result]]]:
            for request in requests:
                asked.append(known([(request, "7")]))
                file = FileIdentity(sha256="7")
                given = ScanRequest(request.scan_id, request.source, 0, said, False)
                yield [(given, Result(Status.MEASURED, "m", file=file))]

    assert owner.measure(Asking(), [first, second]) == 2
    assert asked == [set(), set()], "the first was measured with another size"
    assert [state for state, _ in owner.states()] == ["measured", "duplicate"]
    third, fourth = owner.ledger.put("two", 2)
    found: list[set[int]] = []

    class Known(Instruments):
        def measure_groups(
            self, requests: Iterable[ScanRequest], known: Callable[[Any], set[int]]
        ) -> Iterator[list[tuple[ScanRequest, Result]]]:
            one, two = requests
            same = ScanRequest(one.scan_id, one.source, 0, said, False)
            other = ScanRequest(two.scan_id, two.source, 1, said, False)
            found.append(known([(same, "7"), (other, "7")]))
            yield [(each, Result(Status.REJECTED, "m", code="x")) for each in (one, two)]

    assert owner.measure(Known(group=2), [third, fourth]) == 2
    assert found == [{third}]


def test_what_is_anothers_meanwhile_is_not_told(owner: Owner) -> None:
    ids = owner.ledger.put("run", 3, BatchKind.RUN)
    batch = owner.ledger.scan(ids[0]).batch_id

    def lose(request: ScanRequest) -> None:
        if request.scan_id == ids[1]:
            with owner.ledger.writing() as connection:
                taken = update(ScanRow).where(ScanRow.id == request.scan_id).values(owner=A)
                connection.execute(taken)

    told: list[tuple[int, Status]] = []
    instrument = cast(Instrument, Instruments(group=2, before=lose))
    finished = leased.measure_batch(
        owner.ledger,
        instrument,
        owner.settings,
        batch,
        lambda one, end: told.append((one.scan_id, end)),
    )
    assert finished == 2
    assert told == [(ids[0], Status.MEASURED), (ids[2], Status.MEASURED)]
    assert owner.states() == [("measured", 1), ("running", 1), ("measured", 1)]
    assert owner.beats == [("heartbeat", LEASE_S / 3, False)]


def test_a_batch_is_measured_by_chunks_then_what_was_tried_alone(owner: Owner) -> None:
    ids = owner.ledger.put("run", 6, BatchKind.RUN)
    other = owner.ledger.put("other", 1, BatchKind.RUN)
    batch = owner.ledger.scan(ids[0]).batch_id
    claim(owner.ledger, ids[:2], A, lease_s=60)
    give_back(owner.ledger, A, HcBatchError("x"))
    held: list[int] = []
    end = owner.ledger.present + timedelta(seconds=LEASE_S)

    def look(_: ScanRequest) -> None:
        held.append(sum(state == "running" for state, _ in owner.states()))
        (at,) = {row[1] for row in owner.ledger.values(ScanRow.id, ScanRow.lease_until)} - {None}
        assert at == end

    instruments = Instruments(before=look)
    instrument = instruments.open()
    assert leased.measure_batch(owner.ledger, instrument, owner.settings, batch) == 6
    assert instruments.chunks == [ids[2:], ids[:1], ids[1:2]]
    assert held == [2, 1, 2, 1, 1, 1]
    assert owner.ledger.scan(other[0]).state == "queued"
    assert leased.measure_batch(owner.ledger, instrument, owner.settings, batch) == 0


def test_a_request_is_what_the_ledger_says(owner: Owner) -> None:
    batch = open_batch(owner.ledger, BatchKind.SUBMIT, "key", "/label")
    scan = NewScan("/a.png", 3, Spacing(0.2, 0.3), "1:2", any_plane=True)
    (scan_id,) = insert_scans(owner.ledger, batch, [scan], published=True)
    asked: list[ScanRequest] = []
    assert owner.measure(Instruments(before=asked.append), [scan_id]) == 1
    assert asked == [ScanRequest(scan_id, "/a.png", 3, Spacing(0.2, 0.3), True)]


def test_a_persons_word_for_the_plane_is_part_of_what_was_measured(owner: Owner) -> None:
    batch = open_batch(owner.ledger, BatchKind.SUBMIT, "key", "/label")
    scans = [NewScan(f"/{name}.png", any_plane=name != "c") for name in "abc"]
    ids = insert_scans(owner.ledger, batch, scans, published=True)
    found: list[set[int]] = []

    class Same(Instruments):
        def measure_groups(
            self, requests: Iterable[ScanRequest], known: Callable[[Any], set[int]]
        ) -> Iterator[list[tuple[ScanRequest, Result]]]:
            first, *others = requests
            file = FileIdentity(sha256="7")
            yield [(first, Result(Status.MEASURED, "m", file=file))]
            found.append(known([(request, "7") for request in others]))
            yield [(each, Result(Status.REJECTED, "m", code="x")) for each in others]

    assert owner.measure(Same(), ids) == 3
    assert found == [{ids[1]}]
    elsewhere = Same()
    elsewhere.model = "another"
    again = [NewScan(f"/again/{name}.png", any_plane=True) for name in "ab"]
    owner.measure(elsewhere, insert_scans(owner.ledger, batch, again, published=True))
    assert found[1:] == [set()], "measured by another model, it is not known"


def test_what_is_logged_of_each_end(owner: Owner, caplog: pytest.LogCaptureFixture) -> None:
    ids = owner.ledger.put("one", 3)

    class Ends(Instruments):
        def measure_groups(
            self, requests: Iterable[ScanRequest], known: Callable[[Any], set[int]]
        ) -> Iterator[list[tuple[ScanRequest, Result]]]:
            one, two, three = requests
            with owner.ledger.writing() as connection:
                taken = update(ScanRow).where(ScanRow.id == three.scan_id).values(owner=A)
                connection.execute(taken)
            yield [
                (one, Result(Status.MEASURED, "m", file=FileIdentity(sha256="7"))),
                (two, Result(Status.FAILED, "m", code="file-damaged")),
                (three, Result(Status.MEASURED, "m", file=FileIdentity(sha256="8"))),
            ]

    with caplog.at_level(logging.DEBUG, logger="worker.measuring.leased"):
        assert owner.measure(Ends(), ids) == 2
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("DEBUG", f"scan {ids[0]}: measured"),
        ("INFO", f"scan {ids[1]}: failed, file-damaged"),
        ("WARNING", f"scan {ids[2]} was taken over or cancelled meanwhile"),
    ]


def test_a_line_of_the_log_has_the_ids_of_its_scan(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    about: list[dict[str, object]] = []

    @contextmanager
    def keep(**ids: object) -> Iterator[None]:
        about.append(ids)
        yield

    (scan_id,) = owner.ledger.put("one", 1)
    monkeypatch.setattr(leased.log, "about", keep)
    owner.measure(Instruments(), [scan_id])
    assert about == [{"batch": owner.ledger.scan(scan_id).batch_id, "scan": scan_id}]


def test_each_group_is_stored_at_once_and_its_time_is_counted(owner: Owner) -> None:
    def stored() -> float:
        value = REGISTRY.get_sample_value("hc_stage_seconds_count", {"stage": "store"})
        assert value is not None
        return value

    before = stored()
    assert owner.measure(Instruments(group=2), owner.ledger.put("one", 5)) == 5
    assert stored() - before == 3
