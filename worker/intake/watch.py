"""A watched folder: files are queued as soon as they have stopped changing.

The scan is the truth, events are hints: watchfiles tells nothing of files that were there before,
announces a file at its first bytes, and does not see the writers of network drives.
"""

from __future__ import annotations

import logging
import os
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import watchfiles

from worker import broker
from worker.errors import BrokerUnreachable, ServiceUnavailable
from worker.intake.discover import Options, Request, without_sidecars
from worker.intake.publish import Publisher
from worker.intake.submit import Intake, OnIntake
from worker.settings import Settings
from worker.store.batches import (
    Kind,
    NewScan,
    NewSkip,
    finish_intake,
    insert_scans,
    insert_skipped,
    known_versions,
    open_batch,
)
from worker.store.session import Database, open_database

logger = logging.getLogger(__name__)

TEMPORARY = (".*", "*.part", "*.tmp", "*.filepart", "~*")

_PART_FILES = 500
_BREATH_S = 0.5


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How often to look, and how long a file must have stayed the same.

    ``polling``: no events, for network drives.
    """

    interval_s: float = 5.0
    settle_s: float = 2.0
    polling: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    """What stays the same while nobody writes a file."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @property
    def version(self) -> str:
        """Tells the contents of one path apart, also in the ledger and after a restart."""
        return f"{self.size}:{self.mtime_ns}"


Ready = tuple[Path, Signature]


def watch(
    settings: Settings,
    root: Path,
    options: Options = Options(),  # noqa: B008 - frozen
    how: WatchOptions = WatchOptions(),
    stop: threading.Event | None = None,
    on_progress: OnIntake = lambda _: None,
) -> None:
    """Queues what is in the folder and what arrives, until ``stop`` or an interrupt."""
    stop = stop or threading.Event()
    request = Request.of([root], options, settings.data_roots)
    with broker.serving(settings) as broker_url, open_database(settings) as database:
        publisher = Publisher(settings, broker_url)
        batch = open_batch(database, Kind.WATCH, request.label, request.label)
        finish_intake(database, batch)
        intake = Intake(batch)
        on_progress(intake)
        folder = Folder(request.paths[0], how.settle_s, options.recursive)
        for _ in _wakes(folder.root, how, options.recursive, stop):
            for part in _parts(folder.settled()):
                try:
                    taken = _take(database, publisher, batch, request, part)
                except ServiceUnavailable as error:
                    logger.warning("%s", error)
                    break
                folder.mark_taken(part)
                intake += taken
                on_progress(intake)


class Folder:
    """Which files of a folder have come to rest, from one look to the next."""

    def __init__(self, root: Path, settle_s: float, recursive: bool) -> None:
        self.root = root
        self._settle_s = settle_s
        self._recursive = recursive
        self._since_s: dict[Ready, float] = {}
        self._taken: set[Ready] = set()

    def settled(self) -> list[Ready]:
        """Looks once; files that are as they were at an earlier look, the settle time ago."""
        present_s = time.monotonic()
        known = self._since_s
        self._since_s = {
            each: known.get(each, present_s) for each in _listing(self.root, self._recursive)
        }
        self._taken &= self._since_s.keys()
        return [
            each
            for each, since_s in self._since_s.items()
            if each in known and each not in self._taken and present_s - since_s >= self._settle_s
        ]

    def mark_taken(self, files: Iterable[Ready]) -> None:
        """These need not be reported again as long as they stay the same."""
        self._taken.update(files)


def _take(
    database: Database, publisher: Publisher, batch: str, request: Request, files: list[Ready]
) -> Intake:
    """The new ones among the files into the ledger, then to the workers."""
    known = known_versions(database, batch, [request.roots.stored(path) for path, _ in files])
    found = [
        each
        for path, signature in files
        if (request.roots.stored(path), signature.version) not in known
        for each in request.look_at(path, signature.version)
    ]
    scans = [each for each in found if isinstance(each, NewScan)]
    skips = [each for each in found if isinstance(each, NewSkip)]
    insert_skipped(database, batch, skips)
    new = insert_scans(database, batch, scans, published=True)
    try:
        publisher.publish(new)
    except BrokerUnreachable as error:
        logger.warning("%s", error)  # a worker finds them in the ledger
    return Intake(batch, len(scans), len(new), len(skips))


def _listing(root: Path, recursive: bool) -> Iterator[Ready]:
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            logger.warning("%s cannot be listed: %s", folder, error.strerror)
            continue
        files = []
        for entry in entries:
            if _is_temporary(entry.name):
                continue
            if not entry.is_dir(follow_symlinks=False):
                files.append(folder / entry.name)
            elif recursive:
                folders.append(folder / entry.name)
        for path in without_sidecars(files):
            signature = _signature(path)
            if signature is not None:
                yield path, signature


def _is_temporary(name: str) -> bool:
    return any(fnmatch(name.lower(), pattern) for pattern in TEMPORARY)


def _signature(path: Path) -> Signature | None:
    """Of a regular file; None for others, and for a file that has gone meanwhile."""
    try:
        found = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return Signature(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _wakes(
    root: Path, how: WatchOptions, recursive: bool, stop: threading.Event
) -> Iterator[object]:
    """When to look: at once, at each interval, and on a local disk soon after a change."""
    yield None
    if not how.polling:
        try:
            for changes in watchfiles.watch(
                root,
                watch_filter=None,
                stop_event=stop,
                rust_timeout=int(how.interval_s * 1000),
                yield_on_timeout=True,
                recursive=recursive,
            ):
                yield changes
                stop.wait(min(_BREATH_S, how.interval_s))
        except (OSError, RuntimeError) as error:
            logger.warning("no events from %s, polling instead: %s", root, error)
    while not stop.wait(how.interval_s):
        yield None


def _parts(files: list[Ready]) -> Iterator[list[Ready]]:
    for start in range(0, len(files), _PART_FILES):
        yield files[start : start + _PART_FILES]
