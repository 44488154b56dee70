"""Where received objects land: whole, under a name that no stranger chose, and safe before Success.

``FOLDER/.arriving`` holds what is being received; ``FOLDER/STUDY/OBJECT.dcm`` what has arrived,
with digests of UIDs for names; ``.complete`` in a study's folder says that it has been quiet for a
while, and lets the watcher take it.
"""

from __future__ import annotations

import errno
import fcntl
import filecmp
import hashlib
import logging
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from worker.errors import FolderUnusable
from worker.private_folder import make_private
from worker.reading.dicom_uids import UidsOfObject, uids_of_object
from worker.watching.stability import DONE, FAILED

logger = logging.getLogger(__name__)

ARRIVING = ".arriving"
COMPLETE = ".complete"
_LOCK = ".lock"
_NAME_LETTERS = 40
"""Of a SHA-256: more than enough that no two UIDs meet."""
_READ = os.O_RDONLY | os.O_CLOEXEC


class ObjectMismatch(Exception):
    """The object is not the one that its request claims it to be."""


class Landed(Enum):
    """What became of an object."""

    STORED = "stored"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True)
class Claimed:
    """What the request says of its object; the object itself must say the same."""

    sop_class_uid: str
    sop_instance_uid: str


class Landing:
    """One folder, into which one process receives."""

    def __init__(self, folder: Path, least_free_bytes: int, quiet_s: float) -> None:
        self.folder = Path(os.path.abspath(folder))
        self.arriving = self.folder / ARRIVING
        self._least_free_bytes = least_free_bytes
        self._quiet_s = quiet_s
        self._guard = threading.Lock()
        self._last_s: dict[Path, float] = {}

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the folder for this process alone, and clear what a dead one left half received.

        Raises ``FolderUnusable``.
        """
        make_private(self.arriving)
        lock = os.open(self.arriving / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        before = tempfile.tempdir
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise FolderUnusable(f"{self.folder}: another receiver writes there") from None
            self.sweep(rest_s=0)
            self._find_unfinished()
            # pynetdicom writes what it receives where temporary files go, and knows no other place.
            tempfile.tempdir = str(self.arriving)
            yield
        finally:
            tempfile.tempdir = before
            os.close(lock)

    def has_room(self) -> bool:
        """Whether more may be received: below the least free space nothing is."""
        return shutil.disk_usage(self.folder).free >= self._least_free_bytes

    def land(self, part: Path, claimed: Claimed) -> Landed:
        """Give a received file its name, and return when it would outlive a loss of power.

        An object that lies there already, byte for byte, is not stored again; one of the same UID
        and another content is kept beside it. Raises ``ObjectMismatch`` where the object is
        not what was claimed, ``ScanRejected`` where it cannot be read, and ``OSError``.
        """
        uids = self._uids(part, claimed)
        study = self.folder / _digest(uids.study_instance_uid)
        descriptor = os.open(part, _READ)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not study.is_dir():
            study.mkdir(mode=0o700, exist_ok=True)
            _sync_folder(self.folder)
        landed = self._link(part, study, uids.sop_instance_uid)
        _sync_folder(study)
        with self._guard:
            self._last_s[study] = time.monotonic()
        return landed

    def holds(self, study: str, instance: str) -> bool:
        """Whether an object of this UID has landed before."""
        return (self.folder / _digest(study) / f"{_digest(instance)}.dcm").exists()

    def land_to_submit(self, part: Path, claimed: Claimed) -> Path:
        """Land an object whose study must be submitted; return its study's folder.

        Its mark goes first: who dies in between submits the study once more. Raises as ``land``.
        """
        study = self.folder / _digest(self._uids(part, claimed).study_instance_uid)
        (study / COMPLETE).unlink(missing_ok=True)
        self.land(part, claimed)
        return study

    def unsubmitted(self) -> list[Path]:
        """Return the folders of studies that were not submitted as they are."""
        folders = [Path(entry.path) for entry in os.scandir(self.folder) if entry.name != ARRIVING]
        return sorted(each for each in folders if each.is_dir() and not (each / COMPLETE).exists())

    def mark_submitted(self, studies: Iterable[Path]) -> None:
        """Mark studies whose files are in the ledger."""
        for study in studies:
            (study / COMPLETE).touch(mode=0o600)

    def complete_quiet(self) -> None:
        """Let the watcher take each study in which nothing has arrived for a while."""
        present_s = time.monotonic()
        with self._guard:
            quiet = [s for s, last_s in self._last_s.items() if present_s - last_s >= self._quiet_s]
            for study in quiet:
                del self._last_s[study]
        for study in quiet:
            with suppress(FileNotFoundError):
                (study / COMPLETE).touch(mode=0o600)
                logger.info("complete: study %s", study.name)

    def sweep(self, rest_s: float) -> None:
        """Remove what an aborted association left, when nothing was added to it for ``rest_s``."""
        present_s = time.time()
        for entry in os.scandir(self.arriving):
            with suppress(FileNotFoundError):
                is_part = entry.name != _LOCK and entry.is_file(follow_symlinks=False)
                if is_part and present_s - entry.stat().st_mtime >= rest_s:
                    os.unlink(entry.path)

    def _find_unfinished(self) -> None:
        """Wait anew for studies that an earlier process did not see to their end."""
        for entry in os.scandir(self.folder):
            study = Path(entry.path)
            if entry.name in (ARRIVING, DONE, FAILED) or not entry.is_dir(follow_symlinks=False):
                continue
            if not (study / COMPLETE).exists():
                self._last_s[study] = time.monotonic()

    def _uids(self, part: Path, claimed: Claimed) -> UidsOfObject:
        uids = uids_of_object(part)
        if (uids.sop_class_uid, uids.sop_instance_uid) != (
            claimed.sop_class_uid,
            claimed.sop_instance_uid,
        ):
            raise ObjectMismatch
        return uids

    def _link(self, part: Path, study: Path, instance: str) -> Landed:
        name = _digest(instance)
        target = study / f"{name}.dcm"
        try:
            os.link(part, target)
        except FileExistsError:
            if filecmp.cmp(part, target, shallow=False):
                return Landed.REPEATED
            with part.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            logger.warning("another object of the UID whose digest is %s: kept beside it", name)
            try:
                os.link(part, study / f"{name}-{content[:16]}.dcm")
            except FileExistsError:
                return Landed.REPEATED
        return Landed.STORED


def is_full(error: OSError) -> bool:
    """Whether an error tells that there is no room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _digest(uid: str) -> str:
    return hashlib.sha256(uid.encode()).hexdigest()[:_NAME_LETTERS]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, _READ | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
