"""The size of a pixel: known to commands that load no array library."""

from __future__ import annotations

import math
from dataclasses import dataclass

LEAST_MM, MOST_MM = 0.001, 100.0
"""No image is as fine or as coarse: beyond lie other units, and slips of a finger."""


def is_size_mm(value: float) -> bool:
    """Return whether a number of mm may be a pixel's size at all; nan is none."""
    return LEAST_MM <= value <= MOST_MM


@dataclass(frozen=True, slots=True)
class Spacing:
    """Size of a pixel, down the rows and across the columns, in millimetres.

    Raises ``ValueError`` unless both are finite and above zero.
    """

    row_mm: float
    column_mm: float

    def __post_init__(self) -> None:
        for value_mm in (self.row_mm, self.column_mm):
            if not (math.isfinite(value_mm) and value_mm > 0):
                raise ValueError(f"a pixel's size must be a positive number of mm, not {value_mm}")
