"""What an archive has, fetched once and queued; an archive that fails is told by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.archive import answering, orthanc
from rig.dicom_peers import NAME, NUMBER, STUDY, tiny_objects
from worker.errors import ArchiveRefused, ArchiveUnreachable, HcBatchError, NothingFound
from worker.hospital.destinations import WebDestination
from worker.hospital.fetch import Fetched, Wanted, fetch
from worker.intake.discover import Options
from worker.settings import Settings
from worker.store.rows import select_rows
from worker.store.session import open_database

US = Wanted()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment({"HC_DATA_DIR": str(tmp_path / "data")})


def fetched(
    settings: Settings, archive: WebDestination, folder: Path, wanted: Wanted = US
) -> Fetched:
    return fetch(settings, archive, wanted, folder, Options())


def test_what_an_archive_has_is_fetched_once_and_queued(settings: Settings, tmp_path: Path) -> None:
    inbox = tmp_path / "in"
    with orthanc(tmp_path / "orthanc") as there:
        archive = WebDestination("a", there.web, user="hc", password="secret")
        with pytest.raises(NothingFound):
            fetched(settings, archive, inbox)
        for path in tiny_objects(tmp_path / "sent", 4):
            there.post("/instances", path.read_bytes())
        some = fetched(settings, archive, inbox, Wanted(limit=1))
        assert (some.new, some.present, some.skipped) == (1, 0, 0)
        rest = fetched(settings, archive, inbox, Wanted(study=STUDY))
        assert (rest.new, rest.present, rest.skipped) == (3, 1, 0)
        again = fetched(settings, archive, inbox)
        assert (again.new, again.present, again.submission) == (0, 4, None)
        for wanted in (
            Wanted(study="1.2.3"),
            Wanted(modalities=("CT",)),
            Wanted(study_date="19000101-19010101"),
            Wanted(accession="none"),
        ):
            with pytest.raises(NothingFound):
                fetched(settings, archive, inbox, wanted)
        stranger = WebDestination("a", there.web, user="hc", password="wrong")
        with pytest.raises(ArchiveRefused, match="HTTP 401"):
            fetched(settings, stranger, inbox)
    with open_database(settings) as database:
        rows = list(select_rows(database))
    assert {Path(row.source).name for row in rows} == {
        path.name for path in inbox.glob("[!.]*/*.dcm")
    }
    assert len({row.source for row in rows}) == 4
    said = "".join(map(repr, rows))
    assert NAME not in said
    assert NUMBER not in said


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, ArchiveRefused, "HTTP 401"),
        (404, ArchiveUnreachable, "HTTP 404"),
        (500, ArchiveUnreachable, "HTTP 500"),
        (503, ArchiveUnreachable, "HTTP 503"),
        (200, ArchiveUnreachable, "answer"),
        (None, ArchiveUnreachable, "in time"),
    ],
)
def test_an_archive_that_fails_is_named(
    settings: Settings, tmp_path: Path, status: int | None, kind: type[HcBatchError], said: str
) -> None:
    page = b"<html>welcome</html>" if status == 200 else b""
    patience_s = 0.5 if status is None else 60.0
    with answering(status, page) as url, pytest.raises(kind, match=said):
        fetched(settings, WebDestination("a", url, timeout_s=patience_s), tmp_path / "in")


def test_an_archive_that_is_not_there_is_named(settings: Settings, tmp_path: Path) -> None:
    nowhere = WebDestination("a", "http://127.0.0.1:9/dicom-web", timeout_s=60)
    with pytest.raises(ArchiveUnreachable, match="not there"):
        fetched(settings, nowhere, tmp_path / "in")
