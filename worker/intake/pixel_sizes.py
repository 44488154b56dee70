"""Pixel sizes that a person gives with a command: in a table, or for all files."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hcmodel.spacing import Spacing
from worker.errors import PixelSizesInvalid
from worker.reading.sidecar import parse_pixel_size
from worker.user_table import UserTable, name_in_table, names_of, path_of_stored

logger = logging.getLogger(__name__)

_NAME = "filename"
_TOGETHER = ("pixel size(mm)", "pixel size (mm)", "pixel_size_mm")
_APART = ("row_mm", "column_mm")


@dataclass(frozen=True, slots=True)
class PixelSizes:
    """What a person says of each file; the table counts before the size for all.

    ``used``: those names of the table under which a file was found so far.
    """

    for_all: Spacing | None = None
    by_name: Mapping[str, Spacing] = field(default_factory=dict)
    used: set[str] = field(default_factory=set, compare=False)

    def of(self, path: Path) -> Spacing | None:
        """Return the size of the file's pixels, where somebody gave one."""
        return self._from_table(path) or self.for_all

    def tell_unused(self) -> None:
        """Log how many names of the table are no files here, where there are any."""
        names, used = len(self.by_name), len(self.used)
        if used < names:
            logger.warning("pixel sizes: %d of %d names are files here", used, names)

    def of_stored(self, source: str) -> Spacing | None:
        """Return the size for a file by its name in the ledger, ``ROOT:path`` or a path."""
        return self.of(Path(path_of_stored(source)))

    def _from_table(self, path: Path) -> Spacing | None:
        if not self.by_name:
            return None
        for name in names_of(path.as_posix()):
            if name in self.by_name:
                self.used.add(name)
                return self.by_name[name]
        return None


def read_table(path: Path) -> dict[str, Spacing]:
    """Pixel sizes by file name or end of path, from a CSV as HC18 has it.

    Cells may be parted by commas, semicolons or tabs, numbers may have a decimal comma, and the
    text may be as spreadsheets write it. Raises ``PixelSizesInvalid``, with the line.
    """
    table = UserTable(path, PixelSizesInvalid)
    together = next((column for column in _TOGETHER if column in table.columns), None)
    row_mm, column_mm = _APART if together is None else (together, together)
    if not {_NAME, row_mm, column_mm} <= set(table.columns):
        raise table.unfit()
    if together is not None and set(_APART) & set(table.columns):
        raise PixelSizesInvalid(f"{path} has {together} and {_APART[0]} or {_APART[1]}: keep one")
    sizes: dict[str, Spacing] = {}
    for line in table.lines():
        try:
            size = parse_pixel_size(line.cells[row_mm], line.cells[column_mm])
        except ValueError as error:
            raise table.refused(line.number, error) from error
        name = name_in_table(line.cells[_NAME])
        if sizes.setdefault(name, size) != size:
            raise table.refused(line.number, f"{name} has two sizes")
    return sizes
