"""The questions of docs/schema.md, asked on both databases of rows that have an answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, insert, text

from rig.stored_rows import MODEL, put_row
from worker.bench.results import fill
from worker.store import schema
from worker.store.session import Database
from worker.store.tables import ReferenceRow, ReviewRow

PAGE = (Path(__file__).parents[2] / "docs" / "schema.md").read_text()
QUESTIONS = re.findall(r"### (\d+)\. [^\n]+\n.*?```sql\n(.*?)```", PAGE, re.DOTALL)
STUDY = "1.2.826.0.1.3680043.8.498.10"


@pytest.fixture
def ledger(database: Database) -> Database:
    """A thousand rows, a report and a review of the last one."""
    fill(database, 1000)
    last = put_row(
        *(database, "2026-9", "/scans/last.dcm"),
        id=2000,
        hc_mm=180.0,
        study_instance_uid="1.2.3",
        machine="X",
    )
    report = {
        "batch_id": "2026-9",
        "source": "/scans/report.dcm",
        "study_instance_uid": "1.2.3",
        "fetus": "",
        "hc_mm": 178.5,
        "instances": 1,
        "image_uids": (),
    }
    review = {
        "scan_id": last,
        "request_key": "k",
        "reviewer": "anna",
        "verdict": "corrected",
        "model": MODEL,
        "hc_mm": 182.25,
    }
    with database.writing() as connection:
        connection.execute(insert(ReferenceRow).values(report))
        connection.execute(insert(ReviewRow).values(review))
    return database


def answers(database: Database) -> dict[int, list[tuple[Any, ...]]]:
    with database.reading() as connection:
        return {
            int(number): [tuple(row) for row in connection.exec_driver_sql(sql.replace("%", "%%"))]
            if connection.dialect.name == "postgresql"
            else [tuple(row) for row in connection.exec_driver_sql(sql)]
            for number, sql in QUESTIONS
        }


def test_ten_questions_have_their_answers(ledger: Database) -> None:
    rows = answers(ledger)
    assert list(rows) == list(range(1, 11))
    assert rows[1][0] == ("2026-0", "duplicate", 3)
    assert sum(count for _, _, count in rows[1]) == 1001
    assert [(code, scans) for code, _, scans in rows[2]] == [
        ("no-head", 50),
        ("decode-timeout", 10),
    ]
    # Row 16 stands for row 8, and so on; what they were is no longer the newest.
    assert len(rows[3]) == len({source for source, *_ in rows[3]}) == 751
    assert [scan_id for scan_id, *_ in rows[4]] == [40, 41, 42, 43]
    assert all(images in (2, 3, 4) and range_mm > 0 for _, images, _, range_mm in rows[5])
    machines = {f"GE Healthcare Voluson E{number}" for number in range(3)}
    assert {machine for machine, *_ in rows[6]} == machines | {"X"}
    assert {flags for *_, flags in rows[7]} == {"low-confidence plane-unsure"}
    assert rows[8][0][0] == "2026-01-01"
    assert sum(with_hc for *_, with_hc in rows[8]) == 800 + 110 + 30 + 1
    assert rows[9] == [("1.2.3", 180.0, 178.5, 1.5)]
    assert [(row[0], row[1], *row[3:]) for row in rows[10]] == [
        ("/scans/last.dcm", "anna", 180.0, 182.25, 2.25)
    ]


def test_a_reader_keeps_its_right_when_views_are_made_anew(postgresql_url: str) -> None:
    engine = create_engine(postgresql_url)
    schema.upgrade(engine)
    statements = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert statements is not None
    with engine.begin() as connection:
        connection.execute(text("DROP ROLE IF EXISTS reader"))
        for statement in statements[1].strip().removesuffix(";").split(";\n"):
            connection.execute(text(statement))
    schema.upgrade(engine)
    with engine.begin() as connection:
        for view in ("v_results", "v_latest", "scans"):
            may = text("SELECT has_table_privilege('reader', :name, 'SELECT')")
            assert connection.scalar(may, {"name": view})
            may = text("SELECT has_table_privilege('reader', :name, 'UPDATE')")
            assert not connection.scalar(may, {"name": view})
        connection.execute(text("DROP OWNED BY reader"))
        connection.execute(text("DROP ROLE reader"))
    engine.dispose()
