"""Databases that cannot be used as they are: each is told in one sentence, with what to do."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from rig.command import hc
from rig.ending import finish
from rig.waiting import until
from worker.errors import (
    DatabaseCrowded,
    DatabaseReadOnly,
    DatabaseRefused,
    DatabaseUnreachable,
    DiskFull,
    FolderUnusable,
    SchemaOutdated,
)
from worker.result import FileIdentity, Result, Status
from worker.settings import Settings
from worker.store import schema
from worker.store.batches import BatchKind, NewScan, insert_scans, open_batch
from worker.store.claims import claim
from worker.store.progress import counts
from worker.store.session import open_database

PGBOUNCER = Path("/usr/sbin/pgbouncer")


@pytest.fixture
def admin(postgresql_url: str) -> Iterator[Engine]:
    """The owner of everything."""
    engine = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")
    yield engine
    engine.dispose()


@pytest.fixture
def as_role(
    admin: Engine, postgresql_url: str, tmp_path: Path
) -> Iterator[Callable[..., Settings]]:
    """Settings of a new role, for which statements were executed first."""
    role = f"{make_url(postgresql_url).database}_role"

    def settings(*statements: str) -> Settings:
        with admin.connect() as connection:
            for statement in (f"CREATE ROLE {role} LOGIN", *statements):
                connection.execute(text(statement.format(role=role)))
        url = make_url(postgresql_url).set(username=role).render_as_string()
        return Settings(tmp_path / "data", url)

    yield settings
    with admin.connect() as connection:
        connection.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))


NO_CREATE = "REVOKE CREATE ON SCHEMA public FROM PUBLIC"


def test_a_role_that_may_not_create_tables(as_role: Callable[..., Settings]) -> None:
    settings = as_role(NO_CREATE)
    with pytest.raises(DatabaseRefused, match="GRANT USAGE, CREATE ON SCHEMA public"):
        open_database(settings).__enter__()


def test_a_role_that_may_only_read(
    as_role: Callable[..., Settings], admin: Engine, postgresql_url: str, tmp_path: Path
) -> None:
    schema.upgrade(admin)
    settings = as_role("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    (tmp_path / "a.dcm").write_bytes(b"DICM")
    places = {"HC_DATABASE_URL": settings.database_url, "HC_DATA_DIR": str(tmp_path)}
    done = hc(os.environ | places, "submit", tmp_path / "a.dcm")
    assert done.returncode == 2
    assert "GRANT SELECT, INSERT, UPDATE, DELETE" in done.stderr
    assert "[database-refused]" in done.stderr
    assert "report" not in done.stderr


def test_a_database_that_is_read_only(admin: Engine, postgresql_url: str, tmp_path: Path) -> None:
    name = make_url(postgresql_url).database
    schema.upgrade(admin)
    with admin.connect() as connection:
        connection.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    with open_database(Settings(tmp_path, postgresql_url)) as database:
        assert sum(counts(database).values()) == 0
        with pytest.raises(DatabaseReadOnly):
            open_batch(database, BatchKind.SUBMIT, "key", "label")


def test_more_connections_than_the_server_takes(
    as_role: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = as_role("ALTER ROLE {role} CONNECTION LIMIT 0")
    with pytest.raises((DatabaseCrowded, DatabaseUnreachable), match="too many connections"):
        open_database(settings).__enter__()


def test_tables_of_other_programs_are_left_out(
    admin: Engine, postgresql_url: str, tmp_path: Path
) -> None:
    with admin.connect() as connection:
        connection.execute(text("CREATE TABLE theirs (id int PRIMARY KEY, note text)"))
        connection.execute(text("CREATE INDEX of_theirs ON theirs (note)"))
    with open_database(Settings(tmp_path, postgresql_url)) as database:
        state = schema.check(database.engine)
    assert state.current, state.drift


def test_a_database_of_another_program_with_alembic(
    admin: Engine, postgresql_url: str, tmp_path: Path
) -> None:
    with admin.connect() as connection:
        connection.execute(text("CREATE TABLE alembic_version (version_num varchar(32))"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('8f3b0c11d2aa')"))
    for act in (lambda: schema.ensure(admin), lambda: schema.upgrade(admin)):
        with pytest.raises(DatabaseRefused, match="another program"):
            act()


def test_tables_of_a_newer_version_are_not_upgraded(admin: Engine) -> None:
    schema.upgrade(admin)
    with admin.connect() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaOutdated, match="found 9999"):
        schema.upgrade(admin)


def test_a_database_that_is_not_in_utf8(postgresql_server: str, tmp_path: Path) -> None:
    admin = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(
            text("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0 LOCALE 'C'")
        )
    url = make_url(postgresql_server).set(database="latin").render_as_string()
    try:
        with pytest.raises(DatabaseRefused, match="LATIN1.*ENCODING 'UTF8'"):
            open_database(Settings(tmp_path, url)).__enter__()
    finally:
        with admin.connect() as connection:
            connection.execute(text("DROP DATABASE latin WITH (FORCE)"))
        admin.dispose()


@pytest.fixture
def pgbouncer_url(postgresql_url: str, tmp_path: Path) -> Iterator[str]:
    """The test's PostgreSQL behind pgbouncer, which hands out sessions by the transaction."""
    if not PGBOUNCER.exists():
        pytest.skip("needs Debian's pgbouncer")
    url = make_url(postgresql_url)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tempfile.mkdtemp(prefix="hc-bouncer-")
    Path(folder).chmod(0o755)
    settings = Path(folder) / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host={url.query['host']} user={url.username}\n[pgbouncer]\n"
        f"listen_addr = 127.0.0.1\nlisten_port = {port}\nauth_type = any\n"
        "pool_mode = transaction\ndefault_pool_size = 2\nunix_socket_dir =\n"
    )
    # It refuses to be root; PostgreSQL's own user may enter its folder.
    as_other = ["-u", Path(str(url.query["host"])).owner()] if os.geteuid() == 0 else []
    bouncer = subprocess.Popen([PGBOUNCER, "-q", *as_other, settings], stderr=subprocess.DEVNULL)

    def answers() -> bool:
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", port)) == 0

    until(answers)
    yield url.set(host="127.0.0.1", port=port, query={}).render_as_string()
    bouncer.terminate()
    bouncer.wait()
    shutil.rmtree(folder)


