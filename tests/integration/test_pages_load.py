"""A list of rows reads its own range of a large ledger; several processes answer as one."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from worker.bench.paging import Answered, Client, Load, asked, figures_of, served
from worker.bench.results import fill
from worker.pages.one_scan import heads_of
from worker.reports.studies import sights_of_study
from worker.result import Status
from worker.settings import Settings
from worker.store.filter import Filter
from worker.store.listing import ORDER, ListedRow, Place, page_of
from worker.store.rows import select_rows
from worker.store.session import Database, open_database

ROWS = 20_000
A_DAY = datetime(2026, 1, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    "asked_for",
    [
        {"batch": "2026-0"},
        {"batch": "2026-1", "statuses": [Status.FAILED, Status.FLAGGED]},
        {"batch": "nosuch"},
        {"since": A_DAY},
        {"until": A_DAY, "statuses": [Status.FAILED]},
        {"since": datetime(2027, 1, 1, tzinfo=UTC)},
        {"source": "/3/"},
        {"source": "/scans/4*7.dcm", "batch": "2026-7"},
        {"source": "/nosuch/", "since": A_DAY},
        {"source": "image", "hc_from_mm": 200.0},
    ],
)
def test_pages_have_all_rows_once(database: Database, asked_for: dict[str, Any]) -> None:
    fill(database, 6000)
    which = Filter(**asked_for)
    rows = sorted(
        select_rows(database, which), key=lambda r: (ORDER.index(Status(r.status)), r.scan_id)
    )
    shown: list[int] = []
    after: Place | None = None
    while True:
        page = page_of(ListedRow, database, which, after, limit=700)
        shown += [row.scan_id for row in page.rows]
        if (after := page.next) is None:
            break
    assert shown == [row.scan_id for row in rows]


@pytest.mark.parametrize("source", ["/3/", "/nosuch/"])
def test_a_part_of_a_path_is_looked_for_some_rows_at_a_time(
    database: Database, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    fill(database, 6000)
    monkeypatch.setattr("worker.store.listing.LOOKING_S", 0.0)
    monkeypatch.setattr("worker.store.listing._AT_ONCE", 500)
    which = Filter(source=source)
    shown: list[int] = []
    after, pages = None, 0
    while pages == 0 or after is not None:
        page = page_of(ListedRow, database, which, after, limit=100)
        assert page.rows or page.next is None or page.is_partial
        shown += [row.scan_id for row in page.rows]
        after, pages = page.next, pages + 1
    assert sorted(shown) == [row.scan_id for row in select_rows(database, which)]
    assert pages >= 6000 / 500


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a ledger on SQLite with many rows."""
    environment = {"HC_DATA_DIR": str(tmp_path_factory.mktemp("filled"))}
    with open_database(Settings.from_environment(environment)) as database:
        fill(database, ROWS)
    return environment


@pytest.mark.parametrize(
    "which",
    [
        Filter(batch="2026-0", statuses=[Status.FAILED]),
        Filter(batch="2026-9", statuses=[Status.FLAGGED]),
        Filter(since=datetime(2026, 1, 7, 22, tzinfo=UTC)),
        Filter(until=datetime(2026, 1, 1, 0, 20, tzinfo=UTC)),
    ],
)
def test_a_page_reads_no_more_than_its_range(filled: dict[str, str], which: Filter) -> None:
    """In steps of SQLite's machine; to the end of a state it would be some 100,000."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 100
        return 0

    with open_database(Settings.from_environment(filled)) as database:
        with database.reading() as connection:
            driver: Any = connection.connection.driver_connection
            driver.set_progress_handler(count, 100)
        assert page_of(ListedRow, database, which).rows
    assert 0 < steps < 20_000


def test_a_scans_page_tells_hc_of_its_study(filled: dict[str, str]) -> None:
    with open_database(Settings.from_environment(filled)) as database:
        (trusted,), (flagged,) = (
            heads_of(database, study, sights_of_study(database, study))
            for study in ("1.2.826.0.1.3680043.8.498.10", "1.2.826.0.1.3680043.8.498.21")
        )
    assert (trusted.hc_mm, trusted.images) == (pytest.approx(104.273456), 4)
    assert (flagged.hc_mm, flagged.reason, flagged.flagged) == (None, "nothing-trusted", 4)


def test_several_processes_answer_as_one_and_one_that_dies_is_replaced(
    filled: dict[str, str],
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    with served(kept | filled, ["--processes", "2"]) as pages:
        answers, _ = asked(pages.port, ROWS, Load(rate_per_s=20, seconds=1.1, clients=4))
        assert [each.status_code for each in answers] == [200] * 22
        before = answering(pages.pid)
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        until_s = time.monotonic() + 60
        while len(now := answering(pages.pid)) < 2 or before[0] in now:
            assert time.monotonic() < until_s
            time.sleep(0.05)
        with closing(Client(pages.port)) as client:
            assert client.get("/results") == 200
    assert not any(Path(f"/proc/{each}").exists() for each in now)


def answering(pid: int) -> list[int]:
    """Return the processes that a first one started to answer."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def test_what_a_load_reached_is_told_in_a_few_figures() -> None:
    answers = [Answered("scan", 200, each / 1000) for each in range(101)]
    answers.append(Answered("results", 503, 0.1))
    told = {figure.what: figure.value for figure in figures_of("SQLite", answers, took_s=0.5)}
    assert told["SQLite, reached"] == 204
    assert told["SQLite, not answered"] == 1
    assert told["SQLite, p95 of scan"] == pytest.approx(95)
    assert told["SQLite, p95 of results"] == pytest.approx(100)
