"""How quick the pages are over a ledger of a million rows: the real ``serve``, asked by clients."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from statistics import quantiles

from worker.bench.processes import processor_s
from worker.bench.results import BATCH, LATE, fill, last_day
from worker.bench.servers import Figure, databases
from worker.settings import Settings
from worker.store.session import open_database

_SERVE = (sys.executable, "-m", "cli.main", "serve")
_UP_S = 60.0
_WARM_UP_S = 3.0
"""Connections are opened, templates compiled and the database's pages read once."""


@dataclass(frozen=True, slots=True)
class Load:
    """How the pages are asked: so many requests per second, for so long, by so many clients."""

    rate_per_s: float = 200.0
    seconds: float = 20.0
    clients: int = 16


@dataclass(frozen=True, slots=True)
class Answered:
    """One request: of which kind, how it ended, and seconds from when it was due."""

    kind: str
    status_code: int
    took_s: float


def bench_pages(folder: Path, rows: int, load: Load, words: Sequence[str] = ()) -> Iterator[Figure]:
    """Fill ledgers with so many rows, serve and ask them; yield lines as they are known.

    ``words``: more options for ``serve``. Raises ``TimeoutError`` where it does not come up.
    """
    for name, url in databases(folder):
        own = {"HC_DATA_DIR": str(folder), "HC_DATABASE_URL": url}
        with open_database(Settings.from_environment(own)) as database:
            fill(database, rows)
        kept = {key: value for key, value in os.environ.items() if not key.startswith("HC_")}
        with served(kept | own, words) as pages:
            asked(pages.port, rows, Load(load.rate_per_s, _WARM_UP_S, load.clients))
            before_s = processor_s(pages.pid)
            answers, took_s = asked(pages.port, rows, load)
            used_s = processor_s(pages.pid) - before_s
            yield from figures_of(name, answers, took_s)
            yield Figure(f"{name}, processor time", 1000 * used_s / len(answers), "ms a request")


@dataclass(frozen=True, slots=True)
class Served:
    """The pages' port on this machine, and their first process."""

    port: int
    pid: int


@contextmanager
def served(environment: Mapping[str, str], words: Sequence[str] = ()) -> Iterator[Served]:
    """Run ``serve`` at a free port of this machine.

    Raises ``TimeoutError``; what it has to say it says itself.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([*_SERVE, "--port", str(port), *words], env=dict(environment))
    try:
        _wait(process, port)
        yield Served(port, process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    until_s = time.monotonic() + _UP_S
    while time.monotonic() < until_s and process.poll() is None:
        try:
            with closing(Client(port)) as client:
                if client.get("/health") == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError("the pages do not answer")


class Client:
    """One connection that is kept, as a browser's is."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._cookie = ""

    def get(self, address: str) -> int:
        """Return the answer's code once all of it has come. Raises ``OSError``."""
        try:
            return self._get(address)
        except http.client.HTTPException:  # closed while it was idle
            self._connection.close()
            return self._get(address)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def _get(self, address: str) -> int:
        self._connection.request("GET", address, headers={"cookie": self._cookie})
        answer = self._connection.getresponse()
        answer.read()
        self._cookie = (answer.getheader("set-cookie") or self._cookie).partition(";")[0]
        return answer.status


def addresses(rows: int) -> Iterator[tuple[str, str]]:
    """Yield kinds and addresses for ever: all kinds in turn, other rows each time."""
    kinds = (
        ("batches", "/"),
        ("results", "/results"),
        ("results, flagged of a batch", f"/results?batch={BATCH}&status=flagged"),
        ("results, a later page", "/results?after=measured-{scan}"),
        ("results, last day", f"/results?since={last_day(rows):%Y-%m-%d}"),
        ("results, a path", "/results?source=/{folder}/"),
        ("scan", "/scans/{scan}"),
        ("scan, in a filter", f"/scans/{{scan}}?batch={BATCH}&status=flagged"),
        ("api results", f"/api/results?batch={BATCH}&status=measured"),
        ("api batches", "/api/batches"),
        ("api scan", "/api/scans/{scan}"),
    )
    scan = 0
    for kind, address in cycle(kinds):
        scan = (scan + LATE) % rows
        yield kind, address.format(scan=scan + 1, folder=scan // 1000)


def asked(port: int, rows: int, load: Load) -> tuple[list[Answered], float]:
    """Ask as often as the load says; return what came, and the seconds until the last of it.

    A request counts from the moment at which it was due, so that one which waits for a client
    whose last one is slow has waited too.
    """
    count = int(load.rate_per_s * load.seconds)
    waiting = enumerate(islice(addresses(rows), count))
    taking = threading.Lock()
    answers: list[Answered] = []
    begun_s = time.perf_counter()

    def ask() -> None:
        with closing(Client(port)) as client:
            keep_asking(client)

    def keep_asking(client: Client) -> None:
        while True:
            with taking:
                number, (kind, address) = next(waiting, (-1, ("", "")))
            if number < 0:
                return
            due_s = begun_s + number / load.rate_per_s
            time.sleep(max(0.0, due_s - time.perf_counter()))
            try:
                status_code = client.get(address)
            except OSError:
                status_code = 0
            answers.append(Answered(kind, status_code, time.perf_counter() - due_s))

    clients = [threading.Thread(target=ask) for _ in range(load.clients)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return answers, time.perf_counter() - begun_s


def figures_of(name: str, answers: Sequence[Answered], took_s: float) -> Iterator[Figure]:
    """Yield what was reached: per second, p50 and p95, what failed, and p95 of each kind."""
    yield Figure(f"{name}, reached", len(answers) / took_s, "requests/s")
    times_ms = [1000 * each.took_s for each in answers]
    yield Figure(f"{name}, p50", percentile(times_ms, 50), "ms")
    yield Figure(f"{name}, p95", percentile(times_ms, 95), "ms")
    yield Figure(f"{name}, not answered", sum(each.status_code != 200 for each in answers), "")
    for kind in dict.fromkeys(each.kind for each in answers):
        of_kind_ms = [1000 * each.took_s for each in answers if each.kind == kind]
        yield Figure(f"{name}, p95 of {kind}", percentile(of_kind_ms, 95), "ms")


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value below which so many percent lie, 1 to 99, as between two neighbours."""
    if len(values) == 1:
        return values[0]
    return quantiles(values, n=100, method="inclusive")[percent - 1]
