"""Files into the ledger: found, skipped by name, sized by hand, never twice."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from hcmodel.geometry import Spacing
from worker.errors import BrokerUnreachable, PathMissing
from worker.intake.discover import Options, Request
from worker.intake.submit import Intake, submit
from worker.queue.embedded_redis import EmbeddedRedis
from worker.queue.publisher import Publisher, workers_listening
from worker.queue.reconciler import reconcile
from worker.queue.redis_client import connect
from worker.result import Status
from worker.sample_files import PIXEL_SIZES, write_samples
from worker.settings import Settings
from worker.store.batches import NewScan, NewSkip
from worker.store.claims import claim
from worker.store.owner import new_owner
from worker.store.progress import counts, latest_batches, skipped_files
from worker.store.rows import select_rows
from worker.store.session import Database
from worker.store.tables import ScanRow


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's samples: images, refusals, a text, a sidecar and a table of pixel sizes."""
    folder = tmp_path_factory.mktemp("phantoms")
    write_samples(folder)
    return folder


def found(path: Path, options: Options = Options()) -> list[NewScan | NewSkip]:  # noqa: B008
    return list(Request.of([path], options).discover())


def names(each: list[NewScan | NewSkip]) -> tuple[list[str], dict[str, str]]:
    scans = [Path(scan.source).name for scan in each if isinstance(scan, NewScan)]
    return scans, {Path(s.source).name: s.code for s in each if isinstance(s, NewSkip)}


def test_a_folder_gives_its_images_and_names_the_rest(phantoms: Path) -> None:
    scans, skips = names(found(phantoms))
    assert scans == sorted(scans)
    assert {"early.dcm", "sized.png", "sidecar.png"} <= set(scans)
    assert skips["notes.txt"] == "text"
    assert PIXEL_SIZES in skips
    assert "sidecar.json" not in {*scans, *skips}


def test_the_nearest_word_on_the_pixel_size_counts(phantoms: Path) -> None:
    options = Options(pixel_size=Spacing(0.3, 0.4), pixel_sizes=phantoms / PIXEL_SIZES)
    scans = [each for each in found(phantoms, options) if isinstance(each, NewScan)]
    sizes = {Path(scan.source).name: scan.manual for scan in scans}
    assert sizes["sized.png"] == Spacing(0.15, 0.15)
    assert sizes["early.dcm"] == Spacing(0.3, 0.4)


def test_folders_are_entered_unless_told_otherwise(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "link").symlink_to(inner)
    (tmp_path / "loop.png").symlink_to("loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert names(found(tmp_path)) == (
        ["loop.png", "b.png"],
        {"pipe.png": "not-a-file", "link": "folder-link"},
    )
    scans, skips = names(found(tmp_path, Options(recursive=False)))
    assert scans == ["loop.png"]
    assert skips["inner"] == "folder"


def test_a_file_named_by_a_person_always_gets_a_row(tmp_path: Path) -> None:
    report = tmp_path / "report.txt"
    report.write_text("words")
    assert found(report) == [NewScan(str(report))]


