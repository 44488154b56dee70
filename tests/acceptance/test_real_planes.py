"""Real images by plane, through the path that users run.

FETAL_PLANES_DIR names their folder. They trained the shipped gate: what it does on patients that it
has not seen, `hc-batch model evaluate --planes` tells. This holds the way from file to row.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from hcmodel.dataset.planes import BODIES, FOR_HC, read_planes
from worker.evaluation import evaluate_planes
from worker.measuring.instrument import open_instrument
from worker.settings import Settings

EACH = 6


def test_bodies_are_no_heads_and_heads_are_measured() -> None:
    folder = os.environ.get("FETAL_PLANES_DIR")
    if not folder:
        pytest.skip("FETAL_PLANES_DIR does not name the folder of images by plane")
    by_plane = defaultdict(list)
    for image in read_planes(Path(folder)):
        by_plane[image.plane].append(image)
    chosen = [image for images in by_plane.values() for image in images[:EACH]]
    with open_instrument(Settings.from_environment()) as instrument:
        cases = list(evaluate_planes(chosen, instrument))
    measured = Counter(case.image.plane for case in cases if case.code is None and not case.flags)
    assert sum(measured[plane] for plane in BODIES) == 0
    assert sum(measured[plane] for plane in FOR_HC) >= 2 * EACH - 3
    refused = {case.code for case in cases if case.image.plane in BODIES}
    assert "other-anatomy" in refused
