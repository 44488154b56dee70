"""A storage service that answers Success for what lies safely, and refuses by name."""

from __future__ import annotations

import logging
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
import trustme
from prometheus_client import REGISTRY
from pydicom import dcmread
from pydicom.uid import UID, SecondaryCaptureImageStorage
from pynetdicom import evt

from rig.dicom_peers import (
    NAME,
    NUMBER,
    associated,
    free_port,
    status_of,
    store,
    tiny_objects,
)
from rig.waiting import until
from worker.errors import AddressTaken, FileDamaged, FolderUnusable, TlsUnusable
from worker.hospital import landing as landing_module
from worker.hospital import receiver
from worker.hospital.classes import IMAGE_SYNTAXES
from worker.hospital.landing import ARRIVING, COMPLETE, Claimed, Landed, Landing, ObjectMismatch
from worker.hospital.receiver import (
    MISMATCH,
    OUT_OF_RESOURCES,
    SUCCESS,
    Listening,
    Tls,
    listening,
)
from worker.hospital.titles import title_of
from worker.reading.codecs import _CODECS
from worker.reading.dicom_structure import DEFLATED

Where = tuple[Landing, int]

pytestmark = pytest.mark.usefixtures("collecting_sockets")


@pytest.fixture
def objects(tmp_path: Path) -> list[Path]:
    return tiny_objects(tmp_path / "sent", 2)


@contextmanager
def receiving(folder: Path, **how: object) -> Iterator[Where]:
    landing, port = Landing(folder, least_free_bytes=1, quiet_s=0.2), free_port()
    with landing.opened(), listening(landing, Listening(port=port, **how)):  # type: ignore[arg-type]
        yield landing, port


@pytest.fixture
def where(tmp_path: Path) -> Iterator[Where]:
    with receiving(tmp_path / "in", callers=("SCANNER",), max_object_bytes=1024**2) as where:
        yield where


def landed(landing: Landing) -> list[Path]:
    return sorted(landing.folder.glob("[!.]*/*.dcm"))


def parts(landing: Landing) -> list[str]:
    return [name for name in os.listdir(landing.arriving) if name != ".lock"]


def counted(result: str) -> float:
    return REGISTRY.get_sample_value("hc_received_total", {"result": result}) or 0.0


def test_success_is_for_what_lies_there_whole(where: Where, objects: list[Path]) -> None:
    landing, port = where
    before = counted("stored"), counted("repeated")
    assert store(port, *objects) == [SUCCESS, SUCCESS]
    files = landed(landing)
    assert len(files) == 2
    sent = {dcmread(path).SOPInstanceUID: dcmread(path) for path in objects}
    for path in files:
        assert re.fullmatch("[0-9a-f]{40}.dcm", path.name)
        assert path.stat().st_mode & 0o077 == 0
        assert dcmread(path) == sent[dcmread(path).SOPInstanceUID]
    assert parts(landing) == []
    assert store(port, *objects) == [SUCCESS, SUCCESS]
    assert landed(landing) == files
    assert (counted("stored"), counted("repeated")) == (before[0] + 2, before[1] + 2)


def test_another_content_of_the_same_uid_is_kept_beside_it(
    where: Where, objects: list[Path]
) -> None:
    landing, port = where
    other = dcmread(objects[0])
    other.PixelData = b"\1" * len(other.PixelData)
    assert store(port, objects[0], other, other) == [SUCCESS] * 3
    one, two = landed(landing)
    assert {one.stem[:40], two.stem[:40]} == {one.stem} or {two.stem}
    assert sorted(len(path.stem) for path in (one, two)) == [40, 57]


def test_strangers_are_rejected_and_anyone_allowed_gets_an_echo(where: Where) -> None:
    _, port = where
    assert not associated(port, calling="STRANGER").is_established
    assert not associated(port, called="OTHER").is_established
    association = associated(port)
    assert status_of(association.send_c_echo()) == SUCCESS
    association.release()


