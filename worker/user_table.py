"""Tables that people give, as spreadsheets write them: encodings, delimiters, line ends, paths."""

from __future__ import annotations

import codecs
import csv
import io
import re
import textwrap
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.errors import OperatorError

_MAX_BYTES = 64 * 1024**2
"""A row takes some forty bytes: enough for a million."""
_DELIMITERS = ",;\t"
_LOOK = 200  # bytes of the beginning, by which UTF-16 is told from what is no text
_SHOWN = 200  # letters of the headings of a file that may be anything


@dataclass(frozen=True, slots=True)
class Line:
    """One row of cells by heading, which is in small letters; ``number``: its last line."""

    number: int
    cells: dict[str, str]


class UserTable:
    """A CSV's headings, and its rows as they are read; ``refusal`` is raised for what is unfit.

    Cells may be parted by commas, semicolons or tabs; columns without a heading are left out.
    """

    def __init__(self, path: Path, refusal: type[OperatorError]) -> None:
        """Read the file and its headings. Raises the refusal."""
        self._path = path
        self._refusal = refusal
        try:
            text, skipped = _without_preface(self._text())
            header = text.partition("\n")[0].lower()
            # Which delimiter parts the header; the HC18 form comes first.
            delimiter = max(_DELIMITERS, key=header.count)
            self._reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            self._names = [name.strip().lower() for name in next(self._reader, [])]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise refusal(f"{path}: {error}") from error
        self._skipped = skipped
        self.columns = tuple(filter(None, self._names))
        if len(set(self.columns)) < len(self.columns):
            raise refusal(f"{path}: two columns have the same heading")

    def lines(self) -> Iterator[Line]:
        """Yield the rows that hold anything. Raises the refusal, with the line."""
        try:
            for row in self._reader:
                number = self._reader.line_num + self._skipped
                if any(map(str.strip, row[len(self._names) :])):
                    raise self.refused(
                        number,
                        "more cells than columns; with decimal commas, part cells by semicolons",
                    )
                filled = row + [""] * (len(self._names) - len(row))
                cells = dict(zip(self._names, filled, strict=False))
                cells.pop("", None)
                if any(cells.values()):
                    yield Line(number, cells)
        except csv.Error as error:
            raise self._refusal(f"{self._path}: {error}") from error

    def refused(self, line: int, reason: object) -> OperatorError:
        """Return the refusal of a line, to be raised."""
        return self._refusal(f"{self._path}, line {line}: {reason}")

    def unfit(self) -> OperatorError:
        """Return the refusal of the headings, to be raised."""
        names = textwrap.shorten(", ".join(self.columns), _SHOWN) or "none at all"
        return self._refusal(f"{self._path} has the columns {names}")

    def _text(self) -> str:
        with self._path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise self._refusal(f"{self._path}: more than {_MAX_BYTES} bytes")
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return data.decode("utf-16")
        if b"\0" in data:
            if len(data) % 2 or any(data[1:_LOOK:2]):
                raise self._refusal(f"{self._path} is no text: export it as CSV")
            return data.decode("utf-16-le")  # without its mark
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return data.decode("latin-1")  # names with accents, from an older spreadsheet


def _without_preface(text: str) -> tuple[str, int]:
    """Return the text from its headings on, and how many lines come before them.

    Spreadsheets may put empty lines there, or ``sep=;``.
    """
    preface = re.match(r"(\s*\r?\n)*(sep=.\r?\n(\s*\r?\n)*)?", text, re.IGNORECASE)
    begin = preface.end() if preface else 0
    return text[begin:], text[:begin].count("\n")


def name_in_table(cell: str) -> str:
    """Return a file's name or path as ``names_of`` tells it."""
    return _normal(cell.strip().replace("\\", "/"))


def names_of(path: str) -> Iterator[str]:
    """Yield the names under which a table may mean a path: itself and its ends, the longest first.

    The folders are apart by slashes.
    """
    whole = _normal(path)
    yield whole
    parts = whole.split("/")
    for start in range(1, len(parts)):
        yield "/".join(parts[start:])


def path_of_stored(source: str) -> str:
    """Return a path for ``names_of`` from a file's name in the ledger, ``ROOT:path`` or a path."""
    return source if source.startswith("/") else source.replace(":", "/", 1)


def _normal(name: str) -> str:
    """One form for what looks the same: macOS parts accents from their letters."""
    return unicodedata.normalize("NFC", name.removeprefix("./"))
