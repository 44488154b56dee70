"""Reported rows: whose value each column has, in which order, and the same by column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import pytest
from sqlalchemy import update
from sqlalchemy.dialects import postgresql

from rig.clocked import BEGUN, ClockedLedger
from rig.stored_rows import MODEL, put_batch, put_row
from worker.store import rows as room
from worker.store.filter import Filter
from worker.store.rows import (
    COLUMNS,
    Sort,
    count_rows,
    select_by_study,
    select_columns,
    select_rows,
    select_scans,
)
from worker.store.tables import ScanRow


def change(ledger: ClockedLedger, scan_id: int, **values: object) -> None:
    with ledger.writing() as connection:
        connection.execute(update(ScanRow).where(ScanRow.id == scan_id).values(**values))


@pytest.fixture
def batch(ledger: ClockedLedger) -> str:
    return put_batch(ledger, "one")


def test_a_scans_own_word_comes_before_that_of_its_result(
    ledger: ClockedLedger, batch: str
) -> None:
    said = {"code": "code", "message": "words", "sha256": "result's"}
    first = put_row(ledger, batch, "/a", "flagged", frame=3, hc_mm=200.0, **said)
    again = put_row(ledger, batch, "/b", "duplicate", duplicate_of=first)
    put_row(ledger, batch, "/c", "queued")
    change(ledger, first, code=None, message=None, sha256=None, attempts=2)
    told, copy, waits = select_rows(ledger)
    assert (told.batch, told.source, told.frame, told.status) == (batch, "/a", 3, "flagged")
    assert (told.code, told.message, told.file.sha256) == ("code", "words", "result's")
    assert (told.model, told.duplicate_of, told.scan_id, told.attempts) == (MODEL, None, first, 2)
    assert told.measured_at == BEGUN
    assert (copy.status, copy.scan_id, copy.duplicate_of) == ("duplicate", again, first)
    assert (copy.code, copy.message, copy.file.sha256) == ("code", "words", "result's")
    assert (copy.sizes.hc_mm, copy.frame, copy.attempts, copy.source) == (200.0, 0, 0, "/b")
    assert (waits.scan_id, waits.model, waits.measured_at) == (again + 1, None, None)
    change(ledger, first, code="scan's", message="its words", sha256="its own")
    told = next(select_rows(ledger))
    assert (told.code, told.message, told.file.sha256) == ("scan's", "its words", "its own")


def test_a_result_of_another_model_is_not_told(ledger: ClockedLedger, batch: str) -> None:
    scan_id = put_row(ledger, batch, "/a", hc_mm=200.0)
    change(ledger, scan_id, model="hc18 2")
    (row,) = select_rows(ledger)
    assert (row.model, row.sizes.hc_mm, row.scan_id) == ("hc18 2", None, scan_id)


@pytest.fixture
def sized(ledger: ClockedLedger, batch: str) -> list[int]:
    """Rows 0 to 4 with HC of 200, none, 150, 200 and 300 mm."""
    found = []
    for number, hc_mm in enumerate((200.0, None, 150.0, 200.0, 300.0)):
        study = ("1.2", None, "1.1", "1.2", None)[number]
        found.append(put_row(ledger, batch, f"/{number}", hc_mm=hc_mm, study_instance_uid=study))
    return found


def told(rows: Iterator[room.ReportRow]) -> str:
    return "".join(row.source.removeprefix("/") for row in rows)


@pytest.mark.parametrize(
    ("how", "order"),
    [
        ({}, "01234"),
        ({"limit": 2}, "01"),
        ({"newest_first": True}, "43210"),
        ({"newest_first": True, "limit": 2}, "43"),
        ({"sort": [Sort("hc_mm")]}, "20341"),
        ({"sort": [Sort("hc_mm")], "newest_first": True}, "23041"),
        ({"sort": [Sort("hc_mm", descending=True)]}, "40321"),
        ({"sort": [Sort("hc_mm", descending=True)], "limit": 1}, "4"),
        ({"sort": [Sort("study_instance_uid"), Sort("source", descending=True)]}, "23041"),
    ],
)
def test_the_order_of_rows(
    ledger: ClockedLedger, sized: list[int], how: dict[str, object], order: str
) -> None:
    assert told(select_rows(ledger, **how)) == order  # type: ignore[arg-type]
    columns = list(select_columns(ledger, Filter(), ["source", "hc_mm"], **how))  # type: ignore[arg-type]
    assert "".join(part for of in columns for part in of[0]).replace("/", "") == order


def test_some_rows_by_their_ids(ledger: ClockedLedger, sized: list[int]) -> None:
    assert told(select_scans(ledger, [sized[3], sized[1]])) == "13"
    assert told(select_scans(ledger, [])) == ""


def test_rows_of_a_study_come_together(ledger: ClockedLedger, sized: list[int]) -> None:
    def studies(**how: object) -> list[str]:
        found: list[Sequence[room.ReportRow]] = list(
            select_by_study(ledger, Filter(hc_from_mm=0.0), **how)  # type: ignore[arg-type]
        )
        return [told(iter(rows)) for rows in found]

    assert studies() == ["4", "2", "03"]
    assert studies(limit=3) == ["4", "2", "3"]
    assert studies(limit=1) == ["4"]
    whole = [told(iter(rows)) for rows in select_by_study(ledger, Filter())]
    assert whole == ["1", "4", "2", "03"]


def test_rows_by_column_in_parts(
    ledger: ClockedLedger, sized: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_FETCH_COLUMNS", 2)
    change(ledger, sized[1], changed_at=BEGUN + timedelta(seconds=0.25))
    names = ["scan_id", "hc_mm", "flags", "measured_at"]
    parts = list(select_columns(ledger, Filter(), names))
    assert [len(part[0]) for part in parts] == [2, 2, 1]
    assert [each for part in parts for each in part[0]] == sized
    assert parts[0][1] == (200.0, None)
    assert parts[0][3][0] == "2026-01-31 08:00:00.000000"
    assert [len(part) for part in select_columns(ledger, Filter(), limit=1)] == [len(COLUMNS)]


def test_rows_are_counted(ledger: ClockedLedger, sized: list[int]) -> None:
    put_row(ledger, put_batch(ledger, "two"), "/5", "queued")
    for which, count in (
        *((Filter(), 6), (Filter(batch="two"), 1), (Filter(batch="none"), 0)),
        *((Filter(hc_from_mm=160.0), 3), (Filter(batch="two", hc_from_mm=0.0), 0)),
    ):
        assert count_rows(ledger, which) == count


@pytest.mark.parametrize("ahead", [0, 1, 4, 9])
@pytest.mark.parametrize("count", [0, 1, 4, 7])
def test_parts_that_are_asked_for_ahead_come_in_order(ahead: int, count: int) -> None:
    asked: list[int] = []

    def parts() -> Iterator[list[int]]:
        for number in range(count):
            asked.append(number)
            yield [number]

    found = []
    for part in room._ahead(parts(), ahead):
        found += part
        assert len(asked) <= len(found) + ahead
    assert found == asked == list(range(count))


@pytest.mark.parametrize(
    ("name", "is_text", "statement"),
    [
        (
            *("measured_at", False),
            "to_char(timezone('UTC', results.measured_at), 'YYYY-MM-DD HH24:MI:SS.US')",
        ),
        ("measured_at", True, "results.measured_at"),
        ("hc_mm", False, "results.hc_mm"),
        ("source", False, "scans.source"),
    ],
)
def test_what_a_server_is_asked_for(name: str, is_text: bool, statement: str) -> None:
    column = room._plain(name, is_text=is_text)
    told = column.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
    assert str(told) == statement


def test_days_are_texts_too() -> None:
    days = [name for name in COLUMNS if room._TYPES[name] is date]
    assert days
    for name in days:
        column = room._plain(name, is_text=False)
        told = column.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})
        assert str(told) == f"to_char(results.{name}, 'YYYY-MM-DD')"
