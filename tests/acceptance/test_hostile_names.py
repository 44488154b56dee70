"""Names drawn at random from what breaks terminals, logs and tables, through all outputs."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
from pathlib import Path

import pytest

from rig import command
from rig.command import Done
from rig.hostile_names import names
from worker import log
from worker.plain_text import visible


def hc(folder: Path, *words: str) -> Done:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    return command.hc(kept | {"HC_DATA_DIR": str(folder / "data")}, *words, folder=folder)


def is_clean(text: str) -> bool:
    return text.replace("\n", "").isprintable() and "please report" not in text


@pytest.fixture
def taken(tmp_path: Path) -> Path:
    """A folder of damaged images and texts with such names."""
    (tmp_path / "exam [\x1b[2J").mkdir()
    for number, name in enumerate(names(1, 24)):
        suffix = (".png", ".txt")[number % 2]
        content = b"\x89PNG\r\n\x1a\n" if suffix == ".png" else b"words"
        (tmp_path / "exam [\x1b[2J" / f"]{name}{number}{suffix}").write_bytes(content)
    return tmp_path


def images(taken: Path) -> list[str]:
    return sorted(str(path) for path in taken.glob("exam*/*.png"))


def test_no_name_steers_an_output(taken: Path) -> None:
    said = hc(taken, "run", "exam [\x1b[2J")
    assert said.returncode == 3, said.stderr
    outputs = [said, hc(taken, "submit", "exam [\x1b[2J"), hc(taken, "inspect", "exam [\x1b[2J")]
    outputs += [hc(taken, "status"), hc(taken, "status", "last", "--skipped")]
    outputs += [hc(taken, "results"), hc(taken, "results", "\x1b[2J\r\n")]
    for done in outputs:
        assert is_clean(done.stdout), done.args
        assert is_clean(done.stderr), done.args
    for path in images(taken):
        assert visible(Path(path).name) in said.stdout
    for path in taken.glob("exam*/*.txt"):
        assert visible(f"skipped: {path} (text") in said.stderr

    exported = hc(taken, "results", "--format", "csv").stdout
    assert is_clean(exported)
    heading, *rows = csv.reader(io.StringIO(exported))
    assert len(exported.splitlines()) == len(rows) + 1
    assert {len(row) for row in rows} == {len(heading)}
    sources = sorted({row[1] for row in rows})
    assert sources == sorted(map(visible, images(taken)))

    for form in ("json", "jsonl"):
        text = hc(taken, "results", "--format", form).stdout
        assert is_clean(text)
        records = json.loads(text) if form == "json" else list(map(json.loads, text.splitlines()))
        assert sorted({record["source"] for record in records}) == images(taken)
    inspected = hc(taken, "inspect", "exam [\x1b[2J", "--format", "json").stdout
    assert is_clean(inspected)
    assert set(images(taken)) <= {record["source"] for record in json.loads(inspected)}


@pytest.mark.parametrize("form", [log.TEXT, log.JSON])
def test_an_event_is_one_line_of_the_log(capfd: pytest.CaptureFixture[str], form: str) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    drawn = names(3, 200)
    try:
        log.configure("INFO", form)
        for name in drawn:
            logging.getLogger("worker.test").info("took %s", name)
    finally:
        root.handlers[:], root.level = before[0], before[1]
    *lines, last = capfd.readouterr().err.split("\n")
    assert last == ""
    assert all(line.isprintable() for line in lines)
    if form == log.JSON:
        assert [json.loads(line)["event"] for line in lines] == [f"took {name}" for name in drawn]
    else:
        told = [line.partition(" worker.test: took ")[2] for line in lines]
        assert told == [visible(name) for name in drawn]
