"""The zoo through ``submit``, ``run`` and ``watch --after move``, each with real processes.

Ten folders for each by default; ``make zoo`` draws 2,000 in all. A failure names the seed of
its folder: HC_ZOO_SEED=N HC_ZOO_FOLDERS=3 draws it again.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rig.command import HC_BATCH, hc
from rig.waiting import until
from rig.zoo import SECRET, Fate, Zoo, beside, draw, tree
from worker.intake.discover import MAX_SOURCE_BYTES
from worker.result import Status
from worker.settings import Settings
from worker.store.filter import Filter
from worker.store.progress import latest_batches, progress, skipped_files
from worker.store.rows import ReportRow, select_rows
from worker.store.session import Database, open_database

FOLDERS = int(os.environ.get("HC_ZOO_FOLDERS", "30"))
SEED = int(os.environ.get("HC_ZOO_SEED", "16"))
ROUND = 10
"""Folders to one command: to load the network takes as long as to measure dozens of files."""
LIMIT_S = 120.0 if FOLDERS <= 30 else 900.0  # many are drawn beside other work
GOOD = (Status.MEASURED, Status.FLAGGED)


@dataclass
class Keeper:
    """The folders of one mode, its ledger, and all that its processes said."""

    mode: str
    folder: Path
    environment: dict[str, str]
    database: Database
    said: list[bytes] = field(default_factory=list)

    @property
    def pens(self) -> Path:
        return self.folder / "pens"

    def hc(self, *words: str | Path, code: int) -> bytes:
        done = hc(self.environment, *words)
        self.said += [done.stdout.encode(), done.stderr.encode()]
        assert done.returncode == code, (done.args, done.stderr)
        return done.stdout.encode()

    @contextmanager
    def process(self, *words: str | Path) -> Iterator[subprocess.Popen[bytes]]:
        """Run a command of the product, which must live until it is asked to end."""
        log = self.folder / f"{words[0]}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [HC_BATCH, *words], env=self.environment, stdout=out, stderr=out
            )
            try:
                yield process
                assert process.poll() is None, log.read_text()[-2000:]
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0, log.read_text()[-2000:]
            finally:
                process.kill()
                process.wait()
        self.said.append(log.read_bytes())

    def is_finished(self) -> bool:
        (newest,) = latest_batches(self.database, 1)
        return progress(self.database, newest.batch).finished


@pytest.fixture
def keeper(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Keeper]:
    (tmp_path / "pens").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    environment = kept | {
        "HC_DATA_DIR": str(tmp_path / "data"),
        "HC_DATA_ROOTS": f"zoo={tmp_path / 'pens'}",
        "HC_LOG_FORMAT": "json" if request.param == "watch" else "text",
        "HC_RECONCILE_S": "1",
    }
    with open_database(Settings.from_environment(environment)) as database:
        yield Keeper(request.param, tmp_path, environment, database)


@pytest.mark.timeout(6 * 3600)
@pytest.mark.parametrize("keeper", ["submit", "run", "watch"], indirect=True)
def test_whatever_lies_in_a_folder_costs_itself_alone(keeper: Keeper) -> None:
    outside = beside(keeper.folder / "beside")
    before = tree(outside)
    seeds = range(SEED, SEED + max(1, FOLDERS // 3))
    troubles: list[str] = []
    with ExitStack() as stack:
        if keeper.mode != "run":
            stack.enter_context(keeper.process("worker"))
        for start in range(0, len(seeds), ROUND):
            of_round = seeds[start : start + ROUND]
            zoos = {
                seed: draw(keeper.pens / str(seed), outside, f"{keeper.mode} {seed}")
                for seed in of_round
            }
            counts = {seed: _count(zoo.root) for seed, zoo in zoos.items()}
            pass_through(keeper, list(zoos.values()))
            for seed, zoo in zoos.items():
                found = list(troubles_of(keeper, zoo))
                if keeper.mode == "watch" and not has_left(zoo):
                    found.append("a good file was not moved")
                if _count(zoo.root) != counts[seed]:
                    found.append("a file was lost")
                troubles += [
                    f"{trouble} (HC_ZOO_SEED={seed} HC_ZOO_FOLDERS=3)" for trouble in found
                ]
            assert not troubles, "\n".join(troubles)
            assert tree(outside) == before, f"seeds {of_round} reached what lies beside them"
            shutil.rmtree(keeper.pens)
            keeper.pens.mkdir()
        look_at_outputs(keeper)
    for said in keeper.said:
        text = said.decode()
        assert text.replace("\n", "").isprintable()
        assert SECRET not in text
        assert "please report" not in text


def pass_through(keeper: Keeper, zoos: list[Zoo]) -> None:
    """Let the mode's command see the folders, and wait until all scans have ended."""
    roots = [zoo.root for zoo in zoos]
    if keeper.mode == "run":
        keeper.hc("run", *roots, code=3)
        keeper.hc("inspect", *roots, "--format", "json", code=3)
    elif keeper.mode == "submit":
        keeper.hc("submit", *roots, code=0)
        until(keeper.is_finished, LIMIT_S)
    else:
        quick = ("--settle", "0.2", "--interval", "0.2")
        with keeper.process("watch", *roots, "--after", "move", *quick):
            wait_for(keeper, zoos)


