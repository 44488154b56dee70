"""From a scanner to the archive and back: received, measured, sent, fetched."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread

from rig.archive import orthanc
from rig.dicom_peers import NAME, NUMBER, STUDY, free_port, store, ultrasound_objects
from rig.plant import COMMAND
from rig.waiting import until

pytestmark = [
    pytest.mark.usefixtures("collecting_sockets"),
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning"
    ),
]

DESTINATIONS = """
[pacs]
kind = "dicom"
host = "127.0.0.1"
port = {dicom}
called = "ORTHANC"
own_archive = true

[web]
kind = "stow"
url = "{web}"
user = "hc"
password = "secret"
"""


@contextmanager
def running(environment: dict[str, str], log: Path, *words: str) -> Iterator[None]:
    """A command of the product beside the block."""
    with log.open("ab") as out:
        process = subprocess.Popen([COMMAND, *words], env=environment, stdout=out, stderr=out)
    try:
        yield
        assert process.poll() is None, log.read_text()[-2000:]
    finally:
        process.terminate()
        process.wait(60)


def test_a_scanners_images_come_back_to_the_archive_as_reports(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    environment = kept | {"HC_DATA_DIR": str(tmp_path / "data"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    port, log = free_port(), tmp_path / "log"
    (tmp_path / "sent").mkdir()
    images = ultrasound_objects(tmp_path / "sent", 2, seed=8)
    with orthanc(tmp_path / "orthanc") as there:
        for image in images:
            there.post("/instances", image.read_bytes())
        (tmp_path / "data").mkdir()
        written = tmp_path / "data" / "destinations.toml"
        written.write_text(DESTINATIONS.format(dicom=there.dicom, web=there.web))
        written.chmod(0o600)
        receiving = ["receive", "--port", str(port), "--quiet", "0.5", "--least-free-mib", "1"]
        with running(environment, log, *receiving):
            until(lambda: store(port) == [] and "listening" in log.read_text())
            assert store(port, *images) == [0, 0]
            sending = ["worker", "--export", "dicom-sr", "--to", "pacs"]
            with running(environment, tmp_path / "worker.log", *sending):
                until(lambda: len(there.get("/instances")) == 4)  # type: ignore[arg-type]
        (study,) = there.get("/studies")  # type: ignore[misc]
        series = there.get(f"/studies/{study}/series")
        assert isinstance(series, list)
        assert sorted(each["MainDicomTags"]["Modality"] for each in series) == ["SR", "US"]
        fetching = ["fetch", "--dicomweb", "web", "--modality", "SR", str(tmp_path / "back")]
        done = subprocess.run(
            [COMMAND, *fetching], env=environment, capture_output=True, check=False, text=True
        )
        assert done.returncode == 0, done.stderr
        assert "2 fetched, 0 here before" in done.stderr
    reports = [dcmread(path) for path in (tmp_path / "back").glob("[!.]*/*.dcm")]
    sources = {dcmread(path).SOPInstanceUID for path in images}
    assert len(reports) == 2
    for report in reports:
        assert (report.StudyInstanceUID, report.PatientName) == (STUDY, NAME)
        (evidence,) = report.CurrentRequestedProcedureEvidenceSequence
        (item,) = evidence.ReferencedSeriesSequence[0].ReferencedSOPSequence
        sources.remove(item.ReferencedSOPInstanceUID)
    shown = subprocess.run(
        [COMMAND, "results", "--format", "jsonl"], env=environment, capture_output=True, check=True
    ).stdout
    assert shown.count(b'"measured"') + shown.count(b'"flagged"') == 2
    everything = shown + log.read_bytes() + (tmp_path / "worker.log").read_bytes()
    for text in (NAME, NUMBER):
        assert text.encode() not in everything
