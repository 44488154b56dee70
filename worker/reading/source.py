"""One regular file, opened once, and only where reading is allowed."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from worker.errors import (
    FileEmpty,
    FileMissing,
    FileUnreadable,
    NotAFile,
    OutsideRoots,
    TooLarge,
)
from worker.reading.limits import MAX_FILE_BYTES

# A FIFO opened for reading would otherwise wait for its writer for ever.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class Source:
    """An open file that passed the gate's first two steps: regular, and not too large."""

    file: BufferedReader
    size_bytes: int

    def sha256(self) -> str:
        """Return the digest of the whole file; the frames of a cine loop share one pass over it."""
        status = os.fstat(self.file.fileno())
        identity = (
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )
        if identity not in _last_digest:
            self.file.seek(0)
            digest = hashlib.file_digest(self.file, "sha256").hexdigest()
            _last_digest.clear()
            _last_digest[identity] = digest
        return _last_digest[identity]


_last_digest: dict[tuple[int, ...], str] = {}


@contextmanager
def open_source(path: Path, roots: Sequence[Path] = ()) -> Iterator[Source]:
    """Open ``path`` for reading, inside ``roots`` if there are any.

    Raises ``FileMissing``, ``FileUnreadable``, ``NotAFile``, ``FileEmpty``, ``TooLarge`` or
    ``OutsideRoots``.
    """
    with _naming_refusals():
        descriptor = _open_inside(path, roots) if roots else _open_regular(path)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise NotAFile
        if status.st_size == 0:
            raise FileEmpty
        if status.st_size > MAX_FILE_BYTES:
            raise TooLarge(f"a file of {status.st_size} bytes")
        yield Source(file, status.st_size)


def resolve_inside(path: Path, roots: Sequence[Path]) -> Path:
    """``path`` without links and ``..``, if it lies in one of ``roots`` or there are none.

    Raises ``OutsideRoots``, ``FileMissing`` or ``FileUnreadable``.
    """
    with _naming_refusals():
        real = Path(os.path.realpath(path, strict=True))
    if roots and not any(real.is_relative_to(root.resolve()) for root in roots):
        raise OutsideRoots
    return real


@contextmanager
def _naming_refusals() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, ValueError):  # no file's name holds a zero byte
        raise FileMissing from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # no file can have it
            raise FileMissing(os.strerror(error.errno)) from None
        raise FileUnreadable(os.strerror(error.errno) if error.errno else "") from None


def _open_regular(path: Path) -> int:
    # Opening a device can already move it (a tape rewinds), so look before.
    if not stat.S_ISREG(path.stat().st_mode):
        raise NotAFile
    return os.open(path, _READ)


def _open_inside(path: Path, roots: Sequence[Path]) -> int:
    """Walk from the root with links refused: whoever swaps one in meanwhile gains nothing."""
    real = resolve_inside(path, roots)
    if not stat.S_ISREG(real.stat().st_mode):
        raise NotAFile
    root = next(root for root in (r.resolve() for r in roots) if real.is_relative_to(root))
    *folders, name = real.relative_to(root).parts
    folder = os.open(root, _READ | os.O_DIRECTORY)
    try:
        for part in folders:
            inner = os.open(part, _READ | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        return os.open(name, _READ | os.O_NOFOLLOW, dir_fd=folder)
    finally:
        os.close(folder)
