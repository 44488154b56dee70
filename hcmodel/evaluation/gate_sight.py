"""What the gate looks at: the places of what it sees without which it is less sure.

Occlusion sensitivity (Zeiler and Fergus, ECCV 2014): a grey patch hides one place after another.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np

from hcmodel.arrays import ColorImage, FloatArray, GreyImage
from hcmodel.dataset.hc18 import read_grey
from hcmodel.dataset.planes import BODIES, FOR_HC, OTHER_HEADS
from hcmodel.drawing import draw_outline
from hcmodel.evaluation.metrics import Case
from hcmodel.evaluation.planes import PlaneCase
from hcmodel.gate import COLUMNS, ROWS, SEMI_AXIS_PX, axis_ratio, gate_tensor, seen_along
from hcmodel.geometry import Ellipse
from hcmodel.html_page import Table
from hcmodel.plane import HC_PLANES, OTHER_PLANES, PlaneOdds

Tell = Callable[[GreyImage, Sequence[float]], list[PlaneOdds]]
"""From ``(B, ROWS, COLUMNS)`` uint8 along outlines, and their axis ratios, to a gate's word."""

PATCH_PX, STEP_PX = 12, 4
"""The raster is a patch and whole steps, so that its border is hidden as well."""
RIM = 0.15
"""So far from the outline, as a share of the way from the centre to it, its rim reaches."""
_MOST = 20
"""Images of a group: a spread choice tells as much as all."""
_ENLARGED = 2
_OUTLINE_BGR = (60, 120, 255)


@dataclass(frozen=True, slots=True)
class Sight:
    """One image that the gate took for what it shows.

    ``crop``: ``(ROWS, COLUMNS)`` uint8 that the gate saw; ``heat``: as ``occluded`` returns it.
    """

    name: str
    group: str
    plane: str
    told: PlaneOdds
    axis_ratio: float
    crop: GreyImage
    heat: FloatArray

    def picture(self) -> ColorImage:
        """Return the crop, and beside it the crop with the outline and the heat in colour."""
        size = (_ENLARGED * COLUMNS, _ENLARGED * ROWS)
        plain = cv2.cvtColor(cv2.resize(self.crop, size), cv2.COLOR_GRAY2BGR)
        strength = cv2.resize(self.heat / max(self.heat.max(), 1e-9), size)
        colors = cv2.applyColorMap((255 * strength).astype(np.uint8), cv2.COLORMAP_INFERNO)
        share = 0.7 * strength[..., None]
        heated = np.asarray((1 - share) * plain + share * colors, np.uint8)
        centre = ((COLUMNS - 1) / 2, (ROWS - 1) / 2)
        outline = Ellipse(*centre, SEMI_AXIS_PX, SEMI_AXIS_PX * self.axis_ratio, 0.0)
        draw_outline(heated, outline, _OUTLINE_BGR, (_ENLARGED, _ENLARGED))
        return np.hstack([np.asarray(plain, np.uint8), heated])

    def areas(self) -> FloatArray:
        """Return ``(3, ROWS, COLUMNS)``, 1 where it is inside, on the rim, outside; 0 elsewhere."""
        beyond = gate_tensor(self.crop[None], [self.axis_ratio])[0, ..., 1]
        inside, outside = beyond < -RIM, beyond > RIM
        return np.stack([inside, ~(inside | outside), outside]).astype(float)


def occluded(crop: GreyImage, ratio: float, tell: Tell) -> tuple[PlaneOdds, FloatArray]:
    """Return what the gate says of ``(ROWS, COLUMNS)`` uint8, and where that comes from.

    The latter is ``(ROWS, COLUMNS)``: the probability of the told group that is lost, as a mean
    over the patches that hide the place. What makes the gate surer when hidden counts as 0.
    """
    corners = list(
        product(range(0, ROWS - PATCH_PX + 1, STEP_PX), range(0, COLUMNS - PATCH_PX + 1, STEP_PX))
    )
    grey = round(float(crop.mean()))
    crops = np.repeat(crop[None], len(corners) + 1, axis=0)
    for hidden, (row, column) in zip(crops[1:], corners, strict=True):
        hidden[row : row + PATCH_PX, column : column + PATCH_PX] = grey
    told, *answers = tell(crops, [ratio] * len(crops))
    lost, patches = np.zeros((ROWS, COLUMNS)), np.zeros((ROWS, COLUMNS))
    for (row, column), answer in zip(corners, answers, strict=True):
        place = np.s_[row : row + PATCH_PX, column : column + PATCH_PX]
        lost[place] += max(0.0, told.of(told.group) - answer.of(told.group))
        patches[place] += 1
    return told, lost / patches


def sights(
    cases: Sequence[PlaneCase], heads: Mapping[Path, Case], hospital: str, tell: Tell
) -> Iterator[Sight]:
    """Yield those of some images of each group that the gate took for what they show.

    ``heads``: labelled ones of another ``hospital``; all images have square pixels.
    """
    groups = [
        ("plane for HC", FOR_HC, HC_PLANES),
        ("other head", OTHER_HEADS, OTHER_PLANES),
        *((body, (body,), (body,)) for body in BODIES),
    ]
    for group, planes, right in groups:
        found = [
            (case.image.image_path, case.image.plane, case.ellipse)
            for case in cases
            if case.ellipse and case.image.plane in planes and case.told_plane in right
        ]
        yield from _some(group, found, right, tell)
    labelled = [
        (path, f"head, {hospital}", case.ellipse) for path, case in heads.items() if case.ellipse
    ]
    yield from _some(hospital, labelled, HC_PLANES, tell)


def _some(
    group: str,
    images: Sequence[tuple[Path, str, Ellipse]],
    right: Collection[str],
    tell: Tell,
) -> Iterator[Sight]:
    for path, plane, outline in images[:: math.ceil(len(images) / _MOST) or 1]:
        crop, ratio = seen_along(read_grey(path), outline), axis_ratio(outline)
        told, heat = occluded(crop, ratio, tell)
        if told.plane in right:
            yield Sight(path.name, group, plane, told, ratio, crop, heat)


def sight_table(seen: Sequence[Sight]) -> Table:
    """Return where the heat of each group lies; of all that its images have."""
    rows = []
    for group in dict.fromkeys(sight.group for sight in seen):
        members = [sight for sight in seen if sight.group == group]
        heat = np.sum([(each.areas() * each.heat).sum((1, 2)) for each in members], axis=0)
        most = float(np.mean([sight.heat.max() for sight in members]))
        rows.append((group, f"{len(members)}", *_shares(heat), f"{most:.2f}"))
    area = np.sum([sight.areas().sum((1, 2)) for sight in seen], axis=0)
    rows.append(("area of what is seen", f"{len(seen)}", *_shares(area), ""))
    places = ("inside the outline, %", "on its rim, %", "outside, %")
    return "What the gate looks at", ("group", "images", *places, "lost at the hottest"), rows


def _shares(places: FloatArray) -> list[str]:
    return [f"{100 * place / max(places.sum(), 1e-9):.0f}" for place in places]
