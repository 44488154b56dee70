"""A row drawn on its image: what was found, in millimetres, and what a person must know of it.

Only figures and words of this product: no text of a tag, no name of a file.
"""

from __future__ import annotations

from typing import Protocol

from hcmodel.annotation import Marks, Words, annotated
from hcmodel.arrays import ColorImage, GreyImage
from hcmodel.flags import meaning_of
from hcmodel.geometry import Ellipse
from worker.errors import HcBatchError, codes_of
from worker.result import NOTICE, HeadEllipse, HeadSizes, PixelOrigin, Scale, Status

_TONES = {Status.MEASURED: "good", Status.FLAGGED: "warn"}


class Drawable(Protocol):
    """What a row and a result have in common."""

    @property
    def status(self) -> str:
        """Where the scan stands."""

    @property
    def code(self) -> str | None:
        """Why there is no HC."""

    @property
    def model(self) -> str | None:
        """The instrument."""

    @property
    def sizes(self) -> HeadSizes:
        """The head in millimetres."""

    @property
    def scale(self) -> Scale:
        """The size of a pixel."""

    @property
    def ellipse(self) -> HeadEllipse:
        """The head in pixels."""

    @property
    def origin(self) -> PixelOrigin:
        """The region, and the image's size."""


def picture_of(row: Drawable, pixels: GreyImage, scan_name: str = "") -> ColorImage:
    """Return the image with ellipse, calipers, scale bar and words below it.

    ``scan_name`` traces it to its row, such as ``scan 12, frame 0``.
    """
    words = Words(
        heading=_heading(row),
        lines=_lines(row),
        last=" · ".join(filter(None, (scan_name, row.model, NOTICE))),
    )
    return annotated(pixels, marks_of(row), words)


def marks_of(row: Drawable) -> Marks:
    """Return what the row has to draw."""
    found = row.ellipse
    ellipse = None
    if (
        found.center_x_px is not None
        and found.center_y_px is not None
        and found.semi_axis_a_px is not None
        and found.semi_axis_b_px is not None
        and found.angle_rad is not None
    ):
        ellipse = Ellipse(
            found.center_x_px,
            found.center_y_px,
            found.semi_axis_a_px,
            found.semi_axis_b_px,
            found.angle_rad,
        )
    box = None
    if row.origin.region_box is not None:
        left, top, right, bottom = map(float, row.origin.region_box.split(","))
        if (left, top, right, bottom) != (0, 0, row.origin.columns, row.origin.rows):
            box = (left, top, right, bottom)
    return Marks(ellipse, row.scale.spacing, box)


def _heading(row: Drawable) -> str:
    if row.sizes.hc_mm is None:
        return "no HC"
    return f"HC {row.sizes.hc_mm:.1f} mm"


def _lines(row: Drawable) -> tuple[tuple[str, str], ...]:
    lines: list[tuple[str, str]] = []
    sizes = row.sizes
    if sizes.hc_low_mm is not None and sizes.hc_high_mm is not None:
        interval = f"90 % interval {sizes.hc_low_mm:.1f} to {sizes.hc_high_mm:.1f} mm"
        lines.append(("plain", interval))
    if sizes.bpd_mm is not None and sizes.ofd_mm is not None:
        lines.append(("plain", f"BPD {sizes.bpd_mm:.1f} mm, OFD {sizes.ofd_mm:.1f} mm"))
    status = Status(row.status)
    tone = _TONES.get(status, "bad" if row.sizes.hc_mm is None else "plain")
    lines.append((tone, status if row.code is None else f"{status}: {row.code}"))
    if row.code is not None:
        kinds = codes_of(HcBatchError)
        lines += [("soft", f"{kinds[row.code]()}")] if row.code in kinds else []
    for flag in row.ellipse.flags:
        lines.append(("warn", f"{flag}: {meaning_of(flag)}"))
    return tuple(lines)
