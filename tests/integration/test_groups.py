"""Rows summed by group, on both databases, and as the command shows them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli.commands import cli
from rig.stored_rows import put_batch, put_row
from worker.store.filter import Filter
from worker.store.groups import Group, GroupBy, groups
from worker.store.session import Database

MONDAY, TUESDAY = datetime(2026, 1, 5, 23, 59, tzinfo=UTC), datetime(2026, 1, 6, tzinfo=UTC)


@pytest.fixture
def ledger(database: Database) -> Database:
    """Two machines: HC of 100, 200, 300 and 310, 330 mm; one duplicate, one refusal, one waits."""
    put_batch(database, "one")
    put_batch(database, "two")
    first = put_row(database, "one", "a", hc_mm=200.0, machine="A", changed_at=MONDAY)
    put_row(database, "one", "b", hc_mm=100.0, machine="A", changed_at=MONDAY)
    put_row(*(database, "one", "c", "flagged"), hc_mm=300.0, machine="A", changed_at=TUESDAY)
    put_row(database, "two", "d", hc_mm=310.0, machine="B", plane="abdomen", changed_at=TUESDAY)
    put_row(database, "two", "e", hc_mm=330.0, machine="B", changed_at=TUESDAY)
    put_row(database, "two", "f", "duplicate", duplicate_of=first, changed_at=TUESDAY)
    put_row(database, "two", "g", "rejected", code="no-head", machine="B", changed_at=TUESDAY)
    put_row(database, "two", "h", "queued", changed_at=TUESDAY)
    return database


def test_groups_have_counts_median_and_shares(ledger: Database) -> None:
    assert groups(ledger, Filter(), GroupBy.MACHINE) == [
        Group("A", 4, 2, 1, 0, 0, 1, 0, 200.0, 1 / 3, 0.0),
        Group("B", 3, 2, 0, 1, 0, 0, 0, 320.0, 0.0, 1 / 3),
        Group(None, 1, 0, 0, 0, 0, 0, 1, None, None, None),
    ]
    assert groups(ledger, Filter(), None) == [Group("all", 8, 4, 1, 1, 0, 1, 1, 300.0, 0.2, 1 / 6)]
    assert groups(ledger, Filter(hc_from_mm=320.0), None)[0].hc_median_mm == 330.0
    assert groups(ledger, Filter(batch="none"), GroupBy.BATCH) == []
    found = {by: [(g.name, g.scans) for g in groups(ledger, Filter(), by)] for by in GroupBy}
    assert found[GroupBy.BATCH] == [("one", 3), ("two", 5)]
    assert found[GroupBy.DAY] == [("2026-01-05", 2), ("2026-01-06", 6)]
    assert found[GroupBy.CODE] == [("no-head", 1), (None, 7)]
    assert found[GroupBy.PLANE] == [("abdomen", 1), (None, 7)]
    assert [count for _, count in found[GroupBy.MODEL]] == [7, 1]


def test_the_command_shows_groups_and_all(
    ledger: Database, environment: dict[str, str], tmp_path: Path
) -> None:
    done = CliRunner().invoke(cli, ["summary", "--by", "machine"], env=environment)
    assert done.stdout.splitlines() == [
        "machine scans meas. flag. rej. dupl. wait. HC mm flagged refused",
        "A           4     2     1    0     1     0 200.0  33.3 %   0.0 %",
        "B           3     2     0    1     0     0 320.0   0.0 %  33.3 %",
        "(none)      1     0     0    0     0     1",
        "all         8     4     1    1     1     1 300.0  20.0 %  16.7 %",
    ]
    target = tmp_path / "groups.json"
    words = ["summary", "--by", "day", "--status", "flagged", "--out", str(target)]
    done = CliRunner().invoke(cli, words, env=environment)
    assert f"1 lines in {target}" in done.stderr
    (line,) = json.loads(target.read_text())
    assert (line["name"], line["hc_median_mm"], line["flagged_share"]) == ("2026-01-06", 300.0, 1.0)
    done = CliRunner().invoke(cli, ["summary", "--out", "a.txt"], env=environment)
    assert (done.exit_code, ".csv, .json" in done.stderr) == (2, True)
