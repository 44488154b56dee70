"""How long reading takes and how much memory, by transfer syntax: figures for sizing a worker."""

from __future__ import annotations

import io
import json
import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
    UltrasoundMultiFrameImageStorage,
    generate_uid,
)

from hcmodel.geometry import Spacing
from worker.reading import FramePolicy, frame_indices, read
from worker.reading.inspect import inspect

CINE_FRAMES = 87
CINE_SHAPE = (743, 975)  # rows, columns


@dataclass(frozen=True, slots=True)
class ReadingSpeed:
    """What one file cost a fresh process that read all its frames, one after another."""

    transfer_syntax: str
    decoder: str
    frames: int
    first_ms: float
    frame_ms: float
    peak_mb: float


def bench_reading(paths: Sequence[Path] = ()) -> Iterator[ReadingSpeed]:
    """Measure ``paths``, or cine loops of colour in every syntax that can be written here."""
    if paths:
        yield from map(_in_fresh_process, paths)
        return
    with tempfile.TemporaryDirectory(prefix="hc-bench-") as folder:
        for path in _cine_loops(Path(folder)):
            yield _in_fresh_process(path)
            path.unlink()


def _in_fresh_process(path: Path) -> ReadingSpeed:
    command = [sys.executable, "-P", "-m", "worker.bench.decoding", str(path.absolute())]
    done = subprocess.run(command, capture_output=True, check=True)
    return ReadingSpeed(**json.loads(done.stdout))


def _measure(path: Path) -> ReadingSpeed:
    (first, *_) = inspect(path, manual=_ANY_SCALE)
    times_ms = []
    for frame in frame_indices(path, FramePolicy.parse("all")):
        start_s = time.perf_counter()
        read(path, frame, _ANY_SCALE)
        times_ms.append(1000 * (time.perf_counter() - start_s))
    return ReadingSpeed(
        transfer_syntax=str(first.get("transfer_syntax", first["kind"])),
        decoder=first["decoder"],
        frames=len(times_ms),
        first_ms=times_ms[0],
        frame_ms=float(np.median(times_ms)),
        peak_mb=_peak_mb(),
    )


def _peak_mb() -> float:
    """Peak memory of this process; getrusage would count what its parent held at the start."""
    status = Path("/proc/self/status").read_text()
    peak_kb = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(peak_kb[1]) / 1024 if peak_kb else math.nan


# The scale's cost is nil, and files without one are to be measured too.
_ANY_SCALE = Spacing(0.2, 0.2)


def _speckle() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    return rng.gamma(2.0, 24.0, (*CINE_SHAPE, 3)).clip(0, 255).astype(np.uint8)


def _cine_loops(folder: Path) -> Iterator[Path]:
    for transfer_syntax, frame in _encoded(_speckle()):
        path = folder / f"{transfer_syntax}.dcm"
        _write(path, transfer_syntax, frame)
        yield path


def single_frames(folder: Path) -> Iterator[tuple[str, Path, Callable[[], object]]]:
    """Yield each syntax that can be written here: its name, a file, its decoder's bare call."""
    speckle = _speckle()
    for transfer_syntax, frame in _encoded(speckle):
        path = folder / f"{transfer_syntax}.dcm"
        _write(path, transfer_syntax, frame, 1)
        yield transfer_syntax.name, path, partial(_bare(transfer_syntax), frame)


def _bare(transfer_syntax: UID) -> Callable[[bytes], object]:
    import jpeg_ls
    from rle import rle

    def pillow(frame: bytes) -> object:
        return np.asarray(Image.open(io.BytesIO(frame)))

    rows, columns = CINE_SHAPE
    calls: dict[UID, Callable[[bytes], object]] = {
        ExplicitVRLittleEndian: lambda frame: np.frombuffer(frame, np.uint8).copy(),
        RLELossless: lambda frame: rle.decode_frame(frame, rows * columns, 8, "<"),
        JPEGLSLossless: lambda frame: jpeg_ls.decode(np.frombuffer(frame, np.uint8)),
    }
    return calls.get(transfer_syntax, pillow)


def _encoded(rgb: NDArray[np.uint8]) -> Iterator[tuple[UID, bytes]]:
    import jpeg_ls
    from rle.utils import encode_pixel_data

    rows, columns, samples = rgb.shape
    yield ExplicitVRLittleEndian, rgb.tobytes()
    yield (
        RLELossless,
        encode_pixel_data(
            rgb.tobytes(),
            rows=rows,
            columns=columns,
            samples_per_pixel=samples,
            bits_allocated=8,
            number_of_frames=1,
            byteorder="<",
        ),
    )
    yield JPEGLSLossless, bytes(jpeg_ls.encode_array(rgb))
    yield JPEGBaseline8Bit, _saved(rgb, "JPEG")
    yield JPEG2000Lossless, _saved(rgb, "JPEG2000", no_jp2=True, mct=0)


def _saved(rgb: NDArray[np.uint8], form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, form, **options)
    return buffer.getvalue()


def _write(path: Path, transfer_syntax: UID, frame: bytes, count: int = CINE_FRAMES) -> None:
    """Write the same frame over and over: decoders do not know."""
    ds = Dataset()
    ds.SOPClassUID = UltrasoundMultiFrameImageStorage
    ds.SOPInstanceUID = generate_uid(entropy_srcs=[transfer_syntax])
    ds.Rows, ds.Columns = CINE_SHAPE
    ds.NumberOfFrames = count
    ds.SamplesPerPixel, ds.PlanarConfiguration = 3, 0
    is_jpeg = transfer_syntax == JPEGBaseline8Bit
    ds.PhotometricInterpretation = "YBR_FULL_422" if is_jpeg else "RGB"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    frames = [frame] * count
    is_native = transfer_syntax == ExplicitVRLittleEndian
    ds.PixelData = b"".join(frames) if is_native else encapsulate(frames)
    ds["PixelData"].VR = "OB"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = transfer_syntax
    ds.save_as(path, enforce_file_format=True)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(_measure(Path(sys.argv[1])))))
