"""One HC per study and fetus: the median of its trusted images, or the reason for none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import fmean, median
from typing import Annotated

from hcmodel.study import Repeat, StudyHc, are_of_one_head, combined
from worker.reference import Reference
from worker.result import Millimetres, Status, Text
from worker.store.rows import ReportRow

References = Mapping[str, Mapping[str | None, Reference]]
"""What reports or tables say, by study and fetus."""


class NoStudyHc(StrEnum):
    """Why a study has no HC."""

    NOTHING_TRUSTED = "nothing-trusted"
    NO_HC = "no-hc"
    UNFINISHED = "unfinished"
    IMAGES_DIFFER = "images-differ"
    FETUS_UNKNOWN = "fetus-unknown"


MEANINGS = {
    NoStudyHc.NOTHING_TRUSTED: "all its measurements are flagged; look at them",
    NoStudyHc.NO_HC: "none of its images has an HC; their codes say why",
    NoStudyHc.UNFINISHED: "its images are not measured yet; wait for the batch",
    NoStudyHc.IMAGES_DIFFER: "its trusted measurements differ by more than a quarter of HC: they "
    "are not of one head; look at them",
    NoStudyHc.FETUS_UNKNOWN: "the study has several fetuses, and no report says whose image it is",
}
"""What a person is told, by the word."""


class Frames(StrEnum):
    """Which frames of a loop speak for it."""

    ALL = "all"
    BEST = "best"


@dataclass(frozen=True, slots=True)
class StudyRow:
    """One head of one study, measured by one instrument. Unknown is ``None``."""

    study_instance_uid: Annotated[str, "the UID of the study"]
    fetus: Annotated[Text, "the fetus's letter or number, where a report names several"]
    hc_mm: Annotated[Millimetres, "median of the trusted images; a loop counts as one"]
    hc_low_mm: Annotated[Millimetres, "lower end of the 90 % interval of the median"]
    hc_high_mm: Annotated[Millimetres, "upper end of the 90 % interval of the median"]
    hc_sd_mm: Annotated[Millimetres, "standard deviation of one image; empty with one"]
    reason: Annotated[Text, "why there is no HC"]
    images: Annotated[int, "images and loops with a trusted measurement"]
    flagged: Annotated[int, "images and loops with a measurement, none of it trusted"]
    refused: Annotated[int, "images and loops without any"]
    model: Annotated[Text, "name and version of the instrument that measured"]


@dataclass(frozen=True, slots=True)
class _Frame:
    """What one row says of one frame."""

    status: Status
    hc_mm: float | None
    half_width_mm: float | None
    confidence: float

    @property
    def is_trusted(self) -> bool:
        return self.status is Status.MEASURED and self.hc_mm is not None


@dataclass(slots=True)
class _Image:
    """One file: an image, or a loop of frames."""

    sop_instance_uid: str | None
    frames: dict[int, _Frame] = field(default_factory=dict)

    @property
    def trusted(self) -> list[_Frame]:
        return [each for each in self.frames.values() if each.is_trusted]

    @property
    def has_hc(self) -> bool:
        return any(each.hc_mm is not None for each in self.frames.values())

    @property
    def is_unfinished(self) -> bool:
        return any(each.status in (Status.QUEUED, Status.RUNNING) for each in self.frames.values())


class Studies:
    """Takes rows in any order, and tells of their studies; a second copy of an image is none."""

    def __init__(self) -> None:
        self._images: dict[tuple[str, str | None], dict[str, _Image]] = {}
        self.without_study = 0
        """Rows whose file names no study, as PNG does."""

    def add(self, row: ReportRow) -> None:
        """Take a row in."""
        study = row.file.study_instance_uid
        if study is None:
            self.without_study += 1
            return
        images = self._images.setdefault((study, row.model), {})
        name = row.file.sop_instance_uid or row.file.sha256 or row.source
        image = images.setdefault(name, _Image(row.file.sop_instance_uid))
        image.frames.setdefault(row.frame, _frame_of(row))

    @property
    def uids(self) -> set[str]:
        """The studies that were met."""
        return {study for study, _ in self._images}

    def rows(self, references: References, frames: Frames = Frames.ALL) -> Iterator[StudyRow]:
        """Yield a row per study, fetus and instrument, in the order in which they were met."""
        for (study, model), images in self._images.items():
            for fetus, members in _by_fetus(images.values(), references.get(study, {})):
                yield _row_of(study, fetus, model, members, frames)

    def pairs_mm(self) -> Iterator[tuple[float, float]]:
        """Yield HC of the first two trusted images of each study that has two."""
        for images in self._images.values():
            sizes = [_repeat_of(each, Frames.ALL).hc_mm for each in images.values() if each.trusted]
            if len(sizes) > 1:
                yield sizes[0], sizes[1]


def reasons(rows: Iterable[StudyRow]) -> Counter[str]:
    """Count why studies have no HC."""
    return Counter(row.reason for row in rows if row.reason is not None)


def _frame_of(row: ReportRow) -> _Frame:
    sizes = row.sizes
    status = Status(row.status)
    if status is Status.DUPLICATE and sizes.hc_mm is not None:
        # It shows what it repeats, flags too.
        status = Status.FLAGGED if row.ellipse.flags else Status.MEASURED
    half_mm = None
    if sizes.hc_low_mm is not None and sizes.hc_high_mm is not None:
        half_mm = (sizes.hc_high_mm - sizes.hc_low_mm) / 2
    return _Frame(status, sizes.hc_mm, half_mm, row.ellipse.confidence or 0.0)


def _by_fetus(
    images: Iterable[_Image], references: Mapping[str | None, Reference]
) -> Iterator[tuple[str | None, list[_Image]]]:
    listed = list(images)
    if len(references) < 2:
        yield next(iter(references), None), listed
        return
    owners = {uid: fetus for fetus, reference in references.items() for uid in reference.image_uids}
    groups: dict[str | None, list[_Image]] = {}
    for image in listed:
        fetus = owners.get(image.sop_instance_uid or "")
        groups.setdefault(fetus, []).append(image)
    yield from groups.items()


def _row_of(
    study: str, fetus: str | None, model: str | None, images: Sequence[_Image], frames: Frames
) -> StudyRow:
    trusted = [each for each in images if each.trusted]
    flagged = sum(each.has_hc for each in images) - len(trusted)
    repeats = [_repeat_of(each, frames) for each in trusted]
    reason = _reason(images, repeats)
    found = combined(repeats) if reason is None else StudyHc(0, 0, None, None, None)
    return StudyRow(
        study_instance_uid=study,
        fetus=fetus,
        hc_mm=found.hc_mm if reason is None else None,
        hc_low_mm=found.low_mm,
        hc_high_mm=found.high_mm,
        hc_sd_mm=found.sd_mm,
        reason=reason,
        images=len(trusted),
        flagged=flagged,
        refused=len(images) - len(trusted) - flagged,
        model=model,
    )


def _reason(images: Sequence[_Image], repeats: Sequence[Repeat]) -> NoStudyHc | None:
    if not repeats:
        if any(each.is_unfinished for each in images):
            return NoStudyHc.UNFINISHED
        flagged = any(each.has_hc for each in images)
        return NoStudyHc.NOTHING_TRUSTED if flagged else NoStudyHc.NO_HC
    one_head = are_of_one_head([each.hc_mm for each in repeats])
    return None if one_head else NoStudyHc.IMAGES_DIFFER


def _repeat_of(image: _Image, frames: Frames) -> Repeat:
    """Return what an image's trusted frames say together: they repeat one sight of the head."""
    trusted = image.trusted
    if frames is Frames.BEST:
        best = max(trusted, key=lambda frame: frame.confidence)
        return Repeat(best.hc_mm or 0.0, best.half_width_mm)
    widths_mm = [each.half_width_mm for each in trusted if each.half_width_mm is not None]
    half_mm = fmean(widths_mm) if len(widths_mm) == len(trusted) else None
    return Repeat(median([each.hc_mm or 0.0 for each in trusted]), half_mm)
