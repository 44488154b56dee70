"""Folders for this user alone: what they hold tells which patients' images were measured."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

from worker.errors import DiskFull, FolderUnusable, HcBatchError, SystemRefused

_FULL = (errno.ENOSPC, errno.EDQUOT)
# What goes by, on a network drive or a busy machine; all else is there because of a setting.
_PASSING = (
    errno.EAGAIN,
    errno.EBUSY,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOTCONN,
    errno.EHOSTDOWN,
    errno.ESTALE,
    errno.ETIMEDOUT,
)


def make_private(folder: Path) -> None:
    """Create the folder and those above it that are missing, open to this user alone.

    One that is there keeps its mode. Raises as ``refusal_of`` tells, with the folder's name.
    """
    try:
        make_missing(folder)
    except OSError as error:
        raise refusal_of(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FolderUnusable(f"{folder}: no right to write there")


def make_missing(folder: Path) -> None:
    """Create what is missing of a folder's path, open to this user alone. Raises ``OSError``."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)


def refusal_of(path: Path, error: OSError) -> HcBatchError:
    """Return whose trouble it is that a file or folder of our own cannot be made or opened.

    ``DiskFull``, ``SystemRefused`` for what goes by, and ``FolderUnusable`` for what a person set.
    """
    if error.errno in _FULL:
        return DiskFull(str(path))
    kind = SystemRefused if error.errno in _PASSING else FolderUnusable
    return kind(f"{path}: {error.strerror}")


def require_temporary() -> None:
    """Raise ``FolderUnusable`` where no folder takes temporary files; pools of processes do."""
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise FolderUnusable(f"for temporary files: {error.strerror}") from error
