"""The ratios that say how much of the machine reaches the rows, all measured in one run."""

from __future__ import annotations

import itertools
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from hcmodel import benchmark
from hcmodel.engine import Engine
from hcmodel.geometry import Spacing
from hcmodel.model_card import SHIPPED
from hcmodel.phantom import draw_phantom, random_head
from worker.bench.alternating import ROUNDS, Ratio, alternated, ratio, seconds
from worker.bench.decoding import single_frames
from worker.bench.processes import proportional_mb
from worker.intake.discover import Options
from worker.intake.submit import submit
from worker.measuring.instrument import Instrument, open_instrument
from worker.measuring.leased import measure_batch
from worker.reading import read
from worker.run import prepare_run
from worker.settings import Settings
from worker.store.progress import wait
from worker.store.session import open_database

SHAPE = (540, 800)
"""Rows and columns, as HC18 has them."""

_SIZE = Options(pixel_size=Spacing(0.2, 0.2))
_WAIT_S = 3600.0
_TIMES = 10
_WORKER = (
    "from worker.queue.worker_main import serve; from worker.settings import Settings; "
    "serve(Settings.from_environment())"
)


@dataclass(slots=True)
class Bench:
    """A folder to work in, and the phantoms that all ratios use."""

    folder: Path
    images: int
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _templates: list[bytes] = field(default_factory=list)

    def files(self, count: int | None = None) -> list[Path]:
        """Write PNG files whose content nobody has measured yet."""
        if not self._templates:
            self._templates = list(_phantoms(min(self.images, 32)))
        folder = self.new_folder("files")
        made = []
        for number in range(count or self.images):
            path = folder / f"{number:06}.png"
            # What stands behind the end of a PNG changes its hash, and no pixel.
            content = self._templates[number % len(self._templates)] + secrets.token_bytes(8)
            path.write_bytes(content)
            made.append(path)
        return made

    def new_folder(self, name: str) -> Path:
        """Make a folder that was not there."""
        folder = self.folder / f"{name}-{next(self._numbers)}"
        folder.mkdir(parents=True)
        return folder

    def new_settings(self) -> Settings:
        """Return settings with an empty database and a Redis of their own."""
        return Settings.from_environment({"HC_DATA_DIR": str(self.new_folder("data"))})


def quick_ratios(bench: Bench) -> Iterator[Ratio]:
    """Yield the ratios of networks, ``run``, queue, and the notebook's way."""
    yield networks(bench)
    yield run_against_least(bench)
    yield queue_against_run(bench)
    yield run_against_notebook(bench)


def all_ratios(bench: Bench, drained: int) -> Iterator[Ratio]:
    """Yield those and the ones that take minutes; ``drained``: files for one worker's memory."""
    yield from quick_ratios(bench)
    yield from decoding(bench)
    yield cold_against_import(bench)
    yield from memory(bench, drained)
    yield two_workers_against_one(bench)


def networks(bench: Bench) -> Ratio:
    """Our networks against the fastest library on the same weights."""
    rivals = dict(benchmark.by_library(SHIPPED, bench.images))
    taken = alternated({"": benchmark.ours(SHIPPED, bench.images), **rivals})
    values = [
        min(taken[name][number] for name in rivals) / ours_s
        for number, ours_s in enumerate(taken[""])
    ]
    return ratio(
        "networks, against the fastest library",
        values,
        0.95,
        f"all networks on {bench.images} images in batches of {benchmark.BATCH_SIZE}; "
        f"{', '.join(rivals)}",
    )


def run_against_least(bench: Bench) -> Ratio:
    """``run`` against the networks and ``cv2.imread`` and nothing else."""
    with open_instrument(bench.new_settings()) as instrument:
        taken = alternated(
            {
                "ours": _run(bench, instrument),
                "least": benchmark.networks_and_decoding(SHIPPED, bench.files()),
            }
        )
    return ratio(
        "run, against decoding and networks alone",
        _divided(taken["least"], taken["ours"]),
        0.75,
        f"{bench.images} PNG of 800x540 to rows in SQLite; cv2.imread and networks on all cores",
    )


def queue_against_run(bench: Bench) -> Ratio:
    """From ``submit`` to the last row by one worker, against ``run``."""
    settings = bench.new_settings()
    with ExitStack() as stack:
        stack.enter_context(started_worker(settings))
        instrument = stack.enter_context(open_instrument(settings))
        taken = alternated(
            {
                "queue": queued(bench, settings, times=ROUNDS + 1),
                "run": _run(bench, instrument),
            }
        )
    return ratio(
        "submit to last row, against run",
        _divided(taken["run"], taken["queue"]),
        0.95,
        f"{bench.images} PNG through Redis to one worker that is warm",
    )


def run_against_notebook(bench: Bench) -> Ratio:
    """``run`` against open, resize, ``model.predict`` of one and fit."""
    with open_instrument(bench.new_settings()) as instrument:
        taken = alternated(
            {"ours": _run(bench, instrument), "notebook": benchmark.notebook_way(bench.files())}
        )
    return ratio(
        "run, against the notebook's way",
        _divided(taken["notebook"], taken["ours"]),
        8,
        f"{bench.images} PNG, one model.predict each",
    )


