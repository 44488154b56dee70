"""What is read from a file: grey pixels, and the places in them whose scale is known."""

from __future__ import annotations

from dataclasses import dataclass, field

from hcmodel.arrays import GreyImage
from hcmodel.geometry import Spacing
from worker.exam import NO_EXAM, Exam

SPACING_US_REGION = "us-region"
SPACING_PIXEL_SPACING = "pixel-spacing"
SPACING_MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels from ``left, top`` up to but not including ``right, bottom``."""

    left: int
    top: int
    right: int
    bottom: int


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the raster with one scale, where a head may lie.

    ``spacing`` is ``None`` where the file tells no scale. ``index`` counts in
    SequenceOfUltrasoundRegions from 0; ``delta_x_cm``, ``delta_y_cm`` are that item's raw deltas.
    ``flags``: doubts about this region's scale, such as an implausible spacing.
    ``contradicted_by``: the file's PixelSpacing, where it tells another scale, so that no head may
    be measured here.
    """

    box: Box
    spacing: Spacing | None
    spacing_source: str | None
    index: int | None = None
    delta_x_cm: float | None = None
    delta_y_cm: float | None = None
    flags: tuple[str, ...] = ()
    contradicted_by: Spacing | None = None


@dataclass(frozen=True, slots=True)
class ImageReference:
    """What an object says of the DICOM image to which it refers.

    ``patient``: texts of the patient and study module by keyword; empty unless they were asked for,
    and never stored.
    """

    sop_class_uid: str
    sop_instance_uid: str
    series_instance_uid: str
    study_instance_uid: str
    frames: int
    sha256: str
    patient: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Scan:
    """One frame of one file, in memory.

    ``pixels``: ``(rows, columns)`` uint8, grey, black is 0. ``regions``: at least one; candidates
    among which the head decides. ``flags``: doubts about the file as a whole; those about a scale
    stand with its region. ``decoder``: the name of what decoded the pixels.
    """

    pixels: GreyImage = field(repr=False)
    regions: tuple[Region, ...]
    frame: int
    frames: int
    decoder: str
    sha256: str
    sop_instance_uid: str | None = None
    study_instance_uid: str | None = None
    exam: Exam = NO_EXAM
    flags: tuple[str, ...] = ()

    @property
    def manual(self) -> Spacing | None:
        """The pixel size that a person gave, also in a sidecar."""
        region = self.regions[0]
        return region.spacing if region.spacing_source == SPACING_MANUAL else None
