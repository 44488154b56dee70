"""Speed of each part and of the whole, on phantoms, in one run: ratios are what to trust."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hcmodel.model_card import SHIPPED
from worker.intake.submit import submit
from worker.measuring.instrument import open_instrument
from worker.measuring.leased import measure_batch
from worker.reading import read
from worker.run import prepare_run
from worker.sample_files import write_series
from worker.settings import Settings
from worker.store.progress import wait
from worker.store.session import open_database

_WAIT_S = 600.0  # by then a worker is not slow but stuck
_WORKER = (
    "from worker.queue.worker_main import serve; from worker.settings import Settings; "
    "serve(Settings.from_environment())"
)


@dataclass(frozen=True, slots=True)
class Speed:
    """One line of the report."""

    what: str
    images_per_s: float
    note: str = ""


def bench(folder: Path, images: int) -> Iterator[Speed]:
    """Measure each part with ``images`` files in ``folder``; yield lines as they are known."""
    # Keras takes seconds to import: only those who measure pay for it.
    from hcmodel.benchmark import (
        network_images_per_s,
        notebook_images_per_s,
        notebook_network_images_per_s,
    )

    files = write_series(folder / "files", images, seed=1)
    yield Speed("decoding alone", _rate(images, lambda: [read(path, 0, None) for path in files]))
    by_batch = network_images_per_s(SHIPPED)
    best = max(by_batch, key=lambda size: by_batch[size])
    yield Speed("network alone", by_batch[best], f"batches of {best}")
    yield Speed("the notebook's network", notebook_network_images_per_s(best), "run the same way")
    yield Speed("run, file to row", run_images_per_s(folder, files))
    yield Speed("submit to row", submit_images_per_s(folder, images), "through Redis, one worker")
    yield Speed("the notebook's way", notebook_images_per_s(), "one model.predict per image")


def _settings(folder: Path) -> Settings:
    return Settings.from_environment({"HC_DATA_DIR": str(folder)})


def run_images_per_s(folder: Path, files: list[Path]) -> float:
    """Images per second from files to rows in this process, with the network loaded."""
    settings = _settings(folder / "run")
    with open_database(settings) as database, open_instrument(settings) as instrument:
        for warm_up in (files[:1], files[1:]):
            start_s = time.perf_counter()
            batch = prepare_run(database, settings, warm_up)
            measure_batch(database, instrument, settings, batch)
            elapsed_s = time.perf_counter() - start_s
    return (len(files) - 1) / elapsed_s


def submit_images_per_s(folder: Path, images: int) -> float:
    """Images per second from ``submit`` to the last row, by a worker with its network loaded."""
    settings = _settings(folder / "queue")
    first = write_series(folder / "first", 1, seed=2)
    files = write_series(folder / "queued", images, seed=3)
    with started_worker(settings), open_database(settings) as database:
        wait(database, submit(settings, first).batch, _WAIT_S)
        start_s = time.perf_counter()
        wait(database, submit(settings, files).batch, _WAIT_S, poll_s=0.05)
        return images / (time.perf_counter() - start_s)


@contextmanager
def started_worker(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker in a process group of its own; stop it in the end where it still runs."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER],
        env=others | {"HC_DATA_DIR": str(settings.data_dir)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait()


def _rate(images: int, work: Callable[[], object]) -> float:
    start_s = time.perf_counter()
    work()
    return images / (time.perf_counter() - start_s)
