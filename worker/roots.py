"""The folders that may be read, by name, so that machines may mount them in different places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from worker.errors import OutsideRoots, PathOutsideRoots, RootUnknown


@dataclass(frozen=True, slots=True)
class Roots:
    """Without any, every path may be read and is stored as it is.

    With some, paths are stored as ``NAME:path/within``, and each machine says where NAME lies.
    """

    by_name: Mapping[str, Path] = field(default_factory=dict)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Folders of the roots on this machine."""
        return tuple(self.by_name.values())

    def stored(self, path: Path) -> str:
        """Name of an absolute path in the ledger; raises ``PathOutsideRoots``."""
        if not self.by_name:
            return str(path)
        for name, root in self.by_name.items():
            if path.is_relative_to(root):
                return f"{name}:{path.relative_to(root).as_posix()}"
        raise PathOutsideRoots(str(path))

    def located(self, source: str) -> Path:
        """Path on this machine of a stored one.

        Raises ``RootUnknown`` for a root that is not set here, and ``OutsideRoots`` for a path
        that was stored without one.
        """
        if not self.by_name:
            return Path(source)
        name, colon, inside = source.partition(":")
        if Path(source).is_absolute() or not colon:
            raise OutsideRoots
        if name not in self.by_name:
            raise RootUnknown(name)
        return self.by_name[name] / inside