def decoding(bench: Bench) -> Iterator[Ratio]:
    """Yield reading and preparing against the bare decoder's call, by transfer syntax."""
    engine = Engine(SHIPPED)
    folder = bench.new_folder("decoding")
    (png,) = bench.files(1)
    forms = [
        ("PNG", png, lambda: cv2.imread(os.fspath(png), cv2.IMREAD_GRAYSCALE)),
        *single_frames(folder),
    ]
    for name, path, bare in forms:

        def ours(path: Path = path) -> object:
            scan = read(path, 0, Spacing(0.2, 0.2))
            return engine.prepare(scan.pixels, scan.regions[0].spacing)

        taken = alternated({"ours": partial(_times, ours), "bare": partial(_times, bare)})
        yield ratio(
            f"decode and prepare, {name}",
            _divided(taken["ours"], taken["bare"]),
            1.3,
            f"one image {_TIMES} times, in one process; the decoder's call on its bytes",
            is_cost=True,
        )


def _times(work: Callable[[], object]) -> None:
    for _ in range(_TIMES):
        work()


def cold_against_import(bench: Bench) -> Ratio:
    """``hc-batch run FILE`` in a new process against the import of TensorFlow."""

    def ours() -> None:
        (path,) = bench.files(1)
        settings = bench.new_settings()
        command = [sys.executable, "-m", "cli.main", "run", str(path), "--pixel-size", "0.2"]
        _quietly(command, settings)

    taken = alternated(
        {"ours": ours, "import": lambda: _quietly([sys.executable, "-c", "import tensorflow"])}
    )
    return ratio(
        "one file, cold, against TensorFlow's import",
        _divided(taken["ours"], taken["import"]),
        0.6,
        "hc-batch run FILE with a new database; python -c 'import tensorflow'",
        is_cost=True,
    )


def memory(bench: Bench, drained: int) -> Iterator[Ratio]:
    """Yield a worker's memory with its readers: in all, and how it grew with ``drained`` files."""
    settings = bench.new_settings()
    with started_worker(settings) as worker:
        queued(bench, settings)()
        before_mb = proportional_mb(worker.pid)
        yield ratio(
            "memory of a CPU worker, against 400 MB",
            [before_mb / 400],
            1.0,
            f"proportional set size of the worker, its pool and readers after {bench.images} files",
            is_cost=True,
        )
        queued(bench, settings, drained)()
        yield ratio(
            "memory at the end against the start",
            [proportional_mb(worker.pid) / before_mb],
            1.05,
            f"the same after {drained} files more",
            is_cost=True,
        )


def two_workers_against_one(bench: Bench) -> Ratio:
    """Images per second of two workers against one, both with all cores.

    So many that it does not count how long one of them waits for the other in the end.
    """
    count = 4 * bench.images
    taken: dict[str, list[float]] = {"one": [], "two": []}
    for _ in range(3):
        for name, workers in (("one", 1), ("two", 2)):
            settings = bench.new_settings()
            with ExitStack() as stack:
                for _ in range(workers):
                    stack.enter_context(started_worker(settings))
                queued(bench, settings, 8 * workers)()
                taken[name].append(seconds(queued(bench, settings, count)))
    return ratio(
        "two workers, against one",
        _divided(taken["one"], taken["two"]),
        0.95,
        f"{count} PNG through Redis, both warm",
    )


@contextmanager
def started_worker(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Start a worker in a process group of its own; stop it in the end where it still runs."""
    worker = subprocess.Popen(
        [sys.executable, "-c", _WORKER],
        env=_environment(settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait()


def _run(bench: Bench, instrument: Instrument) -> Callable[[], None]:
    """Return what measures new files into a new ledger in this process."""
    prepared = []
    for _ in range(ROUNDS + 1):
        settings = bench.new_settings()
        with open_database(settings):  # which makes its tables
            prepared.append((settings, bench.files()))

    def work() -> None:
        settings, files = prepared.pop()
        with open_database(settings) as database:
            batch = prepare_run(database, settings, files, _SIZE)
            measure_batch(database, instrument, settings, batch)

    return work


def queued(
    bench: Bench, settings: Settings, count: int | None = None, times: int = 1
) -> Callable[[], None]:
    """Return what submits new files and waits for their last row."""
    prepared = [bench.files(count) for _ in range(times)]

    def work() -> None:
        files = prepared.pop()
        with open_database(settings) as database:
            wait(database, submit(settings, files, _SIZE).batch, _WAIT_S, poll_s=0.05)

    return work


def _phantoms(count: int) -> Iterator[bytes]:
    for number in range(count):
        rng = np.random.default_rng(number)
        image = draw_phantom(SHAPE, random_head(SHAPE, rng), rng)
        yield cv2.imencode(".png", image)[1].tobytes()


def _divided(above: Sequence[float], below: Iterable[float]) -> list[float]:
    return [first / second for first, second in zip(above, below, strict=True)]


def _environment(settings: Settings) -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    return others | {"HC_DATA_DIR": str(settings.data_dir)}


def _quietly(command: list[str], settings: Settings | None = None) -> None:
    env = None if settings is None else _environment(settings)
    subprocess.run(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
    )
