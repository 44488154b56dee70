"""What is removed, what has to stay, and that it is told before it goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import func, insert, select, update

from cli.commands import cli
from rig.stored_rows import MODEL, put_batch, put_row
from worker.errors import BatchUnfinished
from worker.store.filter import Filter
from worker.store.removal import Removal, prune, remove_batch
from worker.store.rows import select_rows
from worker.store.session import Database
from worker.store.tables import (
    AttemptRow,
    BatchRow,
    DeliveryRow,
    ReferenceRow,
    ReviewRow,
    ScanRow,
    SkippedFileRow,
)
from worker.watching.old_files import Aged, prune_done

DAY_S = 86_400.0
OLD = datetime.now(UTC) - timedelta(days=91)
YOUNG = datetime.now(UTC) - timedelta(days=89)


def nowhere(_source: str) -> bool:
    return False


def finish_batch(database: Database, name: str, at: datetime, kind: str = "run") -> None:
    values = {"created_at": at, "intake_done_at": at, "kind": kind}
    with database.writing() as connection:
        connection.execute(update(BatchRow).where(BatchRow.id == name).values(values))


@pytest.fixture
def ledger(database: Database) -> Database:
    """An old batch, in which one original is repeated by a young one, and a watched folder's."""
    for name in ("old", "young", "watched"):
        put_batch(database, name)
        finish_batch(database, name, YOUNG if name == "young" else OLD)
    finish_batch(database, "watched", OLD, "watch")
    first = put_row(database, "old", "a.dcm", changed_at=OLD)
    second = put_row(database, "old", "b.dcm", changed_at=OLD)
    put_row(database, "old", "a2.dcm", "duplicate", duplicate_of=first, changed_at=OLD)
    put_row(database, "old", "c.dcm", "rejected", code="no-head", changed_at=OLD)
    put_row(database, "young", "b2.dcm", "duplicate", duplicate_of=second, changed_at=YOUNG)
    put_row(database, "watched", "here.dcm", changed_at=OLD)
    put_row(database, "watched", "gone.dcm", changed_at=OLD)
    put_row(database, "watched", "waits.dcm", "queued", changed_at=OLD)
    with database.writing() as connection:
        for event in ("claimed", "finished"):
            row = {"scan_id": first, "number": 1, "event": event}
            connection.execute(insert(AttemptRow).values(row))
        said = {"request_key": "k", "reviewer": "anna", "verdict": "accepted", "model": MODEL}
        connection.execute(insert(ReviewRow).values(scan_id=first, **said))
        skipped = {"batch_id": "old", "source": "x.txt", "code": "text", "reason": "a text"}
        connection.execute(insert(SkippedFileRow).values(skipped))
        report = {"batch_id": "old", "source": "sr.dcm", "study_instance_uid": "1.2"}
        told = {"fetus": "", "instances": 1, "image_uids": ()}
        connection.execute(insert(ReferenceRow).values(report | told))
    return database


def sources(database: Database) -> list[str]:
    return [row.source for row in select_rows(database, Filter())]


def test_prune_tells_and_then_removes_what_ended_long_ago(ledger: Database) -> None:
    def is_there(source: str) -> bool:
        return source == "here.dcm"

    before = sources(ledger)
    told = prune(ledger, 90 * DAY_S, is_there, really=False)
    assert told == Removal({"scans": 4, "results": 3, "attempts": 2, "reviews": 1}, kept=2)
    assert sources(ledger) == before
    assert prune(ledger, 90 * DAY_S, is_there, really=True) == told
    assert sources(ledger) == ["b.dcm", "b2.dcm", "here.dcm", "waits.dcm"]
    (again,) = select_rows(ledger, Filter(statuses=["duplicate"]))  # type: ignore[list-item]
    assert again.model == MODEL
    assert prune(ledger, 90 * DAY_S, is_there, really=True) == Removal({}, kept=2)
    assert prune(ledger, 92 * DAY_S, nowhere, really=True) == Removal({})


def test_an_empty_batch_goes_with_what_it_skipped_and_a_watched_folders_stays(
    ledger: Database,
) -> None:
    done = prune(ledger, 88 * DAY_S, nowhere, really=True)
    # By then the young one is old too, so that nothing repeats what stays.
    assert done == Removal(
        {
            "batches": 2,
            "scans": 7,
            "results": 5,
            "attempts": 2,
            "reviews": 1,
            "reference_values": 1,
            "skipped_files": 1,
        }
    )
    assert sources(ledger) == ["waits.dcm"]
    with ledger.reading() as connection:
        assert connection.scalars(select(BatchRow.id)).all() == ["watched"]
        assert connection.scalar(select(func.count()).select_from(SkippedFileRow)) == 0


