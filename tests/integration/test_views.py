"""Views and comments for those who ask the database itself."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import text

from rig.stored_rows import put_batch, put_row
from worker.columns import flattened
from worker.result import NOTICE
from worker.store import schema
from worker.store.filter import Filter
from worker.store.rows import COLUMNS, select_rows
from worker.store.session import Database

AT = datetime(2026, 1, 5, 12, 30, 0, 250_000, tzinfo=UTC)


@pytest.fixture
def ledger(database: Database) -> Database:
    """A file twice, with a duplicate of it, and one that waits."""
    batch = put_batch(database, "one")
    put_row(database, batch, "/scans/a.dcm", "rejected", code="no-head", changed_at=AT)
    first = put_row(
        *(database, batch, "/scans/a.dcm", "flagged"),
        version="2",
        changed_at=AT,
        hc_mm=175.123456,
        flags=("cut-by-border", "weak-fit"),
        study_date=date(2026, 1, 4),
        machine="GE Voluson",
    )
    put_row(database, batch, "/scans/b.dcm", "duplicate", duplicate_of=first, changed_at=AT)
    put_row(database, batch, "/scans/c.dcm", "queued", frame=3)
    return database


def shown(database: Database, view: str) -> list[dict[str, object]]:
    """The view's rows as a driver gives them: times as text and days as text on SQLite."""
    with database.reading() as connection:
        rows = connection.execute(text(f"SELECT * FROM {view} ORDER BY scan_id"))
        return [dict(row._mapping) for row in rows]


def reported(database: Database, which: Filter) -> list[dict[str, object]]:
    rows = [flattened(row) | {"notice": NOTICE} for row in select_rows(database, which)]
    for row in rows:
        row["flags"] = " ".join(row["flags"]) if row["code"] or row["hc_mm"] else None
        if database.engine.dialect.name == "sqlite":
            if row["measured_at"]:
                row["measured_at"] = f"{row['measured_at']:%Y-%m-%d %H:%M:%S.%f}"
            row["study_date"] = row["study_date"] and row["study_date"].isoformat()
    return rows


def test_a_view_has_the_columns_and_rows_of_an_export(ledger: Database) -> None:
    rows = shown(ledger, "v_results")
    assert [tuple(row) for row in rows] == [(*COLUMNS, "notice")] * 4
    assert rows == reported(ledger, Filter())
    assert rows[2]["hc_mm"] == 175.123456
    assert shown(ledger, "v_latest") == reported(ledger, Filter(latest=True)) == rows[1:]


def test_views_are_taken_away_and_made_anew_around_migrations(ledger: Database) -> None:
    rows = shown(ledger, "v_results")
    schema.downgrade(ledger.engine, "0005")
    with ledger.reading() as connection:
        assert not schema.inspect(connection).get_view_names()
    schema.upgrade(ledger.engine)
    again = shown(ledger, "v_results")
    kept = {name for name in COLUMNS if name not in ("study_date", "machine")}
    assert [{n: row[n] for n in kept} for row in again] == [
        {n: row[n] for n in kept} for row in rows
    ]


def test_a_view_that_is_missing_is_told_and_made_by_an_upgrade(ledger: Database) -> None:
    with ledger.writing() as connection:
        connection.execute(text("DROP VIEW v_latest"))
    state = schema.check(ledger.engine)
    assert (state.drift, state.current) == (("view v_latest is missing",), False)
    schema.upgrade(ledger.engine)
    assert schema.check(ledger.engine).current


def test_postgresql_says_what_columns_mean(postgresql_url: str, tmp_path) -> None:
    from worker.settings import Settings
    from worker.store.session import open_database

    settings = Settings(tmp_path, postgresql_url)
    with open_database(settings) as database, database.reading() as connection:
        missing = connection.scalar(
            text(
                "SELECT string_agg(c.relname || '.' || a.attname, ' ') FROM pg_class c"
                " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
                " WHERE c.relkind IN ('r', 'v') AND c.relnamespace = 'public'::regnamespace"
                " AND c.relname <> 'alembic_version'"
                " AND NOT a.attisdropped AND col_description(c.oid, a.attnum) IS NULL"
            )
        )
        assert missing is None
        said = connection.scalar(text("SELECT col_description('v_results'::regclass, 7)"))
        assert said == "lower end of the 90 % interval of HC [mm]"
