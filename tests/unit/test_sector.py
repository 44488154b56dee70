"""Where the image ends must be found whatever lies around it, and shadows must not count."""

import cv2
import numpy as np
import pytest

from hcmodel.arrays import GreyImage
from hcmodel.geometry import Ellipse
from hcmodel.phantom import draw_phantom
from hcmodel.sector import beyond_sector, sector

SHAPE = (540, 800)
HEAD = Ellipse(400.0, 290.0, 150.0, 115.0, 0.2)


def phantom(seed: int) -> GreyImage:
    return draw_phantom(SHAPE, HEAD, np.random.default_rng(seed))


def tissue(rows: int, columns: int, seed: int) -> GreyImage:
    rng = np.random.default_rng(seed)
    grains = cv2.GaussianBlur(rng.uniform(0, 255, (rows, columns)), (0, 0), 2)
    return np.asarray(np.clip(4 * (grains - 127) + 70, 3, 255), np.uint8)


def cut(pixels: GreyImage, head: Ellipse, share: float) -> GreyImage:
    """An edge like a fan's, beyond which so much of the head's outline lies."""
    outward = np.array([np.cos(0.5), -np.sin(0.5)])
    reach = np.quantile(head.points(720) @ outward, 1 - share)
    y_px, x_px = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    return np.where(x_px * outward[0] + y_px * outward[1] > reach, 0, pixels).astype(np.uint8)


def framed(pixels: GreyImage, level: int) -> tuple[GreyImage, Ellipse]:
    """On a scanner's screen with text, a ruler and a grey bar."""
    screen = np.full((720, 1160), level, np.uint8)
    screen[90 : 90 + SHAPE[0], 200 : 200 + SHAPE[1]] = pixels
    for line in range(9):
        at = (8, 130 + 40 * line)
        cv2.putText(screen, f"GN {line} HC {31 * line}", at, cv2.FONT_HERSHEY_SIMPLEX, 0.6, 220, 1)
    cv2.putText(screen, "OB 2/3  GA 20w3d", (30, 50), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 220, 2)
    screen[120:420, 1120:1136] = np.linspace(255, 0, 300).astype(np.uint8)[:, None]
    screen[90:630:20, 1020:1030] = 220
    return screen, HEAD.transformed(np.array([[1.0, 0, 200], [0, 1, 90]]))


def jpeg(pixels: GreyImage) -> GreyImage:
    coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)


@pytest.mark.parametrize("seed", range(6))
def test_a_head_within_its_fan_lies_in_the_sector(seed: int) -> None:
    pixels = phantom(seed)
    assert beyond_sector(pixels, HEAD) < 0.05
    assert beyond_sector(jpeg(pixels), HEAD) < 0.05
    for level in (0, 12, 60):
        assert beyond_sector(*framed(pixels, level)) < 0.05


@pytest.mark.parametrize("share", [0.15, 0.25])
@pytest.mark.parametrize("seed", range(4))
def test_what_lies_beyond_an_edge_is_counted(seed: int, share: float) -> None:
    pixels = cut(phantom(seed), HEAD, share)
    for shown in (pixels, jpeg(pixels)):
        assert beyond_sector(shown, HEAD) == pytest.approx(share, abs=0.05)
    for level in (0, 12):
        screen = framed(np.where(pixels == 0, level, pixels).astype(np.uint8), level)
        assert beyond_sector(*screen) == pytest.approx(share, abs=0.07)


def test_shadows_and_fluid_within_the_sector_do_not_count() -> None:
    pixels = tissue(*SHAPE, seed=1)
    wedge = np.array([[380, 300], [420, 300], [520, 539], [280, 539]], np.int32)
    cv2.fillConvexPoly(pixels, wedge, 2)
    cv2.ellipse(pixels, (400, 200), (150, 100), 0, 0, 360, 0, -1)
    assert beyond_sector(pixels, Ellipse(400, 250, 180, 140, 0)) == 0
    assert sector(pixels).mean() > 0.98


def test_the_dark_floor_of_a_sector_is_not_the_black_around_it() -> None:
    pixels = np.zeros(SHAPE, np.uint8)
    pixels[:, 100:700] = 3
    pixels[:, 300:500] = tissue(SHAPE[0], 200, seed=2)
    assert beyond_sector(pixels, Ellipse(400, 270, 250, 200, 0)) == 0


def test_an_outline_beyond_the_picture_is_beyond_the_sector() -> None:
    pixels = tissue(*SHAPE, seed=3)
    right = Ellipse(800, 270, 100, 100, 0)
    assert beyond_sector(pixels, right) == pytest.approx(0.5, abs=0.02)
    assert beyond_sector(np.zeros((50, 60), np.uint8), Ellipse(30, 25, 10, 8, 0)) == 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (3, 5), (2000, 40)])
def test_any_size_has_a_sector(shape: tuple[int, int]) -> None:
    for level in (0, 200):
        mask = sector(np.full(shape, level, np.uint8))
        assert max(mask.shape) <= 200
