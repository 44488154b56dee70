"""One HC per study and fetus: the median of its trusted images, or the reason for none."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import chain, groupby, islice, takewhile
from statistics import fmean, median
from typing import Any

from hcmodel.study import Repeat, StudyHc, are_of_one_head, combined
from worker.result import Status
from worker.store.filter import Filter
from worker.store.rows import ReportRow, Sort, lines_of_study, newest_studies, select_columns
from worker.store.session import Database

_STUDIES_AT_ONCE = 500
"""As many as one question names: SQLite takes no more than some thousand values."""


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
    """Which trusted frames of a loop speak for it: their median, or the surest one."""

    ALL = "all"
    BEST = "best"


@dataclass(frozen=True, slots=True)
class Frame:
    """What one row says of one frame."""

    scan_id: int
    status: Status
    hc_mm: float | None
    half_width_mm: float | None
    confidence: float

    @property
    def is_trusted(self) -> bool:
        """Whether it has an HC in a plane for HC that no flag doubts."""
        return self.status is Status.MEASURED and self.hc_mm is not None


@dataclass(frozen=True, slots=True)
class Sight:
    """What one row says of one frame, in the order of ``_SIGHT_COLUMNS``."""

    scan_id: int
    study: str | None
    model: str | None
    source: str
    frame: int
    status: str
    code: str | None
    flags: object
    """Anything that is true where there are any."""
    hc_mm: float | None
    low_mm: float | None
    high_mm: float | None
    confidence: float | None
    sop_instance_uid: str | None
    sha256: str | None
    accession_number: str | None
    study_date: str | None

    def as_frame(self) -> Frame:
        """Return what counts of it; a duplicate shows what it repeats, flags too."""
        status = Status(self.status)
        if status is Status.DUPLICATE and self.hc_mm is not None:
            status = Status.FLAGGED if self.flags else Status.MEASURED
        half_mm = None
        if self.low_mm is not None and self.high_mm is not None:
            half_mm = (self.high_mm - self.low_mm) / 2
        return Frame(self.scan_id, status, self.hc_mm, half_mm, self.confidence or 0.0)


_SIGHT_COLUMNS = (
    *("scan_id", "study_instance_uid", "model", "source", "frame", "status", "code"),
    *("flags", "hc_mm", "hc_low_mm", "hc_high_mm", "confidence"),
    *("sop_instance_uid", "sha256", "accession_number", "study_date"),
)


@dataclass(slots=True)
class Image:
    """One file: an image, or a loop of frames, which repeat one sight of the head."""

    source: str
    sop_instance_uid: str | None
    frames: dict[int, Frame] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return self.source.rpartition("/")[2]

    @property
    def trusted(self) -> list[Frame]:
        """The trusted frames."""
        return [each for each in self.frames.values() if each.is_trusted]

    @property
    def has_hc(self) -> bool:
        """Whether any frame has an HC, trusted or not."""
        return any(each.hc_mm is not None for each in self.frames.values())

    @property
    def is_unfinished(self) -> bool:
        """Whether a frame is still to be measured."""
        return any(each.status in (Status.QUEUED, Status.RUNNING) for each in self.frames.values())

    @property
    def best(self) -> Frame:
        """The trusted frame that the instrument is surest of."""
        return max(self.trusted, key=lambda frame: frame.confidence)

    def repeat(self, frames: Frames) -> Repeat:
        """Return what its trusted frames say together."""
        if frames is Frames.BEST:
            return Repeat(self.best.hc_mm or 0.0, self.best.half_width_mm)
        trusted = self.trusted
        widths_mm = [each.half_width_mm for each in trusted if each.half_width_mm is not None]
        half_mm = fmean(widths_mm) if len(widths_mm) == len(trusted) else None
        return Repeat(median([each.hc_mm or 0.0 for each in trusted]), half_mm)


@dataclass(frozen=True, slots=True)
class Head:
    """One head of one study by one instrument, or of one file whose study is unknown.

    ``fetus``: as reports name it; ``several``: whether its study has more than one.
    """

    study: str | None
    fetus: str | None
    model: str | None
    several: bool
    accession_number: str | None
    study_date: str | None
    images: Sequence[Image]

    @property
    def name(self) -> str:
        """What a person finds it by: the study's UID, or the file's name."""
        name = self.study or self.images[0].name
        return name if self.fetus is None else f"{name}, fetus {self.fetus}"

    @property
    def trusted(self) -> list[Image]:
        """The images with a trusted frame."""
        return [each for each in self.images if each.trusted]

    def reason(self) -> NoStudyHc | None:
        """Return why there is no HC; ``None`` where there is one."""
        trusted = self.trusted
        if self.several and self.fetus is None:
            return NoStudyHc.FETUS_UNKNOWN
        if not trusted:
            if any(each.is_unfinished for each in self.images):
                return NoStudyHc.UNFINISHED
            flagged = any(each.has_hc for each in self.images)
            return NoStudyHc.NOTHING_TRUSTED if flagged else NoStudyHc.NO_HC
        one = are_of_one_head([each.repeat(Frames.ALL).hc_mm for each in trusted])
        return None if one else NoStudyHc.IMAGES_DIFFER

    def hc(self, frames: Frames = Frames.ALL) -> StudyHc | None:
        """Return the median of the trusted images; ``None`` for ``reason``."""
        if self.reason() is not None:
            return None
        return combined([each.repeat(frames) for each in self.trusted])


@dataclass(slots=True)
class Group:
    """The images of a study by one instrument, or of a file whose study is unknown."""

    study: str | None
    model: str | None
    accession_number: str | None
    study_date: str | None
    images: dict[str, Image] = field(default_factory=dict)


class Studies:
    """Takes rows in any order, and groups them; a second copy of an image is none."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str | None, str | None, str | None], Group] = {}

    def add(self, sight: Sight) -> None:
        """Take a row in. Of two of the same frame the later one with an HC counts."""
        study, model = sight.study, sight.model
        key = (study, None if study else sight.sha256 or sight.source, model)
        group = self._groups.get(key)
        if group is None:
            group = Group(study, model, sight.accession_number, sight.study_date)
            self._groups[key] = group
        name = sight.sop_instance_uid or sight.sha256 or sight.source
        image = group.images.get(name)
        if image is None:
            image = group.images[name] = Image(sight.source, sight.sop_instance_uid)
        before = image.frames.get(sight.frame)
        if before is None or before.hc_mm is None or sight.hc_mm is not None:
            image.frames[sight.frame] = sight.as_frame()

    @property
    def uids(self) -> set[str]:
        """The studies that were met."""
        return {study for study, _, _ in self._groups if study is not None}

    def groups(self) -> Iterator[Group]:
        """Yield the images of each study by one instrument, and each file without a study."""
        yield from self._groups.values()

    def pairs_mm(self) -> Iterator[tuple[float, float]]:
        """Yield HC of the first two trusted images of each study that has two."""
        for (study, _, _), group in self._groups.items():
            trusted = [each for each in group.images.values() if each.trusted]
            if study is not None and len(trusted) > 1:
                first, second = (each.repeat(Frames.ALL).hc_mm for each in trusted[:2])
                yield first, second


