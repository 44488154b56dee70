"""Files that ended long ago: what ``--after move`` put into ``done/`` goes for good."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from worker.watching.inner_folders import opened_below
from worker.watching.stability import DONE


@dataclass(frozen=True, slots=True)
class Aged:
    """Files that go, or went, from one ``done/``, with their size; ``problem``: why one stays."""

    folder: Path
    files: int = 0
    size_bytes: int = 0
    problem: str | None = None


def prune_done(root: Path, older_than_s: float, *, really: bool) -> Aged:
    """Remove files of ``root/done`` that neither changed nor moved for so long, or count them.

    Folders that are left empty go too. No link is followed, and nothing outside is touched.
    """
    before_s = time.time() - older_than_s
    files = size_bytes = 0
    problem = None
    for parts in _folders(root / DONE):
        try:
            with opened_below(root, (DONE, *parts)) as folder:
                for name in sorted(os.listdir(folder)):
                    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    is_old = max(status.st_mtime, status.st_ctime) < before_s
                    if not stat.S_ISREG(status.st_mode) or not is_old:
                        continue
                    if really:
                        os.unlink(name, dir_fd=folder)
                    files += 1
                    size_bytes += status.st_size
            if really and parts and files:
                with opened_below(root, (DONE, *parts[:-1])) as above, suppress(OSError):
                    os.rmdir(parts[-1], dir_fd=above)
        except OSError as error:
            problem = f"{root.joinpath(DONE, *parts)}: {error.strerror}"
    return Aged(root / DONE, files, size_bytes, problem)


def _folders(top: Path) -> Iterator[tuple[str, ...]]:
    """Yield the folders below, each after those within it, and the top last."""
    for folder, _, _ in os.walk(top, topdown=False):
        yield Path(folder).relative_to(top).parts
