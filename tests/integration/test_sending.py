"""Objects on their way to archives: each once, whatever fails, and told as a row."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from rig.archive import CAPTURE, Archive, answering, archive, orthanc
from rig.command import hc
from rig.dicom_peers import free_port
from rig.known_heads import known_dicom
from rig.pages import own_copy
from rig.plant import COMMAND
from worker.errors import DestinationsUnusable, DestinationUnknown
from worker.hospital.deliver import Outcome, deliverer, pipeline
from worker.hospital.destinations import DicomDestination, find_destination, read_destinations
from worker.reading.sandbox.pool import ReaderPool
from worker.reports.objects.forms import OBGYN, SR
from worker.settings import Settings
from worker.store import deliveries
from worker.store.deliveries import claim_due, enqueue, put_off, sent, tally
from worker.store.filter import Filter
from worker.store.session import Database, open_database
from worker.store.tables import DeliveryRow

ONE = Filter(source="anisotropic.dcm")
ALL = Filter()

pytestmark = [
    pytest.mark.usefixtures("collecting_sockets"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def environment(
    phantoms_measured: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    return own_copy(phantoms_measured, tmp_path_factory.mktemp("sending"))


@pytest.fixture(scope="module")
def settings(environment: dict[str, str]) -> Settings:
    return Settings.from_environment(environment)


@pytest.fixture(scope="module")
def database(settings: Settings) -> Iterator[Database]:
    with open_database(settings) as database:
        yield database


def destination(settings: Settings, name: str, **keys: object) -> str:
    """Write one down beside the others."""
    lines = [f"[{name}]"]
    for key, value in keys.items():
        shown = str(value).lower() if isinstance(value, bool | int | float) else f'"{value}"'
        lines.append(f"{key} = {shown}")
    path = settings.data_dir / "destinations.toml"
    with path.open("a") as file:
        file.write("\n".join(lines) + "\n\n")
    path.chmod(0o600)
    return name


def pacs(settings: Settings, name: str, state: Archive, **keys: object) -> str:
    dicom = {"kind": "dicom", "host": "127.0.0.1", "port": state.port, "called": "PACS"}
    return destination(settings, name, **dicom, timeout_s=5, **keys)


READERS: list[ReaderPool] = []


@pytest.fixture(scope="module", autouse=True)
def readers() -> Iterator[None]:
    """One reader process for all tests of this file."""
    with ReaderPool() as pool:
        READERS[:] = [pool]
        yield


def send(
    settings: Settings,
    name: str,
    which: Filter | None = None,
    *,
    form: str = "dicom-sr",
    s: float = 0,
) -> Outcome:
    with deliverer(settings, name, READERS[0]) as (sending, database):
        if which is not None:
            enqueue(database, name, form, which, form == OBGYN.name)
        return sending.run(threading.Event(), s)


def rows(database: Database, name: str) -> list[DeliveryRow]:
    statement = select(DeliveryRow.__table__).where(DeliveryRow.destination == name)
    with database.reading() as connection:
        return list(connection.execute(statement.order_by(DeliveryRow.id)))  # type: ignore[arg-type]


def test_each_measurement_is_sent_once(settings: Settings, database: Database) -> None:
    with archive() as state:
        name = pacs(settings, "once", state)
        assert send(settings, name, ALL, s=30) == Outcome(sent=5, refused=2, waiting=0)
        assert send(settings, name, ALL) == Outcome(0, 0, 0)
        assert sorted(state.got.values()) == [1] * 5
        assert state.patients == {""}
    assert tally(database, name) == {("sent", None): 5, ("refused", "not-dicom"): 2}
    taken = [row for row in rows(database, name) if row.state == "sent"]
    assert {row.object_uid for row in taken} == set(state.got)
    assert all(row.attempts == 1 and row.committed_at is None for row in taken)
    assert all(row.owner is None for row in rows(database, name))


def test_only_the_own_archive_gets_the_patient(settings: Settings, database: Database) -> None:
    with archive() as state:
        name = pacs(settings, "own", state, own_archive=True)
        assert send(settings, name, ONE, s=20).sent == 1
        assert send(settings, name, ALL, form=OBGYN.name, s=20).sent == 1
    assert state.patients == {"Phantom^Sample"}
    path = settings.sqlite_path
    assert path is not None
    # Closing the file in this process would take SQLite's locks from it.
    files = [path, path.with_name(f"{path.name}-wal")]
    said = subprocess.run(["cat", *files], capture_output=True, check=True).stdout
    assert b"anisotropic.dcm" in said
    assert b"Phantom^Sample" not in said


def test_a_full_archive_is_asked_again(settings: Settings, database: Database) -> None:
    with archive() as state:
        name = pacs(settings, "full", state)
        state.answers = [0xA700]
        assert send(settings, name, ONE) == Outcome(0, 0, 1)
        assert tally(database, name) == {("queued", "destination-busy"): 1}
        assert send(settings, name, s=20) == Outcome(1, 0, 0)
    (row,) = rows(database, name)
    assert (row.state, row.code, row.attempts) == ("sent", None, 2)


def test_a_refusal_ends_the_delivery_with_its_reason(
    settings: Settings, database: Database
) -> None:
    with archive(classes=(CAPTURE,)) as state:
        name = pacs(settings, "picky", state)
        assert send(settings, name, ONE) == Outcome(0, 1, 0)
        assert tally(database, name) == {("refused", "class-refused"): 1}
        assert send(settings, name, ONE, form="dicom-sc") == Outcome(1, 0, 0)
    with archive() as state:
        name = pacs(settings, "odd", state)
        state.answers = [0xC123]
        assert send(settings, name, ONE) == Outcome(0, 1, 0)
        (row,) = rows(database, name)
        assert (row.code, "C123" in row.message) == ("object-refused", True)
        assert deliveries.retry_refused(database, name) == 1
        assert send(settings, name) == Outcome(1, 0, 0)


def test_an_archive_that_is_away_gets_it_later(settings: Settings, database: Database) -> None:
    away = Archive(free_port())
    name = pacs(settings, "away", away)
    assert send(settings, name, ONE) == Outcome(0, 0, 1)
    assert tally(database, name) == {("queued", "destination-unreachable"): 1}
    with archive(title="OTHER") as state:
        name = pacs(settings, "strict", state)
        send(settings, name, ONE)
        assert tally(database, name) == {("queued", "association-rejected"): 1}


@pytest.mark.parametrize("keeps", [True, False])
def test_an_archive_vouches_for_what_it_got(
    settings: Settings, database: Database, keeps: bool
) -> None:
    with archive(commits=True) as state:
        state.keeps = keeps
        name = pacs(settings, f"keeps-{keeps}".lower(), state, commitment=True)
        outcome = send(settings, name, ONE)
    (row,) = rows(database, name)
    if keeps:
        assert (outcome, row.state) == (Outcome(1, 0, 0), "sent")
        assert row.committed_at is not None
    else:
        assert (outcome, row.code) == (Outcome(0, 0, 1), "not-committed")


def test_a_source_that_is_gone_ends_its_delivery(tmp_path: Path) -> None:
    settings = Settings.from_environment({"HC_DATA_DIR": str(tmp_path / "data")})
    with open_database(settings) as database, archive() as state:
        path, _ = known_dicom(database, tmp_path)
        path.unlink()
        name = pacs(settings, "gone", state)
        assert send(settings, name, ALL) == Outcome(0, 1, 0)
        assert tally(database, name) == {("refused", "file-missing"): 1}


def test_a_death_between_archive_and_ledger_sends_the_same_object_again(
    settings: Settings, database: Database, environment: dict[str, str]
) -> None:
    """Given a sender that dies after the archive's Success, then nothing is lost or doubled."""
    with archive() as state:
        name = pacs(settings, "killed", state)
        words = [COMMAND, "send", "--format", "dicom-sr", "--to", name]
        armed = environment | {"HC_FAILPOINT": "after-send:kill9"}
        died = subprocess.run(words, env=armed, capture_output=True, check=False, timeout=120)
        assert died.returncode == -signal.SIGKILL
        assert sum(state.got.values()) == 1
        done = hc(armed, *words[1:])
        assert done.returncode == 3, done.stderr
        assert "5 sent, 2 refused, 0 wait" in done.stderr
        assert sorted(state.got.values()) == [1, 1, 1, 1, 2]
    assert tally(database, name) == {("sent", None): 5, ("refused", "not-dicom"): 2}