def test_a_name_that_is_no_text_is_skipped_by_name(tmp_path: Path) -> None:
    odd = os.fsencode(tmp_path) + b"/\xff.png"
    with open(odd, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
    (skip,) = found(tmp_path)
    assert isinstance(skip, NewSkip)
    assert skip.code == "name-not-text"
    assert skip.source.endswith("\\udcff.png")


def test_names_of_a_table_that_are_no_files_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table, folder = tmp_path / "sizes.csv", tmp_path / "scans"
    folder.mkdir()
    (folder / "o\u0308.png").write_bytes(b"\x89PNG\r\n\x1a\n")  # as macOS writes an o with dots
    lines = [f"{number}.png,0.1" for number in range(12)]
    table.write_text("\n".join(["filename,pixel_size_mm", *lines, ""]))
    options = Options(pixel_sizes=table)
    assert [scan.manual for scan in found(folder, options) if isinstance(scan, NewScan)] == [None]
    assert "0 of 12 names are files here" in caplog.text
    caplog.clear()
    table.write_text(f"filename,pixel_size_mm\n{folder}/\u00f6.png,0.1\n")
    (scan,) = found(folder, options)
    assert isinstance(scan, NewScan)
    assert scan.manual == Spacing(0.1, 0.1)
    assert caplog.text == ""


def plant_oddities(folder: Path) -> None:
    """What has ended or hung a whole intake, beside sound files."""
    for name in ("good.png", "sub/good2.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    with open(os.fsencode(folder) + b"/\xff.png", "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
    (folder / "far.png").symlink_to("x" * 300 + "/" + "y" * 3000)
    (folder / "far").symlink_to("x" * 3000)
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "good.json").write_text("[" * 60_000)
    os.mkfifo(folder / "sub/good2.json")
    (folder / "._good.png").write_bytes(b"\0\x05\x16\x07" + b"\0" * 60)
    deep = os.open(folder, os.O_RDONLY)
    for letter in "abcdefghijklm":  # together longer than a row's name may be
        os.mkdir(letter * 230, dir_fd=deep)
        inner = os.open(letter * 230, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = inner
    os.close(os.open("deep.png", os.O_CREAT | os.O_WRONLY, dir_fd=deep))
    os.close(deep)


def test_what_one_odd_file_does_costs_that_file(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    plant_oddities(folder)
    submission = submit(settings, [folder])
    rows = sorted(Path(row.source).name for row in select_rows(database))
    assert rows == ["far.png", "good.png", "good2.png", "loop.png"]
    skips = skipped_files(database, submission.batch)
    assert sorted(skip.code for skip in skips) == [
        "apple-double",
        "file-missing",
        "name-not-text",
        "name-too-long",
    ]
    assert all(len(skip.source.encode()) <= 2000 for skip in skips)
    assert submit(settings, [folder]).new == 0


def test_without_a_worker_the_rows_wait_in_the_ledger(
    settings: Settings, database: Database, phantoms: Path
) -> None:
    steps: list[Intake] = []
    submission = submit(settings, [phantoms], on_progress=steps.append)
    assert not submission.published
    assert not submission.workers_listening
    assert steps[-1].new == submission.new == submission.found > 5
    assert counts(database)[Status.QUEUED] == submission.found
    assert {s.code for s in skipped_files(database, submission.batch)} == {"text"}

    again = submit(settings, [phantoms])
    assert (again.batch, again.new) == (submission.batch, 0)
    assert not EmbeddedRedis(settings.data_dir).answers()


def test_a_missing_path_stops_before_anything_is_inserted(
    settings: Settings, database: Database, phantoms: Path
) -> None:
    with pytest.raises(PathMissing):
        submit(settings, [phantoms, phantoms / "nowhere"])
    assert latest_batches(database) == []


def test_an_unreachable_broker_stops_before_anything_is_inserted(
    environment: dict[str, str], database: Database, phantoms: Path
) -> None:
    settings = Settings.from_environment(environment | {"HC_BROKER_URL": "redis://127.0.0.1:1/0"})
    with pytest.raises(BrokerUnreachable):
        submit(settings, [phantoms])
    assert latest_batches(database) == []


@pytest.fixture
def publisher(settings: Settings) -> Iterator[Publisher]:
    embedded = EmbeddedRedis(settings.data_dir)
    with embedded.used():
        publisher = Publisher(settings, embedded.url)
        yield publisher
        publisher.close()


def published(settings: Settings) -> list[int]:
    """All ids in the list, oldest message first."""
    return [scan_id for chunk in messages(settings) for scan_id in chunk]


def messages(settings: Settings) -> list[list[int]]:
    """The chunks in the list, oldest first."""
    client = connect(EmbeddedRedis(settings.data_dir).url)
    found = []
    for message in client.lrange("hc:measure", 0, -1)[::-1]:
        body = json.loads(message)
        assert body["content-type"] == "application/json"
        found.append(json.loads(base64.b64decode(body["body"]))[0][0])
    return found


def test_ids_travel_in_chunks_after_their_rows(
    environment: dict[str, str], database: Database, phantoms: Path, publisher: Publisher
) -> None:
    settings = Settings.from_environment(environment | {"HC_CHUNK_SIZE": "4"})
    submission = submit(settings, [phantoms])
    assert submission.published
    assert not submission.workers_listening
    sent = messages(settings)
    assert {len(chunk) for chunk in sent[:-1]} == {4}
    assert published(settings) == [row.scan_id for row in select_rows(database)]
    assert not workers_listening(settings)


def test_the_reconciler_publishes_what_was_submitted_without_a_broker(
    settings: Settings, database: Database, phantoms: Path
) -> None:
    submission = submit(settings, [phantoms])
    embedded = EmbeddedRedis(settings.data_dir)
    with embedded.used():
        publisher = Publisher(settings, embedded.url)
        recovered = reconcile(database, publisher, settings)
        assert (recovered.freed, recovered.published) == (0, submission.found)
        assert published(settings) == [row.scan_id for row in select_rows(database)]
        assert reconcile(database, publisher, settings).published == 0
        publisher.close()


def test_the_reconciler_notices_an_emptied_list_and_a_dead_owner(
    settings: Settings, database: Database, phantoms: Path, publisher: Publisher
) -> None:
    submission = submit(settings, [phantoms])
    connect(EmbeddedRedis(settings.data_dir).url).flushall()
    ids = [row.scan_id for row in select_rows(database)]
    gone = new_owner().split(":")
    gone[2] = str(2**22 + 1)  # larger than any process number
    claim(database, ids[:2], ":".join(gone), lease_s=60)
    claim(database, ids[2:3], new_owner(), lease_s=60)
    with database.writing() as connection:
        connection.execute(update(ScanRow).values(published_at=datetime(2018, 1, 1, tzinfo=UTC)))
    recovered = reconcile(database, publisher, settings)
    assert (recovered.freed, recovered.published) == (2, submission.found - 1)
