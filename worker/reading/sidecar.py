"""A person's pixel size: how it is written, and the JSON file beside an image that holds one.

A sidecar is opened where its image is read, and passes the same gate: whatever it is or holds
costs that image alone, and one that comes later, or is mended, counts when the image is next read.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hcmodel.spacing import LEAST_MM, MOST_MM, Spacing, is_size_mm
from worker.errors import FileMissing, ScanRejected, SidecarInvalid
from worker.reading.formats import claimed_format
from worker.reading.source import open_source

_MAX_BYTES = 65_536
"""Two numbers take some thirty."""
_NUMBER = re.compile(r"[0-9]+([.,][0-9]*)?([eE][-+]?[0-9]{1,3})?|[.,][0-9]+")
_TOGETHER, _ROW, _COLUMN = "pixel_size_mm", "row_mm", "column_mm"
_LETTERS_OF_KEYS = ("pixelsizemm", "pixelsize", "pixelspacing", "rowmm", "columnmm")
_NEARLY = 0.8
"""Likeness of two keys, 0 to 1: ``pixelSize`` and ``rows_mm`` are near, ``columns`` is not."""


def parse_pixel_size(row: object, column: object) -> Spacing:
    """Return a pixel size from two numbers of mm or their texts, also with a decimal comma.

    Wherever a person gives a size it comes through here. Raises ``ValueError``, which quotes
    nothing.
    """
    size = Spacing(_millimetres(row), _millimetres(column))
    if not (is_size_mm(size.row_mm) and is_size_mm(size.column_mm)):
        raise ValueError(f"a pixel's size in mm is between {LEAST_MM:g} and {MOST_MM:g}")
    return size


def sidecar_of(path: Path) -> Path:
    """``IMAGE.json`` for ``IMAGE.png``; the dots in a DICOM file's number are no suffix."""
    if claimed_format(path) is not None:
        return path.with_suffix(".json")
    return path.with_name(f"{path.name}.json")


def without_sidecars(files: Sequence[Path]) -> list[Path]:
    """Return the files less those that only tell the pixel size of one of them."""
    tables = {path for path in files if path.suffix == ".json"}
    if not tables:
        return list(files)
    sidecars = tables.intersection(sidecar_of(path) for path in files if path not in tables)
    return [path for path in files if path not in sidecars]


def read_sidecar(path: Path, roots: Sequence[Path]) -> Spacing | None:
    """Return the pixel size in the JSON file beside the image at ``path``, where there is one.

    ``None`` also for JSON about other things. Raises ``SidecarInvalid``, which quotes nothing.
    """
    try:
        with open_source(sidecar_of(path), roots) as source:
            if source.size_bytes > _MAX_BYTES:
                raise SidecarInvalid(f"it has more than {_MAX_BYTES} bytes")
            content = json.loads(source.file.read(), object_pairs_hook=_once)
    except FileMissing:
        return None
    except SidecarInvalid:
        raise
    except _Contradiction:
        raise SidecarInvalid("it gives one size twice, and not the same") from None
    except ScanRejected as refusal:
        raise SidecarInvalid(refusal.cause) from None
    except (ValueError, RecursionError):
        raise SidecarInvalid("it is no JSON") from None
    return _size_in(content) if isinstance(content, dict) else None


class _Contradiction(Exception):
    """Two values for one size: neither counts more than the other."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object; raises ``_Contradiction`` where a key of ours has two values."""
    content: dict[str, Any] = {}
    for key, value in pairs:
        if key in (_TOGETHER, _ROW, _COLUMN) and content.setdefault(key, value) != value:
            raise _Contradiction
        content[key] = value
    return content


def _size_in(content: dict[str, Any]) -> Spacing | None:
    together = content.get(_TOGETHER)
    row, column = content.get(_ROW, together), content.get(_COLUMN, together)
    if {_TOGETHER, _ROW, _COLUMN} <= content.keys() and not row == column == together:
        raise SidecarInvalid(f"its {_TOGETHER}, {_ROW} and {_COLUMN} differ")
    if row is None and column is None:
        if any(map(_is_nearly_ours, content)):
            raise SidecarInvalid("a key is nearly pixel_size_mm, row_mm or column_mm")
        return None  # somebody else's JSON
    try:
        return parse_pixel_size(row, column)
    except ValueError as error:
        raise SidecarInvalid(str(error)) from None


def _is_nearly_ours(key: str) -> bool:
    letters = re.sub("[^a-z]", "", key[:40].lower())
    is_about_pixels = "pixel" in letters or "mm" in letters
    likeness = difflib.get_close_matches(letters, _LETTERS_OF_KEYS, cutoff=_NEARLY)
    return is_about_pixels and bool(likeness)


def _millimetres(value: object) -> float:
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value.strip().replace(",", "."))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("a pixel's size is a positive number of mm")
    try:
        return float(value)
    except OverflowError:
        raise ValueError("a pixel's size is a positive number of mm") from None
