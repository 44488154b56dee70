"""Other people's ends of the wire: callers that send, and files for them to send."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
)
from pynetdicom import AE
from pynetdicom.association import Association

from worker.sample_files import write_series

NAME, NUMBER = "Mustermann^Erika", "4711-0815"
STUDY = "1.2.826.0.1.3680043.8.498.77"


def tiny_objects(folder: Path, count: int, *, size: int = 64) -> list[Path]:
    """Images of ``size`` px a side, with a patient's name in each: to be sent, not measured."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(count):
        data = Dataset()
        data.SOPClassUID = UltrasoundImageStorage
        data.SOPInstanceUID = f"{STUDY}.9.{number + 1}"
        data.StudyInstanceUID, data.SeriesInstanceUID = STUDY, f"{STUDY}.9"
        data.Modality, data.PatientName, data.PatientID = "US", NAME, NUMBER
        data.Rows = data.Columns = size
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated = data.BitsStored = 8
        data.HighBit, data.PixelRepresentation = 7, 0
        data.PixelData = bytes([number]) * (size * size)
        data.file_meta = FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        paths.append(folder / f"tiny{number:04}.dcm")
        data.save_as(paths[-1], enforce_file_format=True)
    return paths


_PORTS_OF_PROCESS = 700
_FIRST_PORT = 20_000 + _PORTS_OF_PROCESS * int(
    os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
)
_ports = itertools.count()


def free_port() -> int:
    """A port that is free and stays so: no other process of the tests is given it, nor the system.

    Those that Linux gives by itself begin at 32768, and would go to whoever asks first.
    """
    while True:
        port = _FIRST_PORT + next(_ports) % _PORTS_OF_PROCESS
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def ultrasound_objects(folder: Path, count: int, seed: int = 1, study: str = STUDY) -> list[Path]:
    """Images whose contents and UIDs were never seen before, with a patient's name in each."""
    (first,) = write_series(folder / "first", 1, seed=seed)
    data = dcmread(first)
    first.unlink()
    first.parent.rmdir()
    data.PatientName, data.PatientID, data.StudyInstanceUID = NAME, NUMBER, study
    pixels = data.PixelData
    paths = []
    for number in range(count):
        uid = f"{study}.{seed}.{number + 1}"
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = uid
        data.PixelData = pixels[:-2] + number.to_bytes(2, "big")
        paths.append(folder / f"object{number:04}.dcm")
        data.save_as(paths[-1], enforce_file_format=True)
    return paths


def associated(
    port: int,
    *,
    calling: str = "SCANNER",
    called: str = "HCBATCH",
    tls: ssl.SSLContext | None = None,
    patience_s: float = 10.0,
) -> Association:
    """An association, or the attempt at one."""
    entity = AE(ae_title=calling)
    for sop_class in (
        UltrasoundImageStorage,
        UltrasoundMultiFrameImageStorage,
        SecondaryCaptureImageStorage,
        ComprehensiveSRStorage,
    ):
        entity.add_requested_context(sop_class, [ExplicitVRLittleEndian])
    entity.add_requested_context("1.2.840.10008.1.1")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = patience_s
    entity.connection_timeout = 5
    args = (tls, "localhost") if tls else None
    return entity.associate("127.0.0.1", port, ae_title=called, tls_args=args)


def status_of(answer: Dataset) -> int | None:
    """What was answered to an object; ``None`` where nothing was."""
    return answer.Status if "Status" in answer else None


def store(port: int, *objects: Path | Dataset, **how: object) -> list[int | None]:
    """Send in one association; the answers."""
    association = associated(port, **how)  # type: ignore[arg-type]
    if not association.is_established:
        return [None] * len(objects)
    try:
        return [
            status_of(association.send_c_store(each)) if association.is_established else None
            for each in objects
        ]
    except (RuntimeError, ValueError):  # it ended in between
        return [None] * len(objects)
    finally:
        if association.is_established:
            association.release()


def storescu(port: int, objects: Sequence[Path], calling: str = "SCANNER") -> bool:
    """Send as dcmtk does; whether all were acknowledged."""
    command = shutil.which("storescu")
    assert command is not None
    words = [command, "-aet", calling, "-aec", "HCBATCH", "-to", "5", "-td", "20", "127.0.0.1"]
    done = subprocess.run([*words, str(port), *objects], capture_output=True, check=False)
    return done.returncode == 0
