"""A file that is written whole, or not at all."""

from __future__ import annotations

import errno
import io
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from worker.errors import DiskFull, OutputUnwritable


@contextmanager
def replacing(path: Path) -> Iterator[TextIO]:
    """Open a file beside ``path`` that takes its place, with its rights, when the block has ended.

    Where the block or the disk fails, ``path`` is as before. What is no regular file, such as a
    pipe or a device, is written directly. Raises ``OutputUnwritable`` and ``DiskFull``.
    """
    with replacing_bytes(path) as binary:
        file = io.TextIOWrapper(binary, encoding="utf-8", newline="")
        try:
            yield file
            file.flush()
        finally:
            file.detach()


@contextmanager
def replacing_bytes(path: Path) -> Iterator[BinaryIO]:
    """Do the same for what is no text. Raises ``OutputUnwritable`` and ``DiskFull``."""
    try:
        # Asked and opened by its own name: that of a pipe behind /dev/stdout is none.
        if path.exists() and not path.is_file():
            with path.open("wb") as file:
                yield file
            return
        with _beside(Path(os.path.realpath(path))) as file:  # a link stays, leads to the new file
            yield file
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(str(path)) from error
        raise OutputUnwritable(f"{path}: {error.strerror}") from error


@contextmanager
def _beside(target: Path) -> Iterator[BinaryIO]:
    if target.exists() and not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    number, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", dir=target.parent)
    try:
        with open(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(number)
        os.chmod(name, _rights(target))
        os.replace(name, target)
    finally:
        with suppress(FileNotFoundError):  # where it took the other's place
            os.unlink(name)


def _rights(target: Path) -> int:
    """Return the rights of the file that is there, or those of a new one."""
    if target.exists():
        return target.stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask
