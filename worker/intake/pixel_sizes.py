"""Pixel sizes that a person gives: beside the image, in a table, or for all files."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worker.errors import PixelSizesInvalid, SidecarInvalid

SizeMm = tuple[float, float]
"""Of a row and of a column."""

_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm"}
_SIDECAR_LIMIT = 65_536
_TOGETHER = ("pixel size(mm)", "pixel size (mm)", "pixel_size_mm")


@dataclass(frozen=True, slots=True)
class PixelSizes:
    """What a person says of each file; the nearest word counts: sidecar, then table, then all."""

    for_all: SizeMm | None = None
    by_name: Mapping[str, SizeMm] = field(default_factory=dict)

    def of(self, path: Path) -> SizeMm | None:
        """Height and width of a pixel in mm, where somebody gave them."""
        return _read_sidecar(sidecar_of(path)) or self._from_table(path) or self.for_all

    def _from_table(self, path: Path) -> SizeMm | None:
        if not self.by_name:
            return None
        tails = ("/".join(path.parts[start:]) for start in range(len(path.parts)))
        return next((self.by_name[tail] for tail in tails if tail in self.by_name), None)


def sidecar_of(path: Path) -> Path:
    """``IMAGE.json`` for ``IMAGE.png``; the dots in a DICOM file's number are no suffix."""
    if path.suffix.lower() in _IMAGE_SUFFIXES:
        return path.with_suffix(".json")
    return path.with_name(f"{path.name}.json")


def without_sidecars(files: Sequence[Path]) -> list[Path]:
    """The files less those that only tell the pixel size of one of them."""
    sidecars = {sidecar_of(path) for path in files if path.suffix != ".json"}
    return [path for path in files if path not in sidecars]


def read_table(path: Path) -> dict[str, SizeMm]:
    """A CSV as HC18 has it, with file names or ends of paths in the first named column."""
    sizes: dict[str, SizeMm] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, row in enumerate(csv.DictReader(file), start=2):
                name, size_mm = _table_row(path, line, row)
                if sizes.setdefault(name, size_mm) != size_mm:
                    raise PixelSizesInvalid(f"{path}, line {line}: {name} has two sizes")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PixelSizesInvalid(f"{path}: {error}") from error
    return sizes


def _table_row(path: Path, line: int, row: Mapping[str | None, str | None]) -> tuple[str, SizeMm]:
    cells = {(key or "").strip().lower(): (value or "") for key, value in row.items() if key}
    together = next((cells[name] for name in _TOGETHER if name in cells), None)
    try:
        size_mm = _size_mm(
            cells["row_mm"] if together is None else together,
            cells["column_mm"] if together is None else together,
        )
        return cells["filename"].strip().replace("\\", "/"), size_mm
    except (KeyError, ValueError) as error:
        raise PixelSizesInvalid(f"{path}, line {line}: {error}") from error


def _read_sidecar(path: Path) -> SizeMm | None:
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
        return _size_mm(row_mm, column_mm)
    except (TypeError, ValueError) as error:
        raise SidecarInvalid(str(error)) from error


def _size_mm(row: Any, column: Any) -> SizeMm:
    size_mm = float(row), float(column)
    if not all(math.isfinite(each) and each > 0 for each in size_mm):
        raise ValueError(f"{size_mm} is no pixel size in mm")
    return size_mm
