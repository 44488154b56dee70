"""``results`` over rows that are there: order, columns, and the form of a file."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.commands import cli
from rig.stored_rows import put_batch, put_row
from worker.settings import Settings
from worker.store.session import open_database


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Both databases are compared where rows are chosen, in test_filter.py."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
def ledger(environment: dict[str, str]) -> dict[str, str]:
    with open_database(Settings.from_environment(environment)) as database:
        batch = put_batch(database, "one")
        for name, hc_mm in (("a", 200.0), ("b", None), ("c", 175.126), ("d", 200.0)):
            put_row(database, batch, f"/scans/{name}.png", hc_mm=hc_mm, row_mm=0.15)
    return environment


def results(environment: dict[str, str], *words: str) -> Result:
    return CliRunner().invoke(cli, ["results", *words], env=environment)


def column(done: Result, name: str = "source") -> list[str]:
    assert done.exit_code == 0, done.output
    return [row[name] for row in csv.DictReader(io.StringIO(done.stdout))]


@pytest.mark.parametrize(
    ("words", "order"),
    [
        ([], "abcd"),
        (["--sort", "hc_mm"], "cadb"),
        (["--sort", "-hc_mm"], "adcb"),
        (["--sort", "-hc_mm", "--sort", "-source"], "dacb"),
        (["--sort", "hc_mm", "--limit", "2"], "ca"),
        (["--limit", "2"], "dc"),
    ],
)
def test_rows_come_in_the_order_that_is_asked(
    ledger: dict[str, str], words: list[str], order: str
) -> None:
    sources = column(results(ledger, "--format", "csv", *words))
    assert sources == [f"/scans/{letter}.png" for letter in order]


def test_only_the_columns_that_are_asked(ledger: dict[str, str], tmp_path: Path) -> None:
    done = results(ledger, "--columns", "hc_mm,source,hc_mm", "--format", "csv", "--limit", "2")
    assert done.stdout.splitlines() == ["hc_mm,source", "200.0,/scans/d.png", "175.13,/scans/c.png"]
    done = results(ledger, "--columns", "notice", "--out", str(tmp_path / "a.jsonl"))
    assert "4 rows in" in done.stderr
    notices = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert notices == [{"notice": "research use only, not a medical device"}] * 4
    done = results(ledger, "--columns", "source,hc_mm,row_mm,code")
    assert done.stdout.splitlines()[:3] == [
        "source hc_mm row_mm code",
        "a.png  200.0 0.1500",
        "b.png        0.1500",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sort", "hc_m"], "there is no column 'hc_m': hc_mm or"),
        (["--sort", "notice"], "there is no column 'notice'"),
        (["--columns", "hc_mm,sorce"], "there is no column 'sorce': source?"),
        (["--columns", "-hc_mm"], "there is no column '-hc_mm': hc_mm"),
        (["--columns", ""], "there is no column ''"),
    ],
)
def test_a_column_that_is_not_there_is_told(words: list[str], said: str) -> None:
    done = results({}, *words)
    assert done.exit_code == 2
    assert said in done.stderr


@pytest.mark.parametrize("suffix", ["parquet", "xlsx"])
def test_a_suffix_chooses_a_form_for_tables(
    ledger: dict[str, str], tmp_path: Path, suffix: str
) -> None:
    pytest.importorskip("pyarrow", reason="needs the extra tables")
    target = tmp_path / f"rows.{suffix}"
    done = results(ledger, "--out", str(target), "--sort", "-hc_mm")
    assert f"4 rows in {target}" in done.stderr
    assert target.read_bytes()[:4] == {"parquet": b"PAR1", "xlsx": b"PK\x03\x04"}[suffix]
