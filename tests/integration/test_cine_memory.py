"""Long cine loops are read by frame: memory stays flat."""

from __future__ import annotations

from itertools import islice

import pytest

from worker.bench.decoding import CINE_FRAMES, bench_reading


@pytest.mark.timeout(300)
def test_87_frames_of_743_by_975_stay_below_250_mb():
    uncompressed, run_lengths = islice(bench_reading(), 2)
    assert [uncompressed.decoder, run_lengths.decoder] == ["pydicom", "pylibjpeg-rle"]
    for speed in (uncompressed, run_lengths):
        assert speed.frames == CINE_FRAMES
        assert speed.peak_mb < 250
