"""Archives of others: a storage service that answers as it is told to, and a real Orthanc."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.events import Event

from rig.dicom_peers import free_port

SR, CAPTURE = "1.2.840.10008.5.1.4.1.1.88.33", "1.2.840.10008.5.1.4.1.1.7"
COMMITMENT = "1.2.840.10008.1.20.1"
ORTHANC = Path("/usr/sbin/Orthanc")
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")


@dataclass
class Archive:
    """What it got, and what it answers next; afterwards always Success."""

    port: int
    answers: list[int] = field(default_factory=list)
    got: Counter[str] = field(default_factory=Counter)
    patients: set[str] = field(default_factory=set)
    keeps: bool = True


@contextmanager
def archive(
    *, classes: tuple[str, ...] = (SR, CAPTURE), commits: bool = False, title: str = "PACS"
) -> Iterator[Archive]:
    """A storage service in this process, that may vouch for what it got."""
    state = Archive(free_port())

    def stored(event: Event) -> int:
        answer = state.answers.pop(0) if state.answers else 0x0000
        if answer == 0x0000:
            state.got[str(event.dataset.SOPInstanceUID)] += 1
            state.patients.add(str(event.dataset.PatientName))
        return answer

    def asked(event: Event) -> tuple[int, Dataset]:
        said = event.action_information
        report = Dataset()
        report.TransactionUID = said.TransactionUID
        items = list(said.ReferencedSOPSequence)
        if state.keeps:
            report.ReferencedSOPSequence = items
        else:
            report.FailedSOPSequence = items
            for item in items:
                item.FailureReason = 0x0112
        association = event.assoc

        def call_back() -> None:
            time.sleep(0.1)
            kind = 1 if state.keeps else 2
            association.send_n_event_report(report, kind, COMMITMENT, "1.2.840.10008.1.20.1.1")

        threading.Thread(target=call_back, daemon=True).start()
        return 0x0000, Dataset()

    entity = AE(ae_title=title)
    entity.require_called_aet = True
    for each in classes:
        entity.add_supported_context(each)
    if commits:
        entity.add_supported_context(COMMITMENT)
    handlers = [(evt.EVT_C_STORE, stored), (evt.EVT_N_ACTION, asked)]
    server = entity.start_server(("127.0.0.1", state.port), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield state
    finally:
        server.shutdown()
        entity.shutdown()


@contextmanager
def answering(status: int | None, body: bytes = b"") -> Iterator[str]:
    """A web server that answers everything with one status, or nothing at all; its address."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if status is None:
                time.sleep(3)
                return
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/dicom-web"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Orthanc:
    """A running one: its ports, and questions to it."""

    http: int
    dicom: int

    @property
    def web(self) -> str:
        return f"http://127.0.0.1:{self.http}/dicom-web"

    def get(self, path: str) -> object:
        return httpx.get(f"http://127.0.0.1:{self.http}{path}", auth=("hc", "secret")).json()

    def post(self, path: str, content: bytes) -> None:
        url = f"http://127.0.0.1:{self.http}{path}"
        httpx.post(url, content=content, auth=("hc", "secret")).raise_for_status()


@contextmanager
def orthanc(folder: Path, hc_port: int = 1) -> Iterator[Orthanc]:
    """An archive with DICOMweb and a user ``hc``; skips where it is not installed.

    ``hc_port``: where it finds our receiver, as ``HCBATCH``.
    """
    if not ORTHANC.exists() or not DICOMWEB.exists():
        pytest.skip("Orthanc with its DICOMweb plugin (Debian: orthanc-dicomweb) is not installed")
    ports = Orthanc(free_port(), free_port())
    folder.mkdir()
    configuration = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": [str(DICOMWEB)],
        "HttpPort": ports.http,
        "DicomPort": ports.dicom,
        "DicomAet": "ORTHANC",
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"hc": "secret"},
        "DicomModalities": {"hc": ["HCBATCH", "127.0.0.1", hc_port]},
        "DicomAlwaysAllowStore": True,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [ORTHANC, folder / "orthanc.json"], stdout=log, stderr=log, cwd=folder
        )
    try:
        for _ in range(300):
            assert process.poll() is None, (folder / "log").read_text()[-2000:]
            try:
                ports.get("/system")
                break
            except httpx.TransportError:
                time.sleep(0.1)
        yield ports
    finally:
        process.terminate()
        process.wait(90)
        shutil.rmtree(folder / "storage", ignore_errors=True)
