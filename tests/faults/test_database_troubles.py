"""A worker on PostgreSQL, and troubles of the database that are no scan's fault."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, make_url, text

from rig.plant import Plant, StartWorker, WorkerProcess, plant_on
from worker.retry import until_available
from worker.store import schema
from worker.store.database_errors import translated

MANY = 48
LEASE_S = 3


@pytest.fixture(scope="module")
def plant(postgresql_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    """On a role of its own, whose rights can be taken away."""
    with admin(postgresql_server, "postgres") as connection:
        connection.execute(text("CREATE ROLE measurer LOGIN"))
        connection.execute(text("CREATE DATABASE troubled OWNER measurer"))
    url = make_url(postgresql_server).set(database="troubled", username="measurer")
    folder = tmp_path_factory.mktemp("troubled")
    with plant_on(url.render_as_string(), folder, HC_LEASE_S=str(LEASE_S)) as plant:
        yield plant


@pytest.fixture(scope="module")
def worker(plant: Plant, start_worker: StartWorker) -> WorkerProcess:
    """With its network loaded."""
    worker = start_worker(plant)
    plant.check(plant.submit(1), 1)
    return worker


@contextmanager
def admin(url: str, database: str) -> Iterator:
    engine = create_engine(make_url(url).set(database=database), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def end_sessions(connection) -> None:
    connection.execute(
        text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'measurer' AND pid <> pg_backend_pid()"
        )
    )


@pytest.mark.parametrize("for_s", [2, 2 * LEASE_S + 2])
def test_read_only_for_a_while(
    plant: Plant, worker: WorkerProcess, postgresql_server: str, for_s: float
) -> None:
    """Given a batch in its middle, when PostgreSQL is read-only in a fail-over, then it ends.

    No scan loses an attempt, also where the fail-over takes longer than a lease.
    """
    batch = plant.submit(MANY)
    plant.await_middle(batch)
    with admin(postgresql_server, "postgres") as connection:
        connection.execute(text("ALTER DATABASE troubled SET default_transaction_read_only = on"))
        end_sessions(connection)
        plant.until(lambda: worker.says("The database takes no changes at present"))
        time.sleep(for_s)
        connection.execute(text("ALTER DATABASE troubled RESET default_transaction_read_only"))
        end_sessions(connection)
    plant.check(batch, MANY, attempts=1)
    plant.check(plant.submit(4), 4, attempts=1)
    assert worker.process.poll() is None


def test_rights_taken_away_and_given_back(
    plant: Plant, worker: WorkerProcess, postgresql_server: str
) -> None:
    """Given a batch in its middle, when the role may not write results, then none is to blame."""
    batch = plant.submit(MANY)
    plant.await_middle(batch)
    with admin(postgresql_server, "troubled") as connection:
        connection.execute(text("ALTER TABLE results OWNER TO postgres"))
        plant.until(lambda: worker.says("permission denied for table results; GRANT"))
        time.sleep(3)
        connection.execute(text("ALTER TABLE results OWNER TO measurer"))
    plant.check(batch, MANY, attempts=1)


def migrate(act: Callable[[], None]) -> None:
    """The worker goes on meanwhile, so that the two may wait for each other's tables."""

    def act_once() -> None:
        with translated():
            act()

    until_available(act_once)


def test_tables_rolled_back_under_a_worker(plant: Plant, worker: WorkerProcess) -> None:
    """Given a batch in its middle, when its tables become older ones, then none is to blame."""
    batch = plant.submit(MANY)
    plant.await_middle(batch)
    # Before the plane of a head: columns are missing that a worker reads and writes.
    migrate(lambda: schema.downgrade(plant.database.engine, "0002"))
    plant.until(lambda: worker.says("do not belong to this version"))
    time.sleep(3)
    migrate(lambda: schema.upgrade(plant.database.engine))
    plant.check(batch, MANY, attempts=1)