def test_an_association_aborted_in_mid_object_leaves_nothing(
    where: Where, objects: list[Path]
) -> None:
    landing, port = where
    large = dcmread(tiny_objects(objects[0].parent / "large", 1, size=900)[0])
    association = associated(port)
    sent: list[int] = []

    def cut(event: evt.Event) -> None:
        sent.append(len(event.data))
        if sum(sent) > 100_000:
            event.assoc.dul.socket.close()

    association.bind(evt.EVT_DATA_SENT, cut)
    assert status_of(association.send_c_store(large)) is None
    until(lambda: sum(sent) > 100_000 and parts(landing) == [])
    assert landed(landing) == []
    assert store(port, objects[0]) == [SUCCESS]


def test_too_large_an_object_is_cut_off(where: Where, objects: list[Path]) -> None:
    landing, port = where
    large = dcmread(tiny_objects(objects[0].parent / "large", 1, size=1100)[0])
    before = counted("refused")
    assert store(port, large, objects[1], patience_s=2.0) == [None, None]
    assert landed(landing) == []
    assert counted("refused") == before + 1
    assert store(port, objects[1]) == [SUCCESS]


def test_a_full_disk_refuses_objects_and_then_callers(
    where: Where, objects: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    landing, port = where
    association = associated(port)
    landing._least_free_bytes = 1 << 62
    assert status_of(association.send_c_store(objects[0])) == OUT_OF_RESOURCES
    association.release()
    assert not associated(port).is_established
    assert "rejected: SCANNER at 127.0.0.1: the disk is full" in caplog.text
    assert landed(landing) == []
    landing._least_free_bytes = 1
    assert store(port, objects[0]) == [SUCCESS]


def test_more_associations_than_allowed_wait_outside(tmp_path: Path) -> None:
    with receiving(tmp_path / "in", max_associations=1) as (_, port):
        first = associated(port)
        assert not associated(port).is_established
        first.release()
        until(lambda: is_let_in(port))


def is_let_in(port: int) -> bool:
    association = associated(port)
    let_in: bool = association.is_established
    if let_in:
        association.release()
    return let_in


def test_no_name_of_a_patient_reaches_log_or_file_name(
    where: Where, objects: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    landing, port = where
    with caplog.at_level(logging.DEBUG):
        store(port, *objects)
        store(port, dcmread(objects[0]), calling="STRANGER")
    said = caplog.text + "".join(map(str, landed(landing)))
    assert "SCANNER at 127.0.0.1" in said
    for text in (NAME, NUMBER, "Erika"):
        assert text not in said


def part_of(landing: Landing, content: bytes) -> Path:
    part = landing.arriving / "part.dcm"
    part.write_bytes(content)
    return part


def test_an_object_must_be_the_one_that_was_announced(tmp_path: Path, objects: list[Path]) -> None:
    landing = Landing(tmp_path / "in", 1, 1)
    data = dcmread(objects[0])
    content = objects[0].read_bytes()
    claimed = Claimed(data.SOPClassUID, data.SOPInstanceUID)
    with landing.opened():
        assert landing.land(part_of(landing, content), claimed) is Landed.STORED
        assert landing.land(part_of(landing, content), claimed) is Landed.REPEATED
        for other in (
            Claimed(SecondaryCaptureImageStorage, data.SOPInstanceUID),
            Claimed(data.SOPClassUID, "1.2.3"),
        ):
            with pytest.raises(ObjectMismatch):
                landing.land(part_of(landing, content), other)
        with pytest.raises(FileDamaged):
            landing.land(part_of(landing, content[:-1000]), claimed)
    assert MISMATCH == 0xA900


def test_a_study_is_complete_when_it_has_been_quiet(
    tmp_path: Path, objects: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    present_s = 1000.0
    clock = SimpleNamespace(monotonic=lambda: present_s, time=time.time)
    monkeypatch.setattr(landing_module, "time", clock)
    data = dcmread(objects[0])
    claimed = Claimed(data.SOPClassUID, data.SOPInstanceUID)
    landing = Landing(tmp_path / "in", 1, quiet_s=30)
    with landing.opened():
        landing.land(part_of(landing, objects[0].read_bytes()), claimed)
        landing.complete_quiet()
        (study,) = {path.parent for path in landed(landing)}
        assert not (study / COMPLETE).exists()
    # The process died here; the next one finds the study.
    again = Landing(tmp_path / "in", 1, quiet_s=30)
    with again.opened():
        again.complete_quiet()
        assert not (study / COMPLETE).exists()
        present_s += 29
        again.complete_quiet()
        assert not (study / COMPLETE).exists()
        present_s += 1
        again.complete_quiet()
        assert (study / COMPLETE).exists()


def test_what_a_dead_process_left_half_received_goes(tmp_path: Path) -> None:
    landing = Landing(tmp_path / "in", 1, 1)
    with landing.opened():
        part = part_of(landing, b"half an object")
        landing.sweep(rest_s=60)
        assert part.exists()
        os.utime(part, (0, 0))
        landing.sweep(rest_s=60)
        assert not part.exists()
        part_of(landing, b"half an object")
    with landing.opened():
        assert parts(landing) == []


def test_one_receiver_to_a_folder_and_one_to_a_port(tmp_path: Path) -> None:
    with receiving(tmp_path / "in") as (_, port):
        with pytest.raises(FolderUnusable, match="another receiver"), receiving(tmp_path / "in"):
            pass
        other = Landing(tmp_path / "other", 1, 1)
        with (
            other.opened(),
            pytest.raises(AddressTaken, match=str(port)),
            listening(other, Listening(port=port)),
        ):
            pass
    assert (tmp_path / "in" / ARRIVING).is_dir()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_with_tls_only_callers_with_a_certificate_come_in(
    tmp_path: Path, objects: list[Path]
) -> None:
    ours, others = trustme.CA(), trustme.CA()
    server = ours.issue_cert("localhost")
    files = {name: tmp_path / name for name in ("cert", "key", "callers")}
    server.cert_chain_pems[0].write_to_path(files["cert"])
    server.private_key_pem.write_to_path(files["key"])
    ours.cert_pem.write_to_path(files["callers"])
    tls = Tls(files["cert"], files["key"], files["callers"])

    def context(authority: trustme.CA | None) -> ssl.SSLContext:
        made = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
        ours.configure_trust(made)
        if authority is not None:
            authority.issue_cert("scanner.example").configure_cert(made)
        return made

    with receiving(tmp_path / "in", tls=tls) as (landing, port):
        assert store(port, objects[0], tls=context(ours)) == [SUCCESS]
        assert store(port, objects[1], tls=context(others)) == [None]
        assert store(port, objects[1], tls=context(None)) == [None]
        assert store(port, objects[1]) == [None]
        assert len(landed(landing)) == 1
    with (
        pytest.raises(TlsUnusable),
        receiving(tmp_path / "in", tls=Tls(files["key"], files["key"])),
    ):
        pass


def test_a_caller_that_says_nothing_harms_nobody(where: Where, objects: list[Path]) -> None:
    _, port = where
    with socket.create_connection(("127.0.0.1", port)) as silent:
        silent.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert store(port, objects[0]) == [SUCCESS]


def test_a_message_that_would_fill_the_memory_is_cut_off(
    tmp_path: Path, objects: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "_REQUEST_S", 3600.0)  # silence alone does not end it
    with receiving(tmp_path / "in") as (_, port):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as hostile:
            hostile.sendall(b"\x01\x00" + (0xFFFFFFF0).to_bytes(4, "big"))
            with suppress(ConnectionError):
                assert hostile.recv(1) == b""
        assert store(port, objects[0]) == [SUCCESS]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_many_who_say_nothing_cost_few_threads(tmp_path: Path) -> None:
    before = threading.active_count()
    with receiving(tmp_path / "in", max_associations=2) as (_, port), ExitStack() as stack:
        for _ in range(40):
            with suppress(ConnectionError):
                silent = socket.create_connection(("127.0.0.1", port), timeout=10)
                stack.enter_context(silent)
        # Each connection has two threads; four are held, the others were closed unheard.
        until(lambda: threading.active_count() - before <= 2 * 4 + 2)


def test_all_that_can_be_read_is_received_but_what_grows() -> None:
    assert {UID(syntax) for syntax in _CODECS} - set(IMAGE_SYNTAXES) == {UID(DEFLATED)}
    assert set(IMAGE_SYNTAXES) <= {UID(syntax) for syntax in _CODECS}


@pytest.mark.parametrize("title", ["", " ", "A" * 17, "a\\b", "ä", "a\nb"])
def test_a_title_is_one_to_sixteen_letters(title: str) -> None:
    with pytest.raises(ValueError, match="no title"):
        title_of(title)
    assert title_of(" A" + "B" * 15) == "A" + "B" * 15
