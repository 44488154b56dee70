"""Pixel sizes that a person gives: beside the image, in a table, or for all files."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hcmodel.spacing import Spacing
from worker.errors import PixelSizesInvalid, SidecarInvalid
from worker.reading.formats import claimed_format

_SIDECAR_LIMIT = 65_536
"""Bytes; two numbers take some thirty."""
_TOGETHER = ("pixel size(mm)", "pixel size (mm)", "pixel_size_mm")


@dataclass(frozen=True, slots=True)
class PixelSizes:
    """What a person says of each file; the nearest word counts: sidecar, then table, then all."""

    for_all: Spacing | None = None
    by_name: Mapping[str, Spacing] = field(default_factory=dict)

    def of(self, path: Path) -> Spacing | None:
        """The size of the file's pixels, where somebody gave one.

        Raises ``SidecarInvalid``.
        """
        return _read_sidecar(sidecar_of(path)) or self._from_table(path) or self.for_all

    def _from_table(self, path: Path) -> Spacing | None:
        if not self.by_name:
            return None
        tails = ("/".join(path.parts[start:]) for start in range(len(path.parts)))
        return next((self.by_name[tail] for tail in tails if tail in self.by_name), None)


def parsed(row: Any, column: Any) -> Spacing:
    """A pixel size from two numbers of mm, or their texts; raises ``ValueError`` or ``TypeError``.

    Wherever a person gives a size, it comes through here.
    """
    return Spacing(float(row), float(column))


def sidecar_of(path: Path) -> Path:
    """``IMAGE.json`` for ``IMAGE.png``; the dots in a DICOM file's number are no suffix."""
    if claimed_format(path) is not None:
        return path.with_suffix(".json")
    return path.with_name(f"{path.name}.json")


def without_sidecars(files: Sequence[Path]) -> list[Path]:
    """The files less those that only tell the pixel size of one of them."""
    sidecars = {sidecar_of(path) for path in files if path.suffix != ".json"}
    return [path for path in files if path not in sidecars]


def read_table(path: Path) -> dict[str, Spacing]:
    """Pixel sizes by file name or end of path, from a CSV as HC18 has it.

    Raises ``PixelSizesInvalid``, with the line.
    """
    sizes: dict[str, Spacing] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, row in enumerate(csv.DictReader(file), start=2):
                name, size = _table_row(path, line, row)
                if sizes.setdefault(name, size) != size:
                    raise PixelSizesInvalid(f"{path}, line {line}: {name} has two sizes")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PixelSizesInvalid(f"{path}: {error}") from error
    return sizes


def _table_row(path: Path, line: int, row: Mapping[str | None, str | None]) -> tuple[str, Spacing]:
    cells = {(key or "").strip().lower(): (value or "") for key, value in row.items() if key}
    together = next((cells[name] for name in _TOGETHER if name in cells), None)
    try:
        size = parsed(
            cells["row_mm"] if together is None else together,
            cells["column_mm"] if together is None else together,
        )
        return cells["filename"].strip().replace("\\", "/"), size
    except (KeyError, ValueError) as error:
        raise PixelSizesInvalid(f"{path}, line {line}: {error}") from error


def _read_sidecar(path: Path) -> Spacing | None:
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_SIDECAR_LIMIT))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SidecarInvalid(type(error).__name__) from error
    if not isinstance(content, dict):
        return None
    together = content.get("pixel_size_mm")
    row_mm, column_mm = content.get("row_mm", together), content.get("column_mm", together)
    if row_mm is None and column_mm is None:
        return None  # somebody else's JSON
    try:
        return parsed(row_mm, column_mm)
    except (TypeError, ValueError) as error:
        raise SidecarInvalid(str(error)) from error
