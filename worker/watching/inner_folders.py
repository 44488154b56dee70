"""Folders below a watched root, entered without following links.

Whoever may write into the root may put a link where a folder was. Names are therefore resolved one
by one from the root's own descriptor, so that nothing outside is ever written, moved or removed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@contextmanager
def opened_below(root: Path, parts: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """Open the folder ``root/part/part...``; yield its descriptor.

    ``create``: folders that are not there are made. Raises ``OSError``, with ``ELOOP`` where a
    part is a link; the root itself may be one, since a person named it.
    """
    folder = os.open(root, _FOLDER)
    try:
        for part in parts:
            inner = _opened(folder, part, create)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def _opened(folder: int, name: str, create: bool) -> int:
    if create:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=folder)
    try:
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, "it is a link") from None
        raise
