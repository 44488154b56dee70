"""Files whose scans have ended leave the watched folder for ``done/`` and ``failed/CODE/``.

What is to move follows from the ledger alone, so that a move cut short is made up for at the next
look. Rows keep the path under which the file was taken.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from worker import failpoint
from worker.intake.discover import is_storable
from worker.reading.sidecar import sidecar_of
from worker.roots import Roots
from worker.store.finished_files import endings
from worker.store.session import Database
from worker.watching.inner_folders import opened_below
from worker.watching.stability import DONE, FAILED, Ready
from worker.watching.writers import is_being_written

logger = logging.getLogger(__name__)

_PENDING = ""  # which is no code

REFUSED_REST = 15
"""Settle times for which a refused file must have been at rest: a writer may pause in mid-file, and
would never finish a file that has gone."""


class Mover:
    """Moves the ended files of one root; what cannot be moved is told once for each reason."""

    def __init__(self, database: Database, batch: str, root: Path, roots: Roots) -> None:
        self._database = database
        self._batch = batch
        self._root = root
        self._roots = roots
        self._told: set[tuple[Path, str]] = set()

    def move_ended(self, files: Sequence[tuple[Ready, str]], rested: Iterable[Ready]) -> None:
        """Move files, given with their versions, that are as they were and whose scans have ended.

        What was refused must be among the ``rested`` too. Raises ``ServiceUnavailable``.
        """
        sources = [self._roots.stored(ready.path) for ready, _ in files]
        ended = endings(self._database, self._batch, list(filter(is_storable, sources)))
        for source, (ready, version) in zip(sources, files, strict=True):
            code = ended.get((source, version), _PENDING)
            if code is _PENDING or (code is not None and ready not in rested):
                continue
            if ready.is_unchanged() and not is_being_written(ready.path):
                self._move(ready, DONE if code is None else f"{FAILED}/{code}")

    def _move(self, ready: Ready, top: str) -> None:
        path = ready.path
        target = self._root / top / path.relative_to(self._root)
        try:
            with (
                opened_below(self._root, path.parent.relative_to(self._root).parts) as source,
                opened_below(
                    self._root, target.parent.relative_to(self._root).parts, create=True
                ) as folder,
            ):
                name = _free(folder, target)
                # The sidecar first: cut short between the two, the image still waits for its move.
                sidecar = sidecar_of(path)
                if _holds(source, sidecar.name) and not _is_shared(sidecar, path):
                    beside = _free(folder, sidecar_of(target.with_name(name)))
                    _rename(source, sidecar.name, folder, beside)
                failpoint.hit("between-moves")
                _rename(source, path.name, folder, name)
                failpoint.hit("after-move")
        except FileNotFoundError:
            return  # another watcher was quicker
        except OSError as error:
            self._tell(path, self._root / top, error)
        else:
            logger.info("moved: %s to %s", path, target.with_name(name))

    def _tell(self, path: Path, top: Path, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        if (top, reason) not in self._told:
            self._told.add((top, reason))
            logger.warning("%s cannot be moved to %s: %s; it stays", path, top, reason)


def _holds(folder: int, name: str) -> bool:
    """Whether the folder holds something of this name that is no folder itself."""
    with suppress(OSError):
        return not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    return False


def _free(folder: int, target: Path) -> str:
    """Return the name, with a number in it where an earlier file lies in the folder."""
    name, number = target.name, 1
    while True:
        try:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return name
        number += 1
        name = f"{target.stem}-{number}{target.suffix}"


def _rename(source: int, name: str, folder: int, new_name: str) -> None:
    """Move a file from one open folder to another, as a copy where that is another file system."""
    try:
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=folder)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, name, folder, new_name)
        os.unlink(name, dir_fd=source)


def _copy(source: int, name: str, folder: int, new_name: str) -> None:
    """Copy a regular file; it has its new name only when all of it is on the other disk."""
    reading = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    writing = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    partial = f".{secrets.token_hex(8)}.part"
    with os.fdopen(os.open(name, reading, dir_fd=source), "rb") as original:
        if not stat.S_ISREG(os.fstat(original.fileno()).st_mode):
            raise OSError(errno.EXDEV, "it is no regular file")
        try:
            with os.fdopen(os.open(partial, writing, 0o600, dir_fd=folder), "wb") as copy:
                shutil.copyfileobj(original, copy, 1 << 20)
                copy.flush()
                status = os.fstat(original.fileno())
                os.fchmod(copy.fileno(), status.st_mode & 0o777)
                os.utime(copy.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
                os.fsync(copy.fileno())
            os.rename(partial, new_name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(partial, dir_fd=folder)


def _is_shared(sidecar: Path, path: Path) -> bool:
    """Whether another file of the folder has the same sidecar."""
    others = (other for other in path.parent.iterdir() if other not in (path, sidecar))
    return any(sidecar_of(other) == sidecar for other in others)
