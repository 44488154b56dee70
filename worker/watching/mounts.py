"""Which file system a path lies on: network drives send no events about other machines' writes."""

from __future__ import annotations

import os
import re
from pathlib import Path

_TABLE = Path("/proc/self/mountinfo")
_NETWORK = re.compile(r"nfs\d*|cifs|smb\w*|fuse(\..+)?|9p|afs|ceph|lustre|beegfs")


def on_network(path: Path) -> bool:
    """Whether the path lies on NFS, SMB, FUSE or their like; not, where there is no mount table."""
    try:
        table = _TABLE.read_text(errors="surrogateescape")
    except OSError:
        return False
    return is_network(filesystem_of(Path(os.path.realpath(path)), table))


def is_network(filesystem: str) -> bool:
    """Whether a file system of this type may be written from elsewhere."""
    return _NETWORK.fullmatch(filesystem) is not None


def filesystem_of(path: Path, table: str) -> str:
    """Type of the innermost mount that holds the path, by the text of ``mountinfo``."""
    innermost, filesystem = -1, ""
    for line in table.splitlines():
        place, _, kind = line.partition(" - ")
        point = Path(_unescaped(place.split(" ")[4]))
        depth = len(point.parts)
        # Of several at one place the last one covers the others.
        if depth >= innermost and path.is_relative_to(point):
            innermost, filesystem = depth, kind.split(" ")[0]
    return filesystem


def _unescaped(text: str) -> str:
    """Blanks and the like stand as octal numbers in the table."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
