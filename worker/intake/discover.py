"""Paths to scans: each frame to measure, and each file that is none, with the reason."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

from hcmodel.spacing import Spacing
from worker.errors import HcBatchError, OutsideRoots, PathMissing, ScanRejected
from worker.intake.pixel_sizes import PixelSizes, read_table
from worker.reading import FramePolicy, Skip, classify, frame_indices, resolve_inside
from worker.reading.formats import STRUCTURED_REPORT, FileFormat
from worker.reading.sidecar import without_sidecars
from worker.roots import Roots
from worker.store.batches import NewScan, NewSkip

FIRST = FramePolicy("first")

MAX_SOURCE_BYTES = 2000
"""PostgreSQL's index over the names of a batch takes rows of up to 2,704 bytes."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a person says about the files: sizes of pixels, frames of loops, folders in folders.

    ``any_plane``: that all show heads in planes to be measured, whatever the gate says.
    """

    pixel_size: Spacing | None = None
    pixel_sizes: Path | None = None
    frames: FramePolicy = FIRST
    recursive: bool = True
    any_plane: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """Paths and options, checked: the table of pixel sizes is read, every path is there."""

    paths: tuple[Path, ...]
    frames: FramePolicy
    recursive: bool
    sizes: PixelSizes
    roots: Roots
    any_plane: bool = False

    @classmethod
    def of(cls, paths: Iterable[Path], options: Options, roots: Roots = Roots()) -> Request:  # noqa: B008 - frozen
        """Check paths and options; raises an ``OperatorError`` before anything is inserted."""
        absolute = tuple(Path(os.path.abspath(path)) for path in paths)
        for path in absolute:
            if not os.path.exists(path):  # Path's own raises for some names
                raise PathMissing(str(path))
            roots.stored(path)
        table = {} if options.pixel_sizes is None else read_table(options.pixel_sizes)
        sizes = PixelSizes(options.pixel_size, table)
        return cls(absolute, options.frames, options.recursive, sizes, roots, options.any_plane)

    @property
    def key(self) -> str:
        """A digest that is the same for the same paths and options."""
        said = [
            sorted(map(str, self.paths)),
            str(self.frames),
            self.recursive,
            self.sizes.for_all and astuple(self.sizes.for_all),
            sorted((name, astuple(size)) for name, size in self.sizes.by_name.items()),
        ]
        if self.any_plane:  # requests of earlier versions keep their key
            said.append("any-plane")
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    @property
    def label(self) -> str:
        """For people: what was asked for."""
        return _as_text(", ".join(map(str, self.paths)))

    def discover(self) -> Iterator[NewScan | NewSkip]:
        """Yield all that lies below the paths, in order of names, a folder at a time."""
        for path in self.paths:
            if path.is_dir():
                yield from self._walk(path)
            elif not self._leads_out(path) and classify(path) is STRUCTURED_REPORT:
                yield _skip(path, STRUCTURED_REPORT.code, STRUCTURED_REPORT.reason)
            else:
                # Named by a person, so it gets a row and is refused there where it is no image.
                yield from self._scans(path, leads_out=self._leads_out(path))
        self.sizes.tell_unused()

    def look_at(self, path: Path, version: str = "") -> Iterator[NewScan | NewSkip]:
        """Yield the scans of one file of a folder, or why it has none.

        Whatever is odd about the file costs the file alone: this is where it enters.
        """
        try:
            yield from self._looked_at(path, version)
        except (HcBatchError, OSError, ValueError) as error:
            yield _skip(path, "file-unreadable", f"a file that cannot be looked at: {_why(error)}")

    def _looked_at(self, path: Path, version: str) -> Iterator[NewScan | NewSkip]:
        leads_out = self._leads_out(path)
        kind = None if leads_out else classify(path)
        if not isinstance(kind, FileFormat) and os.path.islink(path) and _is_folder(path):
            yield _skip(path, "folder-link", "a link to a folder; name it to have it entered")
        elif isinstance(kind, Skip):
            yield _skip(path, kind.code, kind.reason)
        else:
            yield from self._scans(path, version, leads_out=leads_out)

    def _walk(self, top: Path) -> Iterator[NewScan | NewSkip]:
        folders = [top]
        while folders:
            folder = folders.pop()
            try:
                files, inner = _listed(folder)
            except OSError as error:
                yield _skip(folder, "folder-unreadable", error.strerror or "cannot be listed")
                continue
            for path in files:
                yield from self.look_at(path)
            if self.recursive:
                folders += reversed(inner)
            else:
                for path in inner:
                    yield _skip(path, "folder", "a folder within the folder, not asked for")

    def _leads_out(self, path: Path) -> bool:
        """Whether a link leads out of the roots: then nothing is opened here either."""
        if not self.roots.paths:
            return False
        try:
            resolve_inside(path, self.roots.paths)
        except ScanRejected as error:
            return isinstance(error, OutsideRoots)
        return False

    def _scans(
        self, path: Path, version: str = "", *, leads_out: bool
    ) -> Iterator[NewScan | NewSkip]:
        source = self.roots.stored(path)
        if not is_storable(source):
            yield _unstorable(path)
        elif leads_out:
            yield NewScan(source, version=version)  # refused by name when it is its turn
        else:
            manual = self.sizes.of(path)
            for frame in frame_indices(path, self.frames):
                yield NewScan(source, frame, manual, version, self.any_plane)


def is_storable(source: str) -> bool:
    """Whether a row can bear this name: one in UTF-8, and of a bounded length."""
    try:
        return len(source.encode()) <= MAX_SOURCE_BYTES
    except UnicodeEncodeError:
        return False


def _unstorable(path: Path) -> NewSkip:
    if len(os.fsencode(path)) > MAX_SOURCE_BYTES:
        reason = f"a path of more than {MAX_SOURCE_BYTES} bytes; move it up or shorten its names"
        return _skip(path, "name-too-long", reason)
    return _skip(path, "name-not-text", "a name that is not UTF-8; rename it")


def _listed(folder: Path) -> tuple[list[Path], list[Path]]:
    """Folders, and all else, by name."""
    files, inner = [], []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            inner.append(path)
        else:
            files.append(path)
    return without_sidecars(files), inner


def _is_folder(path: Path) -> bool:
    """Whether it leads to a folder; ``Path.is_dir`` raises for a link with a name too long."""
    with suppress(OSError):
        return stat.S_ISDIR(os.stat(path).st_mode)
    return False


def _skip(path: Path, code: str, reason: str) -> NewSkip:
    """Return a skip under a name that a row can bear: a longer one has its digest inside."""
    name = _as_text(str(path))
    if not is_storable(name):
        digest = hashlib.sha256(os.fsencode(path)).hexdigest()
        name = f"{name[:200]}...{digest[:16]}...{name[-200:]}"
    return NewSkip(name, code, reason)


def _as_text(name: str) -> str:
    return name.encode(errors="backslashreplace").decode()


def _why(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
