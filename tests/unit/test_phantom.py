from pathlib import Path

import numpy as np
import pydicom
import pytest

from hcmodel.geometry import Ellipse
from hcmodel.phantom import draw_phantom, random_head
from worker.sample_files import PHANTOMS, write_samples


def test_the_skull_is_the_brightest_ring() -> None:
    head = Ellipse(400, 270, 180, 140, 0.2)
    echo = draw_phantom((540, 800), head, np.random.default_rng(4)).astype(float)
    distance_px = head.signed_distance_px((540, 800))
    wall = echo[(distance_px > -8) & (distance_px < 0)].mean()
    outside = echo[(distance_px > 10) & (distance_px < 40)].mean()
    inside = echo[(distance_px < -30)].mean()
    assert wall > 1.5 * outside
    assert wall > 1.5 * inside


def test_the_same_seed_draws_the_same_image() -> None:
    images = [draw_phantom((120, 180), None, np.random.default_rng(7)) for _ in range(2)]
    assert (images[0] == images[1]).all()
    assert images[0].max() > 60


@pytest.mark.parametrize("seed", range(5))
def test_random_heads_lie_inside(seed: int) -> None:
    left, top, right, bottom = random_head(
        (270, 400), np.random.default_rng(seed)
    ).bounding_box_px()
    assert 0 <= left < right <= 400
    assert 0 <= top < bottom <= 270


def test_samples_carry_their_truth(tmp_path: Path) -> None:
    samples = {sample.name: sample for sample in write_samples(tmp_path)}
    assert set(samples) <= {path.name for path in tmp_path.iterdir()}
    assert samples["late.dcm"].hc_mm == 320
    spacings = {each.name: each.spacing for each in PHANTOMS}
    data = pydicom.dcmread(tmp_path / "anisotropic.dcm")
    region = data.SequenceOfUltrasoundRegions[0]
    assert region.PhysicalDeltaX * 10 == spacings["anisotropic.dcm"].column_mm
    assert region.PhysicalDeltaY * 10 == spacings["anisotropic.dcm"].row_mm
    assert [name for name, each in samples.items() if each.hc_mm is None] == [
        "no_scale.png",
        "no_head.dcm",
        "broken.dcm",
    ]
