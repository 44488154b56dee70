"""HC18's submission table: an ellipse per image, in millimetres from the image's left top corner.

As the challenge asks for it (van den Heuvel et al., Zenodo 1327317): centre, semi-axes, angle.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import PurePath

import numpy as np

from worker.plain_text import visible
from worker.reports.objects.measurement import Measurement

FORM = "hc18"
COLUMNS = (
    *("filename", "center_x_mm", "center_y_mm"),
    *("semi_axes_a_mm", "semi_axes_b_mm", "angle_rad"),
)
_DIGITS = 6


def table_line(measurement: Measurement) -> tuple[str, ...]:
    """Return the image's line: its file's name, then the ellipse in mm and radians."""
    spacing = measurement.spacing
    to_mm = np.diag([spacing.column_mm, spacing.row_mm])
    in_mm = measurement.ellipse.transformed(np.column_stack([to_mm, np.zeros(2)]))
    numbers = (
        *(in_mm.center_x_px, in_mm.center_y_px),
        *(in_mm.semi_axis_a_px, in_mm.semi_axis_b_px, in_mm.angle_rad),
    )
    name = PurePath(measurement.row.source.rpartition(":")[2]).name
    return visible(name), *(f"{number:.{_DIGITS}f}" for number in numbers)


def table(lines: Iterable[tuple[str, ...]]) -> bytes:
    """Return the table as CSV."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(lines)
    return out.getvalue().encode()
