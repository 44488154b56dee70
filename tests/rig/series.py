"""Many different files from one drawn image."""

from __future__ import annotations

from pathlib import Path

from worker.sample_files import write_series


def write_copies(folder: Path, count: int, seed: int) -> None:
    """Draw one DICOM phantom in a new folder; the other files differ from it in their last pixels.

    To draw one takes longer than to measure it.
    """
    (first,) = write_series(folder, 1, seed=seed)
    content = first.read_bytes()
    for number in range(1, count):
        (folder / f"copy{number:03}.dcm").write_bytes(content[:-2] + number.to_bytes(2, "big"))