def grouped(sights: Iterable[Sight]) -> Studies:
    """Return the studies of these rows."""
    studies = Studies()
    for sight in sights:
        studies.add(sight)
    return studies


def sight_of(row: ReportRow) -> Sight:
    """Return what a row says of one frame."""
    day = row.exam.study_date
    return Sight(
        scan_id=row.scan_id,
        study=row.file.study_instance_uid,
        model=row.model,
        source=row.source,
        frame=row.frame,
        status=row.status,
        code=row.code,
        flags=bool(row.ellipse.flags),
        hc_mm=row.sizes.hc_mm,
        low_mm=row.sizes.hc_low_mm,
        high_mm=row.sizes.hc_high_mm,
        confidence=row.ellipse.confidence,
        sop_instance_uid=row.file.sop_instance_uid,
        sha256=row.file.sha256,
        accession_number=row.exam.accession_number,
        study_date=None if day is None else day.isoformat(),
    )


def select_studies(
    database: Database, which: Filter, limit: int | None = None
) -> Iterator[Studies]:
    """Yield the studies of these rows, some hundred at a time, so memory stays flat.

    They come in the order of their UIDs, or with a ``limit`` the newest, the newest first. Rows
    that name no study are left out.
    """
    if limit is None:
        sights = select_sights(database, which, sort=(Sort("study_instance_uid"),))
        known = takewhile(lambda sight: sight.study is not None, sights)
        of_each = groupby(known, key=lambda sight: sight.study)
        studies = (list(some) for _, some in of_each)
    else:
        studies = _newest(database, which, limit)
    while some := list(islice(studies, _STUDIES_AT_ONCE)):
        yield grouped(chain.from_iterable(some))


def _newest(database: Database, which: Filter, limit: int) -> Generator[list[Sight]]:
    uids = iter(newest_studies(database, which, limit))
    while some := list(islice(uids, _STUDIES_AT_ONCE)):
        of_study: dict[str | None, list[Sight]] = {uid: [] for uid in some}
        for sight in select_sights(database, replace(which, studies=some)):
            of_study[sight.study].append(sight)
        yield from of_study.values()


def select_sights(
    database: Database, which: Filter, *, sort: Sequence[Sort] = ()
) -> Iterator[Sight]:
    """Yield what the rows say of their frames, as they were submitted; several times as quick."""
    for part in select_columns(database, which, _SIGHT_COLUMNS, sort=sort):
        for values in zip(*part, strict=True):
            yield Sight(*values)


def sights_of_study(database: Database, study_instance_uid: str) -> list[Sight]:
    """Return what the rows of one study say of their frames."""
    lines = lines_of_study(database, study_instance_uid, _SIGHT_COLUMNS)
    sights: list[Sight] = []
    for line in lines:
        values: list[Any] = list(line)
        values[-1] = line.study_date and line.study_date.isoformat()
        sights.append(Sight(*values))
    return sights
