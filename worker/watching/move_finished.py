"""Files whose scans have ended leave the watched folder for ``done/`` and ``failed/CODE/``.

What is to move follows from the ledger alone, so that a move cut short is made up for at the next
look. Rows keep the path under which the file was taken.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from worker import failpoint
from worker.intake.discover import is_storable
from worker.reading.sidecar import sidecar_of
from worker.roots import Roots
from worker.store.finished_files import endings
from worker.store.session import Database
from worker.watching.stability import DONE, FAILED, Ready, signature_of

logger = logging.getLogger(__name__)


def move_ended(
    database: Database, batch: str, root: Path, roots: Roots, files: Sequence[Ready]
) -> None:
    """Move those of the files that are as they were when taken, and whose scans have ended.

    Raises ``ServiceUnavailable``; a file that cannot be moved is logged.
    """
    ended = endings(
        database, batch, list(filter(is_storable, (roots.stored(path) for path, _ in files)))
    )
    for path, signature in files:
        key = (roots.stored(path), signature.version)
        if key in ended and signature_of(path) == signature:
            _move(root, path, ended[key])


def _move(root: Path, path: Path, code: str | None) -> None:
    top = root / DONE if code is None else root / FAILED / code
    target = top / path.relative_to(root)
    sidecar = sidecar_of(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target = _free(target)
        # The sidecar first: cut short between the two, the image still waits for its move.
        if sidecar.is_file() and not _is_shared(sidecar, path):
            sidecar.rename(_free(sidecar_of(target)))
        failpoint.hit("between-moves")
        path.rename(target)
        failpoint.hit("after-move")
    except FileNotFoundError:
        return  # another watcher was quicker
    except OSError as error:
        logger.warning("%s cannot be moved to %s: %s", path, top, error.strerror)


def _free(target: Path) -> Path:
    """Return the path, with a number in its name where an earlier file lies there."""
    free, number = target, 1
    while free.exists():
        number += 1
        free = target.with_name(f"{target.stem}-{number}{target.suffix}")
    return free


def _is_shared(sidecar: Path, path: Path) -> bool:
    """Whether another file of the folder has the same sidecar."""
    others = (other for other in path.parent.iterdir() if other not in (path, sidecar))
    return any(sidecar_of(other) == sidecar for other in others)