def test_two_senders_share_what_is_due(database: Database) -> None:
    assert enqueue(database, "shared", SR.name, ALL, by_study=False) == 7
    assert enqueue(database, "shared", SR.name, ALL, by_study=False) == 0
    one = claim_due(database, "shared", "host:1:1:a", limit=4)
    other = claim_due(database, "shared", "host:1:2:b", limit=4)
    assert (len(one), len(other)) == (4, 3)
    assert not {each.id for each in one} & {each.id for each in other}
    assert sent(database, one[0], "1.2", committed=False)
    assert not sent(database, one[0], "1.2", committed=False)
    pauses = [put_off(database, one[1], "x", "y")]
    assert claim_due(database, "shared", "host:1:1:a", limit=4) == []
    assert pauses == [2.0]
    deliveries.give_back(database, one[2:])
    again = claim_due(database, "shared", "host:1:3:c", limit=4)
    assert [(each.id, each.attempt) for each in again] == [(each.id, 1) for each in one[2:]]


def test_a_pipeline_sends_what_comes(settings: Settings, database: Database) -> None:
    with archive() as state:
        name = pacs(settings, "pipe", state)
        with pipeline(settings, SR, name):
            for _ in range(600):
                if len(state.got) == 5:
                    break
                threading.Event().wait(0.05)
        assert sorted(state.got.values()) == [1] * 5


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "not-allowed"),
        (403, "not-allowed"),
        (404, "destination-unreachable"),
        (500, "destination-unreachable"),
        (503, "destination-busy"),
        (None, "destination-unreachable"),
    ],
)
def test_a_web_archive_that_fails_is_named(
    settings: Settings, database: Database, status: int | None, code: str
) -> None:
    with answering(status) as url:
        patience_s = 1 if status is None else 60
        name = destination(settings, f"web-{status}", kind="stow", url=url, timeout_s=patience_s)
        assert send(settings, name, ONE) == Outcome(0, 0, 1)
        assert tally(database, name) == {("queued", code): 1}


