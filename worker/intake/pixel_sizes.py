"""Pixel sizes that a person gives with a command: in a table, or for all files."""

from __future__ import annotations

import codecs
import csv
import io
import logging
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hcmodel.spacing import Spacing
from worker.errors import PixelSizesInvalid
from worker.reading.sidecar import parse_pixel_size

logger = logging.getLogger(__name__)

_MAX_TABLE_BYTES = 64 * 1024**2
"""A row takes some forty bytes: enough for a million files."""
_NAME = "filename"
_TOGETHER = ("pixel size(mm)", "pixel size (mm)", "pixel_size_mm")
_APART = ("row_mm", "column_mm")
_DELIMITERS = ",;\t"


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
        is_path = source.startswith("/")
        return self.of(Path(source if is_path else source.replace(":", "/", 1)))

    def _from_table(self, path: Path) -> Spacing | None:
        if not self.by_name:
            return None
        for name in _names_of(path):
            if name in self.by_name:
                self.used.add(name)
                return self.by_name[name]
        return None


def read_table(path: Path) -> dict[str, Spacing]:
    """Pixel sizes by file name or end of path, from a CSV as HC18 has it.

    Cells may be parted by commas, semicolons or tabs, numbers may have a decimal comma, and the
    text may be as spreadsheets write it. Raises ``PixelSizesInvalid``, with the line.
    """
    sizes: dict[str, Spacing] = {}
    try:
        for line, name, size in _rows(path, _text_of(path)):
            if sizes.setdefault(name, size) != size:
                raise PixelSizesInvalid(f"{path}, line {line}: {name} has two sizes")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PixelSizesInvalid(f"{path}: {error}") from error
    return sizes


def _text_of(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_MAX_TABLE_BYTES + 1)
    if len(data) > _MAX_TABLE_BYTES:
        raise PixelSizesInvalid(f"{path}: more than {_MAX_TABLE_BYTES} bytes")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # names with accents, from an older spreadsheet


def _rows(path: Path, text: str) -> Iterator[tuple[int, str, Spacing]]:
    """Yield line, name and size of each row."""
    header = text.partition("\n")[0].lower()
    # Which delimiter parts the header; the HC18 form comes first.
    delimiter = max(_DELIMITERS, key=header.count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    columns = [(column or "").strip().lower() for column in reader.fieldnames or ()]
    together = next((column for column in _TOGETHER if column in columns), None)
    row_mm, column_mm = _APART if together is None else (together, together)
    if not {_NAME, row_mm, column_mm} <= set(columns):
        raise PixelSizesInvalid(f"{path} has the columns {', '.join(columns)}")
    for row in reader:
        if None in row:
            reason = "more cells than columns; with decimal commas, part cells by semicolons"
            raise PixelSizesInvalid(f"{path}, line {reader.line_num}: {reason}")
        cells = dict(zip(columns, (cell or "" for cell in row.values()), strict=True))
        if not any(cells.values()):
            continue
        try:
            size = parse_pixel_size(cells[row_mm], cells[column_mm])
        except ValueError as error:
            raise PixelSizesInvalid(f"{path}, line {reader.line_num}: {error}") from error
        yield reader.line_num, _normal(cells[_NAME].strip().replace("\\", "/")), size


def _names_of(path: Path) -> Iterator[str]:
    """Yield the path and its ends, the longest first."""
    whole = _normal(path.as_posix())
    yield whole
    parts = whole.split("/")
    for start in range(1, len(parts)):
        yield "/".join(parts[start:])


def _normal(name: str) -> str:
    """One form for what looks the same: macOS parts accents from their letters."""
    return unicodedata.normalize("NFC", name.removeprefix("./"))