def wait_for(keeper: Keeper, zoos: list[Zoo]) -> None:
    """Wait until all is as it should be, or for so long that what is wrong will stay so."""
    deadline_s = time.monotonic() + LIMIT_S
    waiting = list(zoos)
    while waiting and time.monotonic() < deadline_s:
        time.sleep(0.3)
        waiting = [zoo for zoo in waiting if not has_left(zoo) or [*troubles_of(keeper, zoo)]]


def has_left(zoo: Zoo) -> bool:
    """Whether the good files were moved, where they may be."""
    good = [path for path, fate in zoo.fates.items() if fate is Fate.MEASURED]
    return zoo.is_barred or not any(map(os.path.lexists, good))


def troubles_of(keeper: Keeper, zoo: Zoo) -> Iterator[str]:
    """Tell whatever became of the folder's files that should not have."""
    rows: dict[str, list[ReportRow]] = {}
    for row in select_rows(keeper.database, Filter(source=f"zoo:{zoo.root.name}/*")):
        rows.setdefault(row.source, []).append(row)
    skips = Counter(
        skip.source
        for batch in latest_batches(keeper.database, ROUND)
        for skip in skipped_files(keeper.database, batch.batch)
        if Path(skip.source).is_relative_to(zoo.root)
    )
    for path, fate in zoo.fates.items():
        source = f"zoo:{path.relative_to(keeper.pens)}"
        of_path = rows.pop(source, [])
        ends = len(of_path) + _skips_of(path, skips)
        if keeper.mode == "watch" and fate is Fate.WAITS:
            is_right = ends == 0
        elif fate is Fate.IN_PASSING:
            is_right = ends >= 1
        elif fate is Fate.MEASURED:
            is_right = ends == 1 and [row.status in GOOD for row in of_path] == [True]
        else:
            is_right = ends == 1
        if not is_right:
            ended = [f"{row.status} {row.code}" for row in of_path]
            yield f"{str(path)[-80:]!a} should have: {fate.value}; {ends} ends, rows {ended}"
    for source in (*rows, *skips):
        yield f"{source[-80:]!a} was not planted"


def look_at_outputs(keeper: Keeper) -> None:
    """Ask for all that tells of rows and skips."""
    for form in ("table", "csv", "jsonl"):
        keeper.hc("results", "--format", form, code=0)
    assert json.loads(keeper.hc("results", "--format", "json", code=0))
    keeper.hc("status", code=0)
    keeper.hc("status", "last", "--skipped", code=0)


def _skips_of(path: Path, skips: Counter[str]) -> int:
    """Take out the skips of a path; the middle of a long name is left out in the ledger."""
    name = str(path).encode(errors="backslashreplace").decode()
    is_long = len(name.encode()) > MAX_SOURCE_BYTES
    of_path = [
        source
        for source in skips
        if source == name
        or (is_long and name.startswith(source[:200]) and name.endswith(source[-200:]))
    ]
    return sum(skips.pop(source) for source in of_path)


def _count(root: Path) -> int:
    """Count all that is no folder; paths may be longer than the system takes."""
    return sum(len(files) for _, _, files, _ in os.fwalk(root))
