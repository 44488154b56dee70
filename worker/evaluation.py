"""Judges weights on labelled images through the very path that users run: file to result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hcmodel.geometry import Ellipse
from hcmodel.training.evaluate import Case
from hcmodel.training.hc18 import LabelledImage, read_truth
from worker.pipeline import Instrument, ScanRequest
from worker.result import Result


def evaluate(images: Sequence[LabelledImage], instrument: Instrument) -> Iterator[Case]:
    """One case per image; the pixel size comes from the folder's CSV, as a user would give it."""
    requests = (
        ScanRequest(index, str(image.image_path), manual=image.spacing)
        for index, image in enumerate(images)
    )
    for request, result in instrument.measure(requests):
        image = images[request.scan_id]
        truth = read_truth(image)
        yield Case(
            name=image.name,
            shape=(result.rows or 0, result.columns or 0),
            spacing=image.spacing,
            truth=truth,
            truth_hc_mm=image.hc_mm or truth.circumference_mm(image.spacing),
            ellipse=_ellipse(result),
            hc_mm=result.hc_mm,
            hc_low_mm=result.hc_low_mm,
            hc_high_mm=result.hc_high_mm,
            confidence=result.confidence,
            flags=result.flags,
            code=result.code,
        )


def _ellipse(result: Result) -> Ellipse | None:
    if (
        result.center_x_px is None
        or result.center_y_px is None
        or result.semi_axis_a_px is None
        or result.semi_axis_b_px is None
        or result.angle_rad is None
    ):
        return None
    return Ellipse(
        result.center_x_px,
        result.center_y_px,
        result.semi_axis_a_px,
        result.semi_axis_b_px,
        result.angle_rad,
    )
