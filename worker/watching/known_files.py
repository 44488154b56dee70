"""Whether a file of a watched folder is in the ledger already, as it is now.

The ledger stores a version with each scan: size and time of change; since inode, ctime and the
sidecar's size and time stand in it too, another content under the same name, size and time is told
apart. Versions of size and time alone, from earlier releases, are still known.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from worker.errors import ScanRejected
from worker.reading.source import open_source
from worker.result import Status
from worker.store.finished_files import TakenFile
from worker.watching.stability import Ready

_REFUSED = (Status.REJECTED, Status.FAILED)
_OF_SIDECAR = 4  # where the sidecar's part of a version begins


class Standing(Enum):
    """What is to be done with a file."""

    NEW = "take it"
    KNOWN = "nothing"
    CHANGED = "try again what was refused"
    BUSY = "wait until its scans have ended"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done, and the version under which the ledger has the file."""

    standing: Standing
    version: str


def judge(ready: Ready, taken: Sequence[TakenFile], roots: Sequence[Path]) -> Verdict:
    """Compare a file as it is now with what the ledger holds of its path, the oldest first."""
    if taken and _leads_nowhere(ready.path):
        return Verdict(Standing.KNOWN, taken[-1].version)
    now = ready.version.split(":")
    for file in reversed(taken):
        then = file.version.split(":")
        if then[:2] != now[:2]:
            continue
        if len(then) == len(now[:2]):
            return Verdict(Standing.KNOWN, file.version)
        is_touched = then[2:_OF_SIDECAR] != now[2:_OF_SIDECAR]
        if is_touched and file.sha256 is not None and file.sha256 != _sha256(ready, roots):
            continue
        is_unproven = is_touched and file.sha256 is None
        # A sidecar that has gone tells nothing: it is moved first.
        has_new_sidecar = now[_OF_SIDECAR:] not in ([], then[_OF_SIDECAR:])
        if not is_unproven and not has_new_sidecar:
            return Verdict(Standing.KNOWN, file.version)
        if file.status in _REFUSED or (file.status is Status.QUEUED and not is_unproven):
            return Verdict(Standing.CHANGED, file.version)
        if file.status is Status.RUNNING and not is_unproven:
            return Verdict(Standing.BUSY, file.version)
    return Verdict(Standing.NEW, ready.version)


def _leads_nowhere(path: Path) -> bool:
    """Whether it is a link to what has gone, as to a file that was moved when it had ended."""
    return path.is_symlink() and not os.path.exists(path)


def _sha256(ready: Ready, roots: Sequence[Path]) -> str | None:
    try:
        with open_source(ready.path, roots) as source:
            return source.sha256()
    except ScanRejected:
        return None
