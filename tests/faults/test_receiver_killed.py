"""Whatever dies, all that was acknowledged is measured, once.

``HC_RECEIVED_OBJECTS=500`` (``make hospital``) sends so many and has a real worker measure them;
without it, some are sent and the rows are ended here.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom import dcmread

from rig.dicom_peers import NAME, NUMBER, free_port, store, storescu, ultrasound_objects
from rig.ending import finish
from rig.plant import COMMAND, WorkerProcess
from rig.waiting import until
from worker.result import FileIdentity, Result, Status
from worker.settings import Settings
from worker.store.claims import claim
from worker.store.rows import select_rows
from worker.store.session import Database, open_database

COUNT = int(os.environ.get("HC_RECEIVED_OBJECTS", "24"))
IS_WHOLE = COUNT > 100
CALLERS = 4
LIMIT_S = 60 + 3 * COUNT


class Receiver:
    """``hc-batch receive``, started again after each death."""

    def __init__(self, environment: dict[str, str], folder: Path, log: Path) -> None:
        self.port = free_port()
        self._words = [COMMAND, "receive", folder, "--port", str(self.port), "--quiet", "0.5"]
        self._environment, self._log = environment, log
        self.process = self._started()

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        words = [*self._words, "--least-free-mib", "1"]
        with self._log.open("ab") as out:
            return subprocess.Popen(
                words, env=self._environment, stdout=out, stderr=out, start_new_session=True
            )


class Caller(threading.Thread):
    """Sends until each of its objects was acknowledged, as scanners do."""

    def __init__(self, number: int, port: int, objects: Sequence[Path]) -> None:
        super().__init__(daemon=True)
        self.acknowledged: set[Path] = set()
        self._uses_dcmtk = number % 2 == 0 and shutil.which("storescu") is not None
        self._port, self._objects = port, objects

    def run(self) -> None:
        deadline_s = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline_s:
            left = [path for path in self._objects if path not in self.acknowledged][:4]
            if not left:
                return
            if self._uses_dcmtk:
                # It stops at the first refusal, so that it can tell of one object alone.
                if storescu(self._port, left[:1]):
                    self.acknowledged.add(left[0])
                    continue
            else:
                answers = store(self._port, *left, patience_s=5.0)
                done = [path for path, status in zip(left, answers, strict=True) if status == 0]
                self.acknowledged.update(done)
                if done:
                    continue
            time.sleep(0.2)


def end_all(database: Database) -> None:
    """End each queued scan as a worker would."""
    queued = [row for row in select_rows(database) if row.status == Status.QUEUED]
    for row in queued:
        (claimed,) = claim(database, [row.scan_id], "here", lease_s=60)
        uid = str(dcmread(row.source, stop_before_pixels=True).SOPInstanceUID)
        identity = FileIdentity(sop_instance_uid=uid, sha256=f"{row.scan_id:064x}")
        finish(database, claimed, Result(Status.MEASURED, "m", file=identity))


@pytest.mark.timeout(LIMIT_S + 240)
@pytest.mark.usefixtures("collecting_sockets")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_all_that_was_acknowledged_is_measured_once(tmp_path: Path) -> None:
    """Given four callers, when the receiver is killed twice, then each object has one result."""
    (tmp_path / "sent").mkdir()
    objects = ultrasound_objects(tmp_path / "sent", COUNT, study="1.2.826.0.1.3680043.8.498.55")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    environment = kept | {"HC_DATA_DIR": str(tmp_path / "data"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    log = tmp_path / "log"
    receiver = Receiver(environment, tmp_path / "in", log)
    worker = WorkerProcess(environment, tmp_path / "worker.log") if IS_WHOLE else None
    callers = [Caller(k, receiver.port, objects[k::CALLERS]) for k in range(CALLERS)]

    def acknowledged() -> int:
        return sum(len(caller.acknowledged) for caller in callers)

    try:
        for caller in callers:
            caller.start()
        for share in (3, 2):
            until(lambda share=share: acknowledged() >= COUNT // share, LIMIT_S)
            receiver.kill()
        for caller in callers:
            caller.join(LIMIT_S)
        assert acknowledged() == COUNT
        settings = Settings.from_environment(environment)
        with open_database(settings) as database:

            def is_over() -> bool:
                if worker is None:
                    end_all(database)
                rows = list(select_rows(database))
                ended = [row for row in rows if row.measured_at is not None]
                return len(rows) == len(ended) == COUNT

            until(is_over, LIMIT_S)
            time.sleep(1)
            rows = list(select_rows(database))
    finally:
        os.killpg(receiver.process.pid, signal.SIGKILL)
        receiver.process.wait()
        if worker is not None:
            worker.kill()
    uids = Counter(row.file.sop_instance_uid for row in rows)
    assert uids == Counter({str(dcmread(path).SOPInstanceUID): 1 for path in objects})
    assert {row.status for row in rows} <= {Status.MEASURED, Status.FLAGGED}
    assert len(list((tmp_path / "in").glob("[!.]*/*.dcm"))) == COUNT
    said = log.read_bytes() + (tmp_path / "data" / "hc-batch.sqlite3").read_bytes()
    for text in (NAME, NUMBER):
        assert text.encode() not in said