def test_a_real_archive_takes_reports_by_both_ways(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    with orthanc(tmp_path / "orthanc") as there:
        dicom = {"kind": "dicom", "host": "127.0.0.1", "port": there.dicom, "called": "ORTHANC"}
        destination(settings, "orthanc-dicom", **dicom)
        web = {"kind": "stow", "url": there.web, "user": "hc", "password": "secret"}
        destination(settings, "orthanc-web", **web)
        destination(settings, "orthanc-stranger", **(web | {"password": "wrong"}))
        assert send(settings, "orthanc-dicom", ALL, s=60) == Outcome(5, 2, 0)
        assert len(there.get("/instances")) == 5  # type: ignore[arg-type]
        assert send(settings, "orthanc-web", ALL, s=60) == Outcome(5, 2, 0)
        assert len(there.get("/instances")) == 5  # type: ignore[arg-type]
        assert send(settings, "orthanc-web", ALL, form="dicom-sc", s=60) == Outcome(7, 0, 0)
        assert len(there.get("/instances")) == 12  # type: ignore[arg-type]
        assert send(settings, "orthanc-stranger", ONE) == Outcome(0, 0, 1)
        assert tally(database, "orthanc-stranger") == {("queued", "not-allowed"): 1}


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[a", "no TOML"),
        ("a = 1", "no table"),
        ("[a]\nkind = 'ftp'", "dicom or stow"),
        ("[a]\nkind = 'dicom'\nhost = 'h'", "host, port and called"),
        ("[a]\nkind = 'dicom'\nhost = 'h'\nport = 0\ncalled = 'P'", "1 to 65535"),
        ("[a]\nkind = 'dicom'\nhost = 'h'\nport = true\ncalled = 'P'", "port must be int"),
        ("[a]\nkind = 'dicom'\nhost = 'h'\nport = 1\ncalled = 'ABCDEFGHIJKLMNOPQ'", "no title"),
        ("[a]\nkind = 'dicom'\nhost = 'h'\nport = 1\ncalled = 'P'\ncolour = 'red'", "colour"),
        ("[a]\nkind = 'dicom'\nhost = 'h'\nport = 1\ncalled = 'P'\ntls_ca = '/no'", "tls_ca"),
        ("[a]\nkind = 'stow'\nurl = 'ftp://h'", "http"),
        ("[a]\nkind = 'stow'\nurl = 'http://u:p@h'", "keys of their own"),
        ("[a]\nkind = 'stow'\nurl = 'http://h'\nuser = 'u'", "go together"),
        ("[a]\nkind = 'stow'\nurl = 'http://h'\ntimeout_s = 0", "timeout_s"),
    ],
)
def test_a_file_of_destinations_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DestinationsUnusable, match=said):
        read_destinations(write(tmp_path / "d.toml", text))


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    text = "[a]\nkind = 'stow'\nurl = 'http://h'\ntoken = 'geheim'\n"
    path = write(tmp_path / "d.toml", text)
    found = find_destination(path, "a")
    assert "geheim" not in repr(found)
    os.chmod(path, 0o640)
    with pytest.raises(DestinationsUnusable, match="chmod 600") as refused:
        read_destinations(path)
    assert "geheim" not in str(refused.value)
    with pytest.raises(DestinationsUnusable, match="No such file"):
        read_destinations(tmp_path / "none.toml")


def test_a_destination_has_a_name(tmp_path: Path) -> None:
    path = write(tmp_path / "d.toml", "[pacs]\nkind='dicom'\nhost='h'\nport=104\ncalled=' PACS '\n")
    assert find_destination(path, "pacs") == DicomDestination("pacs", "h", 104, "PACS")
    with pytest.raises(DestinationUnknown, match="other.*has: pacs"):
        find_destination(path, "other")


def test_a_real_archive_vouches_in_an_association_of_its_own(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    port = free_port()
    with orthanc(tmp_path / "orthanc", hc_port=port) as there:
        dicom = {"kind": "dicom", "host": "127.0.0.1", "port": there.dicom, "called": "ORTHANC"}
        word = {"commitment": True, "commitment_port": port}
        name = destination(settings, "orthanc-word", **dicom, **word)
        assert send(settings, name, ONE, s=20) == Outcome(1, 0, 0)
    (row,) = rows(database, name)
    assert row.committed_at is not None
