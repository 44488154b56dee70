"""Migrations up and down, and databases that do not fit or do not answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from worker.errors import DatabaseUnreachable, FolderUnusable, HcBatchError, SchemaOutdated
from worker.settings import Settings
from worker.store import schema
from worker.store.filter import Filter
from worker.store.rows import select_rows
from worker.store.session import make_engine, open_database


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


def test_the_revision_that_the_code_names_is_the_last_one() -> None:
    assert ScriptDirectory.from_config(schema.migrations()).get_heads() == [schema.HEAD]


def test_up_and_down_without_drift(engine: Engine) -> None:
    schema.migrate(engine)
    assert schema.check(engine).current
    assert schema.check(engine).drift == ()
    schema.upgrade(engine)
    schema.downgrade(engine, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    schema.ensure(engine)
    assert schema.check(engine).current


def everything(engine: Engine) -> list[str]:
    """What there is in a database, but for the order of columns."""
    found = inspect(engine)
    told: list[str] = []
    for table in found.get_table_names():
        told += [f"{table} {column}" for column in found.get_columns(table)]
        told += [f"{table} {found.get_pk_constraint(table)}"]
        told += [f"{table} {each['sqltext']}" for each in found.get_check_constraints(table)]
        for kind in ("foreign_keys", "unique_constraints"):
            told += [f"{table} {kind} {each}" for each in getattr(found, f"get_{kind}")(table)]
    for view in found.get_view_names():
        told += [f"{view} {column}" for column in found.get_columns(view)]
    with engine.connect() as connection:
        told += connection.scalars(text("SELECT version_num FROM alembic_version"))
        if engine.dialect.name == "sqlite":
            told += connection.scalars(text("SELECT sql FROM sqlite_master WHERE type = 'index'"))
        else:
            told += connection.scalars(text("SELECT conname FROM pg_constraint"))
            told += connection.scalars(text("SELECT indexdef FROM pg_indexes"))
            told += connection.scalars(text("SELECT description FROM pg_description"))
    return sorted(str(each) for each in told)


def test_tables_made_at_once_are_those_of_the_migrations(engine: Engine) -> None:
    schema.ensure(engine)
    at_once = everything(engine)
    schema.downgrade(engine, "base")
    schema.migrate(engine)
    assert at_once == everything(engine)
    assert len(at_once) > 200


def test_rows_of_the_first_version_are_kept(engine: Engine, settings: Settings) -> None:
    schema.migrate(engine, "0001")
    with engine.begin() as connection:
        for statement in (
            "INSERT INTO batches (id, kind, request_key, label) VALUES ('b', 'run', 'k', 'l')",
            "INSERT INTO scans (id, batch_id, source, frame, version, state, model)"
            " VALUES (1, 'b', 'a.png', 0, '', 'flagged', 'm')",
            "INSERT INTO results (id, scan_id, status, model, hc_mm, flags)"
            " VALUES (1, 1, 'flagged', 'm', 175.5, 'cut-by-border weak-fit')",
            "INSERT INTO scans (id, batch_id, source, frame, version, state, model, duplicate_of)"
            " VALUES (2, 'b', 'again.png', 0, '', 'duplicate', 'm', 1)",
            "INSERT INTO scans (id, batch_id, source, frame, version, state)"
            " VALUES (3, 'b', 'queued.png', 0, '', 'queued')",
        ):
            connection.execute(text(statement))
    with pytest.raises(SchemaOutdated, match="0001.*hc-batch db upgrade"):
        open_database(settings).__enter__()
    schema.upgrade(engine)
    assert schema.check(engine).current
    with open_database(settings) as database:
        row, *others = select_rows(database)
        found = select_rows(database, Filter(flags=["weak-fit"], hc_from_mm=175.5))
        assert [each.source for each in found] == ["a.png", "again.png"]
    assert [each.source for each in others] == ["again.png", "queued.png"]
    assert (row.source, row.sizes.hc_mm, row.sizes.hc_low_mm, row.sizes.hc_high_mm) == (
        "a.png",
        175.5,
        None,
        None,
    )
    schema.downgrade(engine, "0001")
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT hc_mm FROM results")) == 175.5


def test_a_difference_between_tables_and_code_is_told(engine: Engine) -> None:
    schema.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE scans ADD COLUMN extra TEXT"))
    state = schema.check(engine)
    assert not state.current
    assert "extra" in state.drift[0]


@pytest.mark.parametrize("revision", ["9999", "0000"])
def test_another_versions_tables_are_left_alone(
    engine: Engine, settings: Settings, revision: str
) -> None:
    schema.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))
    with pytest.raises(SchemaOutdated, match=f"{revision}.*hc-batch db upgrade"):
        open_database(settings).__enter__()


def test_tables_without_a_revision_are_left_alone(engine: Engine, settings: Settings) -> None:
    schema.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    with pytest.raises(SchemaOutdated, match="without a revision"):
        open_database(settings).__enter__()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgresql://hc:geheim@127.0.0.1:1/hc", DatabaseUnreachable),
        ("sqlite:////proc/nowhere/ledger.sqlite3", FolderUnusable),
    ],
)
def test_a_database_out_of_reach_is_named_without_its_password(
    url: str, expected: type[HcBatchError], tmp_path: Path
) -> None:
    settings = Settings.from_environment({"HC_DATABASE_URL": url, "HC_DATA_DIR": str(tmp_path)})
    with pytest.raises(expected) as error:
        open_database(settings).__enter__()
    assert "geheim" not in str(error.value)
    assert "HC_DATABASE_URL" in str(error.value)


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_text("a letter to my aunt " * 100)
    settings = Settings.from_environment({"HC_DATABASE_URL": f"sqlite:///{path}"})
    with pytest.raises(DatabaseUnreachable, match="not a database"):
        open_database(settings).__enter__()
    assert path.read_text().startswith("a letter")


def test_sqlite_lets_readers_and_a_writer_go_on_together(tmp_path: Path) -> None:
    settings = Settings(tmp_path, f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    with (
        open_database(settings) as database,
        database.writing() as writer,
        database.reading() as reader,
    ):
        assert writer.scalar(text("PRAGMA journal_mode")) == "wal"
        assert writer.scalar(text("PRAGMA foreign_keys")) == 1
        assert writer.scalar(text("PRAGMA busy_timeout")) == 30_000
        assert reader.scalar(text("SELECT count(*) FROM scans")) == 0
