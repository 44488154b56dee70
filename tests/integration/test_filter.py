"""Which rows a filter names, on both databases, and what is said of one that cannot be read."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner

from cli.commands import cli
from rig.stored_rows import put_batch, put_row
from worker.bench.results import fill
from worker.errors import SchemaOutdated
from worker.reports.extract import extract_of, extract_rows
from worker.reports.forms import write, write_rows
from worker.result import Status
from worker.settings import Settings
from worker.store.copied_rows import copied_rows
from worker.store.filter import Filter
from worker.store.rows import ReportRow, Sort, count_rows, select_columns, select_rows
from worker.store.session import Database, open_database

MONDAY, TUESDAY = datetime(2026, 1, 5, 12, tzinfo=UTC), datetime(2026, 1, 6, 12, tzinfo=UTC)


@pytest.fixture
def ledger(database: Database) -> Database:
    """Two batches; ``a.dcm`` twice, the second time as a duplicate of another path's content."""
    put_batch(database, "one")
    put_batch(database, "two")
    put_row(database, "one", "/scans/a.dcm", "rejected", code="no-head", changed_at=MONDAY)
    flagged = put_row(
        *(database, "one", "/scans/b.dcm", "flagged"),
        changed_at=MONDAY,
        hc_mm=175.0,
        flags=("cut-by-border", "weak-fit"),
        plane="other-head",
        study_instance_uid="1.2.3",
    )
    put_row(
        *(database, "one", "/scans/c_1.dcm"),
        changed_at=TUESDAY,
        hc_mm=200.0,
        plane="trans-thalamic",
        study_instance_uid="1.2.30",
        model="hc18-small 2",
    )
    put_row(database, "two", "/scans/a.dcm", "duplicate", duplicate_of=flagged, changed_at=TUESDAY)
    put_row(database, "two", "/scans/a.dcm", "queued", frame=1, changed_at=TUESDAY)
    return database


# What is asked, and the first letters of the paths of the rows in order.
CASES: list[tuple[dict[str, Any], str]] = [
    ({}, "abcaa"),
    ({"batch": "two"}, "aa"),
    ({"statuses": ["flagged", "rejected"]}, "ab"),
    ({"since": TUESDAY}, "caa"),
    ({"until": TUESDAY}, "ab"),
    ({"since": MONDAY, "until": MONDAY}, ""),
    ({"source": "c_1"}, "c"),
    ({"source": "c%1"}, ""),
    ({"source": "/scans/?.dcm"}, "abaa"),
    ({"codes": ["no-head", "cancelled"]}, "a"),
    ({"flags": ["weak-fit"]}, "ba"),
    ({"flags": ["cut-by-border"]}, "ba"),
    ({"flags": ["fit"]}, ""),
    ({"flags": ["weak_fit"]}, ""),
    ({"planes": ["other-head", "trans-thalamic"]}, "bca"),
    ({"study": "1.2.3"}, "ba"),
    ({"study": "1.2"}, ""),
    ({"models": ["hc18 1"]}, "aba"),
    ({"models": ["small", "nothing"]}, "c"),
    ({"hc_from_mm": 175.0}, "bca"),
    ({"hc_from_mm": 175.01}, "c"),
    ({"hc_to_mm": 199.9}, "ba"),
    ({"hc_from_mm": 180.0, "hc_to_mm": 200.0}, "c"),
    ({"latest": True}, "bcaa"),
    ({"latest": True, "batch": "one"}, "bc"),
    ({"latest": True, "statuses": ["rejected"]}, ""),
    ({"study": "1.2.3", "statuses": ["duplicate"]}, "a"),
]


def test_each_filter_names_its_rows(ledger: Database) -> None:
    """One ledger for all, as making its tables takes longer than asking."""
    for asked, found in CASES:
        which = Filter(**asked)
        rows = list(select_rows(ledger, which))
        sources = "".join(row.source.removeprefix("/scans/")[0] for row in rows)
        assert (asked, sources) == (asked, found)
        assert (asked, count_rows(ledger, which)) == (asked, len(found))


def test_a_duplicate_has_the_flags_of_what_it_repeats(ledger: Database) -> None:
    (row,) = select_rows(ledger, Filter(statuses=["duplicate"]))  # type: ignore[list-item]
    assert row.ellipse.flags == ("cut-by-border", "weak-fit")
    assert (row.sizes.hc_mm, row.head_plane.plane, row.duplicate_of) == (175.0, "other-head", 2)


def test_the_ledger_of_the_benchmark_has_rows_of_every_kind(database: Database) -> None:
    fill(database, 1000)
    found = {status: count_rows(database, Filter(statuses=[status])) for status in Status}
    assert list(found.values()) == [800, 110, 50, 10, 30, 0, 0]
    assert count_rows(database, Filter(latest=True)) == 1000 - 1000 // 16
    assert count_rows(database, Filter(study="1.2.826.0.1.3680043.8.498.10")) == 4
    assert count_rows(database, Filter(hc_from_mm=0.0)) == 800 + 110 + 30


