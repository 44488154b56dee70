"""What is known of a scan once it was measured or refused, and the one list of its columns.

A result is made of parts. Each field of a part is one line: its name, its type with its unit, and
what it means. The ledger's table, the reported row, the columns of CSV and JSON in their order and
docs/columns.md derive from these lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from hcmodel.spacing import Spacing
from worker.columns import Unit
from worker.exam import NO_EXAM, Exam

NOTICE = "research use only, not a medical device"
"""Stands with every row that leaves the ledger."""


class Status(StrEnum):
    """Where a scan stands. The first four are ends that a measurement reaches."""

    MEASURED = "measured"
    FLAGGED = "flagged"
    REJECTED = "rejected"
    FAILED = "failed"
    DUPLICATE = "duplicate"
    QUEUED = "queued"
    RUNNING = "running"


Text = str | None
Millimetres = Annotated[float | None, Unit("mm", decimals=2)]
PixelMillimetres = Annotated[float | None, Unit("mm", decimals=6)]
Centimetres = Annotated[float | None, Unit("cm")]
Weeks = Annotated[float | None, Unit("weeks", decimals=2)]
Pixels = Annotated[float | None, Unit("px", decimals=2)]
WholePixels = Annotated[int | None, Unit("px")]
Radians = Annotated[float | None, Unit("rad", decimals=4)]
Share = Annotated[float | None, Unit("0 to 1", decimals=3)]

_MODEL = "name and version of the instrument that measured"
Model = Annotated[Text, _MODEL]
Code = Annotated[Text, "why there is no HC; see docs/codes.md"]
Message = Annotated[Text, "the same in words, with the details and what to do"]


@dataclass(frozen=True, slots=True)
class HeadSizes:
    """The head in millimetres, and what its size tells."""

    hc_mm: Annotated[Millimetres, "head circumference along the skull's outer border"] = None
    hc_low_mm: Annotated[Millimetres, "lower end of the 90 % interval of HC"] = None
    hc_high_mm: Annotated[Millimetres, "upper end of the 90 % interval of HC"] = None
    bpd_mm: Annotated[Millimetres, "biparietal diameter: the ellipse's short axis"] = None
    ofd_mm: Annotated[Millimetres, "occipitofrontal diameter: the ellipse's long axis"] = None
    ga_weeks: Annotated[Weeks, "gestational age from this HC alone"] = None
    ga_formula: Annotated[
        Text, "the formula of that age; where ga_weeks is empty beside it, HC is outside its range"
    ] = None


@dataclass(frozen=True, slots=True)
class Scale:
    """The size of a pixel, and whose word it is."""

    row_mm: Annotated[PixelMillimetres, "from one row of pixels to the next"] = None
    column_mm: Annotated[PixelMillimetres, "from one column of pixels to the next"] = None
    spacing_source: Annotated[Text, "us-region, pixel-spacing or manual"] = None

    @property
    def spacing(self) -> Spacing | None:
        """Both sizes of a pixel, or ``None`` where they are unknown."""
        if self.row_mm is None or self.column_mm is None:
            return None
        return Spacing(self.row_mm, self.column_mm)


@dataclass(frozen=True, slots=True)
class HeadEllipse:
    """The head in pixels of the original image, and how far it can be trusted."""

    center_x_px: Annotated[Pixels, "the ellipse's centre, from the left"] = None
    center_y_px: Annotated[Pixels, "the ellipse's centre, from the top"] = None
    semi_axis_a_px: Annotated[Pixels, "half of the ellipse's first axis"] = None
    semi_axis_b_px: Annotated[Pixels, "half of the ellipse's second axis"] = None
    angle_rad: Annotated[Radians, "turns right towards down onto semi-axis a"] = None
    confidence: Annotated[Share, "probability that HC is off by at most 3 mm"] = None
    flags: Annotated[tuple[str, ...], "why a person must look; see docs/codes.md"] = ()


@dataclass(frozen=True, slots=True)
class HeadPlane:
    """What the outline is around, by the gate; unknown where the network has none."""

    plane: Annotated[Text, "body part or plane that the outline seems to be around"] = None
    plane_confidence: Annotated[
        Share, "probability of a plane for HC, of another plane of the head, or of no head"
    ] = None
    plane_source: Annotated[Text, "gate, or manual where --any-plane overrode it"] = None


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What joins a row to its image."""

    sop_instance_uid: Annotated[Text, "the DICOM image's own UID"] = None
    study_instance_uid: Annotated[Text, "the UID of the DICOM image's study"] = None
    sha256: Annotated[Text, "hash of the file's bytes, in hexadecimal"] = None


@dataclass(frozen=True, slots=True)
class PixelOrigin:
    """What traces pixels and scale back into the file."""

    decoder: Annotated[Text, "what decoded the pixels"] = None
    region_index: Annotated[int | None, "item of SequenceOfUltrasoundRegions, from 0"] = None
    region_box: Annotated[Text, "left,top,right,bottom of the region in px"] = None
    delta_x_cm: Annotated[Centimetres, "the region's PhysicalDeltaX as it stands"] = None
    delta_y_cm: Annotated[Centimetres, "the region's PhysicalDeltaY as it stands"] = None
    rows: Annotated[WholePixels, "height of the image"] = None
    columns: Annotated[WholePixels, "width of the image"] = None


@dataclass(frozen=True, slots=True)
class Result:
    """One scan's outcome. Unknown is ``None``, never 0 or 1."""

    status: Annotated[Status, "where the scan stands"]
    model: Annotated[str, _MODEL]
    code: Code = None
    message: Message = None
    sizes: HeadSizes = HeadSizes()
    scale: Scale = Scale()
    ellipse: HeadEllipse = HeadEllipse()
    file: FileIdentity = FileIdentity()
    origin: PixelOrigin = PixelOrigin()
    head_plane: HeadPlane = HeadPlane()
    exam: Exam = NO_EXAM
