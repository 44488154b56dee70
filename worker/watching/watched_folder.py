"""One watched root: its files into its batch while the root and room on the disk are there."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import stat
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from worker.errors import BrokerUnreachable, ServiceUnavailable
from worker.intake.discover import Options, Request, is_storable
from worker.intake.submit import Intake, OnIntake, take_part
from worker.log import Hindrance
from worker.queue.publisher import Publisher
from worker.settings import Settings
from worker.store.batches import (
    BatchKind,
    NewScan,
    NewSkip,
    finish_intake,
    open_batch,
)
from worker.store.finished_files import taken_files
from worker.store.recovery import retry_changed
from worker.store.session import Database
from worker.watching.known_files import Standing, judge
from worker.watching.mounts import on_network
from worker.watching.move_finished import REFUSED_REST, Mover
from worker.watching.stability import Folder, Ready, WatchOptions
from worker.watching.writers import READ_ITSELF

logger = logging.getLogger(__name__)

LOCAL_SETTLE_S = 2.0
NETWORK_SETTLE_S = 10.0  # clients of network drives may keep size and time for some seconds

_PART_FILES = 500  # to one transaction, for which other writers wait on SQLite


class Inbox:
    """A root, its batch for ever, and what was seen there so far."""

    def __init__(
        self,
        database: Database,
        publisher: Publisher,
        settings: Settings,
        root: Path,
        options: Options,
        how: WatchOptions,
        on_progress: OnIntake,
    ) -> None:
        self.root = Path(os.path.abspath(root))
        self._database = database
        self._publisher = publisher
        self._disks = (self.root, settings.data_dir)
        self._how = how
        self._on_progress = on_progress
        # The root itself may come later: it need only lie where files may be read.
        self._roots = settings.data_roots
        self._roots.stored(self.root)
        self._request = replace(Request.of([], options, self._roots), paths=(self.root,))
        label = self._request.label
        self._batch = open_batch(database, BatchKind.WATCH, label, label)
        finish_intake(database, self._batch)
        self._intake = Intake(self._batch)
        self._mover = Mover(database, self._batch, self.root, self._roots)
        self._folder: Folder | None = None
        self._hindrance = Hindrance(logger, f"going on with {self.root}")
        self._outage = Hindrance(logger, f"{self.root}: the service is there again")
        self._deaf = Hindrance(logger, f"{self.root}: the broker is there again")
        self._busy: set[Path] = set()
        on_progress(self._intake)

    def look(self, stop: threading.Event) -> None:
        """Look once: take what has come to rest, move what has ended; log what hinders.

        A large folder is left in its middle on ``stop``.
        """
        folder = self._folder or self._new_folder()
        try:
            settled = folder.settled()
        except OSError as error:
            self._hindrance.tell(f"waiting for {self.root}: {error.strerror}")
            self._folder = None  # what comes back is looked at anew; the ledger knows the rest
            return
        self._folder = folder
        try:
            self._take_all(folder, settled, stop)
            if self._how.move:
                self._move(folder, stop)
        except ServiceUnavailable as error:
            self._outage.tell(str(error))
        else:
            self._outage.tell(None)

    def _move(self, folder: Folder, stop: threading.Event) -> None:
        taken = folder.taken()
        rest_s = REFUSED_REST * folder.settle_s
        rested = {ready for ready, _ in taken if folder.rest_s(ready) >= rest_s}
        for start in range(0, len(taken), _PART_FILES):
            if stop.is_set():
                return
            self._mover.move_ended(taken[start : start + _PART_FILES], rested)

    def _take_all(self, folder: Folder, settled: list[Ready], stop: threading.Event) -> None:
        full = self._full_disk()
        if full is not None:
            most = self._how.max_disk_percent
            self._hindrance.tell(f"paused: more than {most:g} % of {full} are used")
            return
        self._hindrance.tell(None)
        busy = {ready.path for ready in settled if _is_busy(ready.path)}
        for path in sorted(busy - self._busy):
            logger.warning("waiting for %s, which is busy", path)
        self._busy = busy
        at_rest = [ready for ready in settled if ready.path not in busy]
        for start in range(0, len(at_rest), _PART_FILES):
            if stop.is_set():
                return
            intake, versions = self._take(at_rest[start : start + _PART_FILES])
            self._intake += intake
            folder.mark_taken(versions)
            self._on_progress(self._intake)

    def _take(self, files: list[Ready]) -> tuple[Intake, dict[Ready, str]]:
        """Put the new ones among the files into the ledger, then tell the workers.

        Returns what was taken, and the ledger's version of each file that needs no other look.
        """
        sources = {ready: self._roots.stored(ready.path) for ready in files}
        known = taken_files(
            self._database, self._batch, list(filter(is_storable, sources.values()))
        )
        seen: list[NewScan | NewSkip] = []
        versions: dict[Ready, str] = {}
        for ready, source in sources.items():
            verdict = judge(ready, known.get(source, []), self._roots.paths)
            if verdict.standing is Standing.BUSY:
                continue
            versions[ready] = verdict.version
            if verdict.standing is Standing.NEW:
                seen.extend(self._look_at(ready))
            elif verdict.standing is Standing.CHANGED:
                self._try_again(ready, source, verdict.version)
                versions[ready] = ready.version
        intake = take_part(
            self._database, self._batch, seen, self._roots, self._send, published=True
        )
        return intake, versions

    def _look_at(self, ready: Ready) -> list[NewScan | NewSkip]:
        entries = list(self._request.look_at(ready.path, ready.version))
        for entry in entries:
            if isinstance(entry, NewSkip):
                logger.info("skipped: %s: %s", ready.path, entry.reason)
        scans = sum(isinstance(entry, NewScan) for entry in entries)
        if scans:
            logger.info("taken: %s, frames: %d", ready.path, scans)
        return entries

    def _try_again(self, ready: Ready, source: str, version: str) -> None:
        """Queue what was refused of a file that has changed, or has another sidecar."""
        retry_changed(self._database, self._batch, source, version, ready.version)
        logger.info("again: %s, which has changed", ready.path)  # the reconciler tells the workers

    def _send(self, scan_ids: Sequence[int]) -> None:
        try:
            self._publisher.publish(scan_ids)
        except BrokerUnreachable as error:
            self._deaf.tell(str(error))  # a worker finds them in the ledger
        else:
            self._deaf.tell(None)

    def _new_folder(self) -> Folder:
        settle_s = self._how.settle_s
        if settle_s is None:
            slow = self._how.polling or on_network(self.root)
            settle_s = NETWORK_SETTLE_S if slow else LOCAL_SETTLE_S
        return Folder(self.root, settle_s, self._request.recursive, self._how.marker)

    def _full_disk(self) -> Path | None:
        for folder in filter(Path.exists, self._disks):
            disk = shutil.disk_usage(folder)
            if 100 * disk.used > self._how.max_disk_percent * (disk.used + disk.free):
                return folder
        return None


def _is_busy(path: Path) -> bool:
    """Whether it cannot be opened just now: held by its writer, or its server is coming back."""
    try:
        # Opening a device can already move it, and a link may lead to where nothing is opened.
        if stat.S_ISREG(path.lstat().st_mode):
            os.close(os.open(path, READ_ITSELF))
    except OSError as error:
        return error.errno in (errno.EBUSY, errno.ESTALE)
    return False