def test_rows_by_column_are_the_rows(database: Database) -> None:
    fill(database, 3000)
    which = Filter(statuses=(Status.FLAGGED, Status.DUPLICATE, Status.REJECTED))
    order = {"sort": (Sort("hc_mm", descending=True),), "limit": 500}
    rows = extract_of(ReportRow, select_rows(database, which, **order))  # type: ignore[arg-type]
    columns = extract_rows(database, which, **order)  # type: ignore[arg-type]
    told, expected = (
        [row for part in each.parts for row in zip(*part, strict=True)] for each in (columns, rows)
    )
    assert len(told) == 500
    assert told == expected
    parts = select_columns(database, Filter(), ["scan_id", "machine"])
    first = next(parts)
    assert [each[:2] for each in first] == [
        (1, 2),
        ("GE Healthcare Voluson E1", "GE Healthcare Voluson E2"),
    ]
    parts.close()  # who asked has left
    assert count_rows(database, Filter()) == 3000


def test_parquet_holds_what_the_rows_say(database: Database) -> None:
    """PostgreSQL writes it in another way; no text may change on it."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs the extra tables")
    batch = put_batch(database, "odd")
    odd = ['"', ",", 'a,"b"', "two\nlines", "\r\n", "\\N", "NULL", "NaN", " ", "%s", "'", "\u2028"]
    for number, text in enumerate(odd):
        status = ["measured", "flagged", "failed"][number % 3]
        put_row(
            *(database, batch, f"/{text}/{number}.png", status),
            changed_at=MONDAY,
            message=text,
            machine="",
            hc_mm=[None, 175.128, 1e-7][number % 3],
            flags=[(), ("weak-fit",), ("weak-fit", "cut-off")][number % 3],
            study_date=[None, MONDAY.date()][number % 2],
            rows=number,
        )
    put_row(database, batch, "/waits.png", "queued", changed_at=TUESDAY)
    for which in (
        Filter(),
        Filter(source="%s", until=TUESDAY, models=["'", "hc18"]),
        Filter(statuses=[Status.FLAGGED, Status.QUEUED], since=MONDAY),
        Filter(source="nowhere"),
    ):
        copied, made = io.BytesIO(), io.BytesIO()
        asked = extract_rows(database, which, sort=[Sort("message", descending=True)])
        count = write(asked, "parquet", copied)
        rows = select_rows(database, which, sort=[Sort("message", descending=True)])
        assert write_rows(rows, "parquet", made) == count == count_rows(database, which)
        whole = parquet.read_table(made)
        assert parquet.read_table(copied).equals(whole)
        for name in ("hc_mm", "machine", "measured_at", "notice"):
            one = io.BytesIO()
            asked = extract_rows(database, which, [name], sort=[Sort("message", descending=True)])
            assert write(asked, "parquet", one) == count
            assert parquet.read_table(one).column(name).equals(whole.column(name))
        twice = extract_rows(database, which, ["notice", "hc_mm", "notice", "code", "hc_mm"])
        assert write(twice, "parquet", io.BytesIO()) == count


def test_a_copy_that_is_left_or_refused_costs_nothing(postgresql_url: str) -> None:
    settings = Settings.from_environment({"HC_DATABASE_URL": postgresql_url})
    with open_database(settings) as database:
        fill(database, 3000)
        lines = copied_rows(database, Filter(), ["scan_id", "code"])
        assert next(lines) == b"1,\n"
        lines.close()
        assert count_rows(database, Filter()) == 3000
        with database.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE results RENAME TO gone")
        with pytest.raises(SchemaOutdated, match="results"):
            next(copied_rows(database, Filter(), ["hc_mm"]))
        assert count_rows(database, Filter()) == 3000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--code", "no-hed"], "there is no code 'no-hed': no-head?"),
        (["--flag", "border"], "there is no flag 'border': cut-by-border?"),
        (["--flag", "x"], "there is no flag 'x': one of docs/codes.md?"),
        (["--study", "CT of Monday"], "is no UID: numbers with dots between"),
        (["--study", "1." * 33], "is no UID"),
        (["--hc-from", "big"], "'big' is no length: a number of mm, such as 175.5"),
        (["--hc-from", "-1"], "'-1' is no length"),
        (["--hc-from", "200 mm", "--hc-to", "100"], "nothing can lie from --hc-from 200.0"),
        (["--since", "2026-01-02", "--until", "2026-01-02"], "swap them?"),
        (["--since", "noon"], "'noon' is no time: 2026-01-31"),
        (["--path", " "], "it is empty; has a variable no value?"),
        (["--path", "a\udcff"], "no UTF-8; put * in their place"),
        (["one", "--batch", "two"], "give BATCH once"),
    ],
)
def test_a_filter_that_cannot_be_read_says_what_to_do(words: list[str], said: str) -> None:
    done = CliRunner().invoke(cli, ["results", *words])
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