def test_a_batch_is_removed_but_for_what_others_repeat(ledger: Database) -> None:
    told = remove_batch(ledger, "old", nowhere, really=False)
    assert told == Removal({"scans": 3, "results": 2, "attempts": 2, "reviews": 1}, kept=1)
    assert remove_batch(ledger, "old", nowhere, really=True) == told
    assert sources(ledger)[0] == "b.dcm"
    assert remove_batch(ledger, "young", nowhere, really=True).rows["batches"] == 1
    assert remove_batch(ledger, "old", nowhere, really=True) == Removal(
        {"batches": 1, "scans": 1, "results": 1, "reference_values": 1, "skipped_files": 1}
    )
    assert sources(ledger) == ["here.dcm", "gone.dcm", "waits.dcm"]
    with pytest.raises(BatchUnfinished, match="1 scans of watched are queued or running"):
        remove_batch(ledger, "watched", nowhere, really=True)


def test_a_scan_of_which_an_object_waits_to_be_sent_stays(ledger: Database) -> None:
    ids = {row.source: row.scan_id for row in select_rows(ledger, Filter(batch="old"))}
    with ledger.writing() as connection:
        for source, state in (("c.dcm", "queued"), ("a2.dcm", "sent")):
            row = {"destination": "d", "form": "sr", "scan_id": ids[source], "state": state}
            connection.execute(insert(DeliveryRow).values(row))
    done = prune(ledger, 90 * DAY_S, nowhere, really=True)
    assert done.rows["deliveries"] == 1
    assert {"b.dcm", "c.dcm"} <= set(sources(ledger))
    assert "a2.dcm" not in sources(ledger)


def test_a_scan_that_is_queued_again_meanwhile_stays_with_its_batch(ledger: Database) -> None:
    def requeues(_source: str) -> bool:  # asked once all scans were chosen
        with ledger.engine.connect() as connection:
            again = update(ScanRow).where(ScanRow.source == "c.dcm").values(state="queued")
            connection.execute(again)
            connection.commit()
        return False

    prune(ledger, 90 * DAY_S, requeues, really=True)
    assert {"b.dcm", "c.dcm"} <= set(sources(ledger))


def test_old_files_in_done_go_and_links_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    inner = tmp_path / "in" / "done" / "day" / "study"
    for folder in (outside, inner, tmp_path / "in" / "failed"):
        folder.mkdir(parents=True)
    for path in (inner / "a.dcm", inner.parent / "b.json", outside / "x", outside.parent / "y"):
        path.write_bytes(b"12345")
    (tmp_path / "in" / "failed" / "c.dcm").touch()
    (tmp_path / "in" / "done" / "link").symlink_to(outside)
    (inner / "link.dcm").symlink_to(outside / "x")
    root = tmp_path / "in"
    assert prune_done(root, 3600, really=True) == Aged(root / "done")
    assert prune_done(root, 0, really=False) == Aged(root / "done", 2, 10)
    assert (inner / "a.dcm").exists()
    assert prune_done(root, 0, really=True) == Aged(root / "done", 2, 10)
    left = sorted(str(p.relative_to(root)) for p in root.rglob("*") if not p.is_dir())
    assert left == ["done/day/study/link.dcm", "failed/c.dcm"]
    assert (root / "done" / "link").is_symlink()
    assert (outside / "x").exists()
    (inner / "link.dcm").unlink()
    (inner / "d.dcm").touch()
    prune_done(root, 0, really=True)
    assert not inner.parent.exists()
    assert prune_done(tmp_path / "nowhere", 0, really=True).files == 0


def test_the_commands_tell_first(database: Database, environment: dict[str, str]) -> None:
    put_batch(database, "one")
    put_row(database, "one", "a.dcm", changed_at=OLD)

    def said(*words: str) -> str:
        done = CliRunner().invoke(cli, words, env=environment)
        assert done.exit_code == 0, done.output
        return done.output

    told = said("batch", "remove", "one")
    assert "would remove: 1 batches, 1 scans, 1 results" in told
    assert "nothing was removed; the same with --yes removes it" in told
    assert sources(database) == ["a.dcm"]
    assert "would remove: 1 scans, 1 results" in said("prune", "--older-than", "90d")
    assert "would remove: nothing" in said("prune", "--older-than", "92d")
    assert said("batch", "remove", "last", "--yes") == "removed: 1 batches, 1 scans, 1 results\n"
    assert sources(database) == []
    bad = CliRunner().invoke(cli, ["prune", "--older-than", "90"])
    assert "'90' is no age: 90d, 26w or 12h" in bad.output
