"""Which files of a folder have come to rest, from one look to the next.

The scan is the truth, events are hints: watchfiles tells nothing of files that were there before,
announces a file at its first bytes, and does not see the writers of network drives.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from worker.reading.sidecar import sidecar_of, without_sidecars

logger = logging.getLogger(__name__)

TEMPORARY = (".*", "*.part", "*.tmp", "*.filepart", "~*")
DONE = "done"
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How folders are watched.

    ``settle_s``: for how long a file must have stayed the same; None: by the kind of drive.
    ``polling``: no events, as on network drives, where it is chosen by itself. ``marker``: the
    name of the file that says that its folder is complete. ``move``: ended files go to ``done/``
    and ``failed/CODE/``. Above ``max_disk_percent`` of a disk nothing more is taken.
    """

    interval_s: float = 5.0
    settle_s: float | None = None
    polling: bool = False
    marker: str | None = None
    move: bool = False
    max_disk_percent: float = 95.0


@dataclass(frozen=True, slots=True)
class Signature:
    """What stays the same while nobody writes a file."""

    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True)
class Ready:
    """A file as it was seen, with the sidecar that tells its pixel size, where there is one."""

    path: Path
    signature: Signature
    sidecar: Signature | None = None

    @property
    def version(self) -> str:
        """Tells the contents of one path apart, in the ledger too and after a restart."""
        file = self.signature
        version = f"{file.size}:{file.mtime_ns}:{file.inode}:{file.ctime_ns}"
        if self.sidecar is None:
            return version
        return f"{version}:{self.sidecar.size}:{self.sidecar.mtime_ns}"

    def is_unchanged(self) -> bool:
        """Whether the file itself, sidecar aside, is still as it was seen."""
        return signature_of(self.path) == self.signature


class Folder:
    """The files below a root; ``done/`` and ``failed/`` in it are never looked at."""

    def __init__(
        self, root: Path, settle_s: float, recursive: bool, marker: str | None = None
    ) -> None:
        self.root = root
        self.settle_s = settle_s
        self._recursive = recursive
        self._marker = marker
        self._since_s: dict[Ready, float] = {}
        self._taken: dict[Ready, str] = {}
        self._unlisted: set[tuple[Path, str | None]] = set()

    def settled(self) -> list[Ready]:
        """Return files unchanged for at least ``settle_s``, over two looks or more.

        Raises ``OSError`` where the root itself cannot be listed.
        """
        present_s = time.monotonic()
        before = self._since_s
        self._since_s = {ready: before.get(ready, present_s) for ready in self._listing()}
        self._taken = {r: version for r, version in self._taken.items() if r in self._since_s}
        return [
            ready
            for ready, since_s in self._since_s.items()
            if ready in before and ready not in self._taken and present_s - since_s >= self.settle_s
        ]

    def mark_taken(self, versions: Mapping[Ready, str]) -> None:
        """Report these no more as long as they stay the same; the ledger has them as versions."""
        self._taken.update(versions)

    def taken(self) -> list[tuple[Ready, str]]:
        """Files that were marked as taken and have stayed the same, by path, with the version."""
        return sorted(self._taken.items(), key=lambda taken: taken[0].path)

    def rest_s(self, ready: Ready) -> float:
        """For how long the file has been as it is, as far as it was watched."""
        return time.monotonic() - self._since_s[ready]

    def _listing(self) -> Iterator[Ready]:
        folders = [(self.root, self._marker is None)]
        told, self._unlisted = self._unlisted, set()
        while folders:
            folder, complete = folders.pop()
            entries = self._entries(folder, told)
            # A marker speaks for all that lies below its folder.
            complete = complete or any(entry.name == self._marker for entry in entries)
            files = []
            for entry in entries:
                if self._is_passed_over(folder, entry):
                    continue
                if not entry.is_dir(follow_symlinks=False):
                    files.append(folder / entry.name)
                elif self._recursive:
                    folders.append((folder / entry.name, complete))
            present = set(files)
            for path in without_sidecars(files) if complete else []:
                signature = signature_of(path)
                sidecar = sidecar_of(path)
                if signature is not None:
                    beside = signature_of(sidecar) if sidecar in present else None
                    yield Ready(path, signature, beside)

    def _entries(
        self, folder: Path, told: Container[tuple[Path, str | None]]
    ) -> list[os.DirEntry[str]]:
        """Return what lies in a folder, by name: nothing, told once, where it cannot be listed."""
        try:
            return sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            if folder == self.root:
                raise
            reason = (folder, error.strerror)
            self._unlisted.add(reason)
            if reason not in told:
                logger.warning("skipped: %s cannot be listed: %s", *reason)
            return []

    def _is_passed_over(self, folder: Path, entry: os.DirEntry[str]) -> bool:
        is_ours = folder == self.root and entry.name in (DONE, FAILED)
        if is_ours and not entry.is_file(follow_symlinks=False):  # a folder, or a link in its place
            return True
        return entry.name == self._marker or _is_temporary(entry.name)


def signature_of(path: Path) -> Signature | None:
    """Signature of what the name leads to, or of a link that leads nowhere; None if it is gone."""
    try:
        try:
            status = path.stat()
        except OSError:
            status = path.lstat()
    except OSError:
        return None
    return Signature(status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _is_temporary(name: str) -> bool:
    return any(fnmatch(name.lower(), pattern) for pattern in TEMPORARY)