def test_two_owners_behind_pgbouncer(pgbouncer_url: str, tmp_path: Path) -> None:
    """Enough of the same statements that the driver would prepare them."""
    failed: list[BaseException] = []
    with open_database(Settings(tmp_path, pgbouncer_url)) as database:
        batch = open_batch(database, BatchKind.SUBMIT, "key", "label")
        ids = insert_scans(
            database, batch, [NewScan(f"{n}.png") for n in range(60)], published=True
        )

        def measure(owner: str) -> None:
            try:
                with open_database(Settings(tmp_path, pgbouncer_url)) as mine:
                    while claims := claim(mine, ids, owner, lease_s=60, limit=1):
                        file = FileIdentity(sha256=f"{claims[0].scan_id:064x}")
                        finish(mine, claims[0], Result(Status.MEASURED, "m", file=file))
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=measure, args=(name,)) for name in "abc"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert counts(database)[Status.MEASURED] == 60


def test_a_replaced_sqlite_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    settings = Settings(tmp_path, f"sqlite:///{path}")
    with open_database(settings) as database:
        open_batch(database, BatchKind.SUBMIT, "old", "old")
        other = tmp_path / "other.sqlite3"
        with open_database(Settings(tmp_path, f"sqlite:///{other}")) as newer:
            batch = open_batch(newer, BatchKind.SUBMIT, "new", "new")
            insert_scans(newer, batch, [NewScan("a.png")], published=True)
        other.replace(path)
        assert counts(database)[Status.QUEUED] == 1
        path.unlink()
        with pytest.raises(DatabaseUnreachable, match="has gone"):
            counts(database)
        assert not path.exists()


def test_what_is_made_is_for_this_user_alone(tmp_path: Path) -> None:
    settings = Settings.from_environment({"HC_DATA_DIR": str(tmp_path / "new" / "data")})
    before = os.umask(0o022)
    try:
        with open_database(settings) as database:
            open_batch(database, BatchKind.SUBMIT, "key", "label")
            modes = {path.name: path.stat().st_mode & 0o777 for path in settings.data_dir.iterdir()}
    finally:
        os.umask(before)
    assert settings.data_dir.stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}
    assert len(modes) == 3


@pytest.mark.parametrize(
    "place", ["a file/db", "a file/inner/db", ".", "pipe", "/dev/null", "/proc/none/db", "n" * 300]
)
def test_a_place_where_sqlite_cannot_be_is_a_setting(tmp_path: Path, place: str) -> None:
    (tmp_path / "a file").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FolderUnusable, match=re.escape(str(tmp_path / place))):
        open_database(Settings(tmp_path / "data", f"sqlite:///{tmp_path / place}")).__enter__()


def test_a_full_disk_is_no_database_out_of_reach(tmp_path: Path) -> None:
    with open_database(Settings(tmp_path, f"sqlite:///{tmp_path / 'db'}")) as database:
        batch = open_batch(database, BatchKind.SUBMIT, "key", "label")
        with database.reading() as connection:  # a limit of the one connection there is
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(DiskFull, match="database or disk is full"):
            insert_scans(
                database, batch, [NewScan(f"{n}" * 100) for n in range(999)], published=True
            )


def test_a_second_connection_of_one_process_costs_the_first_nothing(tmp_path: Path) -> None:
    """Closing a file gives up its process's locks there: who came next took SQLite's log away."""
    environment = os.environ | {"HC_DATA_DIR": str(tmp_path), "HC_DATABASE_URL": ""}
    settings = Settings.from_environment(environment)

    def status() -> str:
        return hc(environment, "status").stdout

    with open_database(settings) as first:
        batch = open_batch(first, BatchKind.SUBMIT, "key", "label")
        with open_database(settings):
            pass
        assert "all: nothing yet" in status()
        insert_scans(first, batch, [NewScan("a.png")], published=True)
        assert "all: 1 queued" in status()


def test_a_sqlite_file_that_was_away_for_a_while_has_all_its_rows(tmp_path: Path) -> None:
    """What was written lately lies in its log, which stays where it is."""
    path = tmp_path / "ledger.sqlite3"
    with open_database(Settings(tmp_path, f"sqlite:///{path}")) as database:
        batch = open_batch(database, BatchKind.SUBMIT, "key", "label")
        insert_scans(database, batch, [NewScan("a.png")], published=True)
        path.rename(tmp_path / "elsewhere")
        for _ in range(3):
            with pytest.raises(DatabaseUnreachable, match="has gone"):
                counts(database)
        (tmp_path / "elsewhere").rename(path)
        assert counts(database)[Status.QUEUED] == 1
