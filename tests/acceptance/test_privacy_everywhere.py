"""Names, numbers and dates of a patient are nowhere to be found after measuring."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pydicom
import pytest

from rig.command import HC_BATCH, hc
from worker.sample_files import write_samples

PLANTED = "Zyxwick"
PLANTED_NUMBER = "77310499"
PLANTED_DATE = "19871123"


def plant(path: Path) -> None:
    """Into every tag that may hold text, numbers or a date of the patient."""
    data = pydicom.dcmread(path)
    for keyword in (
        *("PatientName", "OtherPatientNames", "PatientBirthName", "ReferringPhysicianName"),
        *("PatientComments", "StudyDescription", "SeriesDescription", "ImageComments"),
        *("InstitutionName", "OperatorsName", "ManufacturerModelName", "PatientAddress"),
        *("ProtocolName", "DerivationDescription", "StationName"),
    ):
        setattr(data, keyword, PLANTED)
    for keyword in ("PatientID", "AccessionNumber", "StudyID", "PatientTelephoneNumbers"):
        setattr(data, keyword, PLANTED_NUMBER)
    data.PatientBirthDate = PLANTED_DATE
    data.save_as(path)


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@contextmanager
def worker(environment: dict[str, str], log: Path) -> Iterator[None]:
    log.parent.mkdir(parents=True)
    with log.open("wb") as out:
        process = subprocess.Popen([HC_BATCH, "worker"], env=environment, stdout=out, stderr=out)
        try:
            yield
        finally:
            process.terminate()
            process.wait(60)


@pytest.mark.parametrize("command", ["run", "submit"])
def test_nothing_of_a_patient_is_kept_or_said(tmp_path: Path, command: str) -> None:
    """With ``submit`` the data directory also holds Redis's file and the worker's log."""
    folder = tmp_path / "in"
    write_samples(folder)
    for path in folder.glob("*.dcm"):
        if path.name != "broken.dcm":
            plant(path)
    whole = (folder / "middle.dcm").read_bytes()
    (folder / "broken.dcm").write_bytes(whole[: len(whole) // 3])
    odd = pydicom.dcmread(folder / "early.dcm")
    odd.SequenceOfUltrasoundRegions[0].PhysicalDeltaX = float("nan")
    odd.save_as(folder / "odd.dcm")
    (folder / "text.dcm").write_text(f"{PLANTED} {PLANTED_NUMBER} {PLANTED_DATE}")

    kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    environment = kept | {"HC_DATA_DIR": str(tmp_path / "data"), "HC_LOG_LEVEL": "DEBUG"}
    data = tmp_path / "data"
    with worker(environment, data / "worker.log") if command == "submit" else nullcontext():
        words = [command, folder, *(["--wait"] if command == "submit" else [])]
        done = hc(environment, *words)
        # Before the worker stops: an idle Redis may forget.
        stored = everything_in(data)
    assert done.returncode == 3, done.stderr
    said = (done.stdout + done.stderr).encode()
    for words in (
        ["status"],
        *(["results", "--format", name] for name in ("table", "csv", "json")),
        ["inspect", folder, "--format", "json"],
    ):
        done = hc(environment, *words)
        assert done.returncode in {0, 3}, done.stderr
        said += (done.stdout + done.stderr).encode()
    stored = b"".join(
        path.read_bytes() for path in (tmp_path / "data").rglob("*") if path.is_file()
    )
    assert b"middle.dcm" in said
    assert b"middle.dcm" in stored
    for planted in (PLANTED, PLANTED_NUMBER, PLANTED_DATE):
        for text in (planted, planted.upper(), planted.lower()):
            assert text.encode() not in said
            assert text.encode() not in stored
