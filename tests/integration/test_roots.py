"""Paths are stored relative to a named root, and nothing outside the roots is opened."""

from pathlib import Path

import pytest

from worker.errors import OutsideRoots, PathOutsideRoots, RootUnknown
from worker.intake.discover import Options, Request
from worker.roots import Roots
from worker.run import prepare_run
from worker.sample_files import write_series
from worker.settings import Settings
from worker.store.rows import select_rows
from worker.store.session import open_database


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    write_series(folder / "day", 1, seed=1)
    return folder


def test_a_path_is_found_where_another_machine_mounts_its_root(scans: Path, tmp_path: Path) -> None:
    environment = {"HC_DATA_DIR": str(tmp_path / "data"), "HC_DATA_ROOTS": f"us={scans}"}
    settings = Settings.from_environment(environment)
    with open_database(settings) as database:
        prepare_run(database, settings, [scans])
        (row,) = select_rows(database)
    assert row.source == "us:day/series1-00000.dcm"
    elsewhere = tmp_path / "mnt"
    scans.rename(elsewhere)
    assert Roots({"us": elsewhere}).located(row.source).is_file()


def test_without_a_name_the_folders_own_is_taken(scans: Path) -> None:
    settings = Settings.from_environment({"HC_DATA_ROOTS": str(scans)})
    assert settings.data_roots.stored(scans / "a.png") == "scans:a.png"


def test_paths_outside_are_a_persons_mistake(scans: Path, tmp_path: Path) -> None:
    roots = Roots({"us": scans})
    for outside in (tmp_path, scans / ".." / "other", scans.with_name("scans2")):
        outside.mkdir(exist_ok=True)
        with pytest.raises(PathOutsideRoots):
            Request.of([outside], Options(), roots)


def test_stored_paths_need_their_root(scans: Path) -> None:
    with pytest.raises(RootUnknown, match="mr"):
        Roots({"us": scans}).located("mr:a.dcm")
    with pytest.raises(OutsideRoots):
        Roots({"us": scans}).located("/etc/passwd")


def test_a_link_that_leads_out_has_a_row_and_is_not_opened(scans: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret.dcm"
    secret.write_bytes(b"")
    secret.chmod(0)
    (scans / "link.dcm").symlink_to(secret)
    found = list(Request.of([scans], Options(), Roots({"us": scans})).discover())
    assert [each.source for each in found] == ["us:link.dcm", "us:day/series1-00000.dcm"]
