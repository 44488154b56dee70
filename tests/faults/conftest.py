"""Plants on SQLite and PostgreSQL, and workers on them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hcmodel.model_card import SHIPPED
from rig.plant import Plant, Proxy, RedisServer, StartWorker, WorkerProcess, plant_on


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.skipif(not SHIPPED.exists(), reason="needs the weights"))


@pytest.fixture(scope="module")
def sqlite_plant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("sqlite")
    with plant_on(f"sqlite:///{folder / 'ledger.sqlite3'}", folder) as plant:
        yield plant


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    proxy = Proxy(RedisServer(keep_in=tmp_path_factory.mktemp("aof")))
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def proxied_plant(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("proxied")
    url = f"sqlite:///{folder / 'ledger.sqlite3'}"
    with plant_on(url, folder, proxy.server, HC_BROKER_URL=proxy.url) as plant:
        yield plant


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A disk of 16 MB, where this machine lets us have one."""
    folder = tmp_path_factory.mktemp("disk")
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="module")
def small_disk_plant(small_disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plant]:
    url = f"sqlite:///{small_disk / 'ledger.sqlite3'}"
    with plant_on(url, tmp_path_factory.mktemp("small")) as plant:
        yield plant


@pytest.fixture(scope="module")
def postgresql_plant(
    postgresql_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("postgresql")
    with plant_on(postgresql_server, folder, HC_LEASE_S="10") as plant:
        yield plant


@pytest.fixture(scope="module")
def start_worker() -> Iterator[StartWorker]:
    """Starts workers of a plant; all are killed in the end, and their logs shown."""
    started: list[WorkerProcess] = []

    def start(plant: Plant, **environment: str) -> WorkerProcess:
        log = plant.folder / f"worker{len(started)}.log"
        started.append(WorkerProcess(plant.environment | environment, log))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        sys.stderr.write(f"--- {each.log.name}\n{each.log.read_text()}")
