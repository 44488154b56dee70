"""Which frames of a cine loop are measured, told from the header alone."""

from __future__ import annotations

import contextlib
import io
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from worker.errors import HcBatchError
from worker.reading.dicom_structure import DEFLATED, NUMBER_OF_FRAMES, read_meta, value_text, walk
from worker.reading.formats import FileFormat, format_of
from worker.reading.limits import MAX_FRAMES
from worker.reading.source import Source, open_source
from worker.reading.tiff import pages

# Enough for any header before (0028,0008); the rest of a deflated file stays packed.
_INFLATED_HEAD_BYTES = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class FramePolicy:
    """``first``, ``middle``, ``every:N`` or ``all``; ``step`` is N."""

    name: str
    step: int = 1

    @classmethod
    def parse(cls, text: str) -> FramePolicy:
        """Read the form that a person types; raises ``ValueError`` with what was expected."""
        if text in ("first", "middle", "all"):
            return cls(text)
        every = re.fullmatch(r"every:0*([1-9][0-9]{0,5})", text)
        if every is None:
            raise ValueError(
                f"frames must be first, middle, every:N (N from 1) or all, not {text!r}"
            )
        return cls("every", int(every[1]))

    def indices(self, frames: int) -> list[int]:
        """Return the indices from 0 of the frames to measure, of a file that has ``frames``."""
        if self.name == "first":
            return [0]
        if self.name == "middle":
            return [frames // 2]
        return list(range(0, frames, self.step))


def frame_indices(path: Path, policy: FramePolicy) -> list[int]:
    """Return the indices of the frames to measure.

    Never raises for a file: a broken one gets frame 0, so that it has a row and is refused by
    name when it is read.
    """
    if policy.name == "first":
        return [0]
    with contextlib.suppress(HcBatchError, OSError), open_source(path) as source:
        return policy.indices(_frames(source))
    return [0]


def _frames(source: Source) -> int:
    match format_of(source.file):
        case FileFormat.DICOM:
            frames = _dicom_frames(source.file, source.size_bytes)
        case FileFormat.TIFF:
            frames = len(pages(source.file, source.size_bytes))
        case _:
            frames = 1
    # A frame takes at least an item header; whoever claims more lies, and would flood the table.
    return frames if 1 <= frames <= min(MAX_FRAMES, source.size_bytes // 8) else 1


def _dicom_frames(file: BinaryIO, size_bytes: int) -> int:
    meta = read_meta(file, size_bytes)
    start = meta.end
    if meta.transfer_syntax == DEFLATED:
        file, start = _inflated_head(file, start), 0
        size_bytes = _INFLATED_HEAD_BYTES
    for element in walk(file, start, size_bytes, meta.transfer_syntax):
        if element.tag == NUMBER_OF_FRAMES:
            return frame_count(value_text(file, element))
        if element.tag > NUMBER_OF_FRAMES:
            break
    return 1


def frame_count(text: str) -> int:
    """NumberOfFrames as a number; 0 where it is none."""
    return int(text) if re.fullmatch(r"\+?[0-9]{1,12}", text.strip()) else 0


def _inflated_head(file: BinaryIO, start: int) -> BinaryIO:
    file.seek(start)
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    with contextlib.suppress(zlib.error):
        return io.BytesIO(
            inflater.decompress(file.read(_INFLATED_HEAD_BYTES), _INFLATED_HEAD_BYTES)
        )
    return io.BytesIO()
