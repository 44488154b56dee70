"""What an archive has, fetched by DICOMweb into a folder and submitted from there."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset

from worker.errors import ArchiveRefused, ArchiveUnreachable, DiskFull, NothingFound, ScanRejected
from worker.hospital.answers import NOT_ALLOWED, NotNow, Refused
from worker.hospital.classes import IMAGES, REPORTS
from worker.hospital.destinations import WebDestination
from worker.hospital.landing import Claimed, Landing, ObjectMismatch
from worker.hospital.web import named_failures, web_client
from worker.intake.discover import Options
from worker.intake.submit import Submission, submit
from worker.settings import Settings

logger = logging.getLogger(__name__)

_WANTED = frozenset((*IMAGES, *REPORTS))
_AS_IT_IS = (("application/dicom", "*"),)
_LEAST_FREE_BYTES = 1024**3
_STUDY, _SERIES = "0020000D", "0020000E"
_SOP_CLASS, _SOP_INSTANCE = "00080016", "00080018"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of an archive's objects; what is ``None`` does not restrict.

    ``study_date``: a day or a range as DICOM writes them, ``20260101-20260131``. ``limit``: of
    objects that are not here yet.
    """

    modalities: tuple[str, ...] = ("US",)
    study: str | None = None
    study_date: str | None = None
    accession: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """How much was found: what is new here, what lay here, what is of another kind or damaged."""

    new: int
    present: int
    skipped: int
    submission: Submission | None


@dataclass(frozen=True, slots=True)
class _Instance:
    study: str
    series: str
    uid: str
    sop_class: str


def fetch(
    settings: Settings,
    archive: WebDestination,
    wanted: Wanted,
    folder: Path,
    options: Options,
    on_object: Callable[[], None] = lambda: None,
) -> Fetched:
    """Fetch what is wanted and not here yet, then submit it; the same again goes on.

    Raises ``ArchiveUnreachable``, ``ArchiveRefused``, ``NothingFound``, ``DiskFull``,
    ``FolderUnusable`` and as ``submit`` does.
    """
    client = web_client(
        archive.url,
        user=archive.user,
        password=archive.password,
        token=archive.token,
        ca=archive.ca,
        timeout_s=archive.timeout_s,
    )
    landing = Landing(folder, _LEAST_FREE_BYTES, quiet_s=0)
    new: list[Path] = []
    found, present, skipped = 0, 0, 0
    with landing.opened():
        for instance in _instances(client, wanted):
            found += 1
            if instance.sop_class not in _WANTED:
                skipped += 1
            elif landing.holds(instance.study, instance.uid):
                present += 1
            elif wanted.limit is None or len(new) < wanted.limit:
                path = _fetched(client, landing, instance)
                skipped += path is None
                new += [] if path is None else [path]
                on_object()
        if not found:
            raise NothingFound
        waiting = landing.unsubmitted()
        submission = submit(settings, waiting, options) if waiting else None
        landing.mark_submitted(waiting)
    return Fetched(len(new), present, skipped, submission)


def _instances(client: DICOMwebClient, wanted: Wanted) -> Iterator[_Instance]:
    """Yield the objects that fit, as the archive lists them."""
    filters: dict[str, Any] = {}
    if wanted.study_date is not None:
        filters["StudyDate"] = wanted.study_date
    if wanted.accession is not None:
        filters["AccessionNumber"] = wanted.accession
    for modality in wanted.modalities:
        with _told():
            series = client.search_for_series(
                study_instance_uid=wanted.study,
                search_filters=filters | {"Modality": modality},
                get_remaining=True,
            )
        for each in series:
            study, uid = _value(each, _STUDY) or wanted.study, _value(each, _SERIES)
            if study is None or uid is None:
                continue
            with _told():
                listed = client.search_for_instances(study, uid, get_remaining=True)
            for item in listed:
                instance, sop_class = _value(item, _SOP_INSTANCE), _value(item, _SOP_CLASS)
                if instance is not None:
                    yield _Instance(study, uid, instance, sop_class or "")


def _value(item: dict[str, Any], tag: str) -> str | None:
    values = item.get(tag, {}).get("Value") or [None]
    return values[0] if isinstance(values[0], str) else None


def _fetched(client: DICOMwebClient, landing: Landing, instance: _Instance) -> Path | None:
    """Fetch one object; return where it lies, or ``None`` where it is damaged or another one."""
    if not landing.has_room():
        raise DiskFull(str(landing.folder))
    try:
        with named_failures():
            data = client.retrieve_instance(
                instance.study, instance.series, instance.uid, media_types=_AS_IT_IS
            )
    except Refused as refusal:
        logger.warning("not fetched: an object: %s", refusal)
        return None
    except NotNow as trouble:
        raise _error_of(trouble) from None
    return _landed(landing, data, Claimed(instance.sop_class, instance.uid))


def _landed(landing: Landing, data: Dataset, claimed: Claimed) -> Path | None:
    with tempfile.NamedTemporaryFile(dir=landing.arriving, suffix=".dcm") as part:
        try:
            data.save_as(part, enforce_file_format=True)
            part.flush()
            return landing.land_to_submit(Path(part.name), claimed)
        except (ScanRejected, ObjectMismatch, ValueError, TypeError) as error:
            logger.warning("not kept: an object that is damaged (%s)", type(error).__name__)
            return None


@contextmanager
def _told() -> Iterator[None]:
    """Name what went wrong with a question to the archive."""
    try:
        with named_failures():
            yield
    except Refused as refusal:
        raise ArchiveRefused(str(refusal)) from None
    except NotNow as trouble:
        raise _error_of(trouble) from None


def _error_of(trouble: NotNow) -> ArchiveRefused | ArchiveUnreachable:
    kind = ArchiveRefused if trouble.code == NOT_ALLOWED else ArchiveUnreachable
    return kind(str(trouble))
