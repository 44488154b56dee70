"""What users, scripts and databases rely on is what contract.txt lists, and nothing else.

Change it on purpose by editing the list: a section for each kind, one fact a line.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli.commands import cli
from worker.queue.celery_app import KEY_PREFIX, QUEUE, TASK

ROOT = Path(__file__).parent.parent
SOURCES = "\n".join(
    path.read_text()
    for package in ("cli", "hcmodel", "worker")
    for path in sorted((ROOT / package).rglob("*.py"))
)
CODES, FLAGS = (ROOT / "docs/codes.md").read_text().split("## Flagged")
SETTINGS = (ROOT / "docs/settings.md").read_text()
SETTING = re.compile(r'"(HC_[A-Z_]+)"')
FIRST_CELL = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)


def recorded() -> dict[str, list[str]]:
    """The list's facts by section."""
    sections: dict[str, list[str]] = {}
    for line in (ROOT / "tests/contract.txt").read_text().splitlines():
        if line.startswith("["):
            facts = sections[line.strip("[]")] = []
        elif line:
            facts.append(line)
    return sections


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An SQLite file, at first empty, which ``hc-batch`` is told to use."""
    for name in [name for name in os.environ if name.startswith("HC_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HC_DATABASE_URL", f"sqlite:///{tmp_path / 'ledger.sqlite3'}")
    monkeypatch.setenv("HC_DATA_DIR", str(tmp_path))
    return tmp_path / "ledger.sqlite3"


def hc_batch(*words: str) -> str:
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def columns() -> list[str]:
    return hc_batch("results", "--format", "csv").strip().split(",")


def codes() -> list[str]:
    return sorted({*FIRST_CELL.findall(CODES), "unexpected"})


def flags() -> list[str]:
    return sorted(FIRST_CELL.findall(FLAGS))


def skips() -> list[str]:
    return sorted(set(re.findall(r'\bSkip\(\s*(?:code=)?"([a-z-]+)"', SOURCES)))


def settings() -> list[str]:
    """Each with its default, as the page tells it."""
    defaults = dict(re.findall(r"^\| `(HC_[A-Z_]+)` \| ([^|]+) \|", SETTINGS, re.MULTILINE))
    return [f"{name} = {defaults[name]}" for name in sorted(set(SETTING.findall(SOURCES)))]


def commands() -> list[str]:
    return sorted(_parameters(cli, "hc-batch"))


def _parameters(command: click.Command, name: str) -> Iterator[str]:
    yield name
    for parameter in command.params:
        yield f"{name} {_spelled(parameter)}"
    if isinstance(command, click.Group):
        context = click.Context(command)
        for child_name in command.list_commands(context):
            child = command.get_command(context, child_name)
            assert child is not None
            yield from _parameters(child, f"{name} {child_name}")


def _spelled(parameter: click.Parameter) -> str:
    words = "/".join([*parameter.opts, *parameter.secondary_opts])
    if isinstance(parameter, click.Argument):
        words = parameter.metavar or words.upper()
    if isinstance(parameter.type, click.Choice):
        words += " " + "|".join(map(str, parameter.type.choices))
    if isinstance(parameter.default, int | float | str) and parameter.default is not False:
        words += f" default {parameter.default}"
    return words


def exit_codes() -> list[str]:
    said = re.search(r"Exit codes: (.*?)\.\n", hc_batch("--help"), re.DOTALL)
    assert said is not None
    return " ".join(said[1].split()).split("; ")


def model() -> list[str]:
    return [hc_batch("model", "verify").strip().removeprefix("ok: ")]


def card() -> list[str]:
    stored = json.loads((ROOT / "hcmodel/weights/hc18.json").read_text())
    parts = {name: part for name, part in stored.items() if name in ("network", "doubt")}
    return [*stored, *(f"{name}.{key}" for name, part in parts.items() for key in part)]


def messages() -> list[str]:
    return [f"keys {KEY_PREFIX}", f"queue {QUEUE}", f"task {TASK}"]


def metrics() -> list[str]:
    return sorted(re.findall(r"^\| `(hc_[^`]+)` \|", (ROOT / "docs/deploy.md").read_text(), re.M))


def tables() -> list[str]:
    hc_batch("db", "upgrade")
    with closing(sqlite3.connect(os.environ["HC_DATABASE_URL"].removeprefix("sqlite:///"))) as db:
        made = db.execute("SELECT type, name, sql FROM sqlite_master WHERE sql != ''").fetchall()
        return sorted(
            fact
            for kind, name, sql in made
            for fact in ([sql] if kind == "index" else _of_table(db, name, sql))
        )


def _of_table(db: sqlite3.Connection, table: str, sql: str) -> Iterator[str]:
    for _, column, kind, not_null, default, _ in db.execute(f"PRAGMA table_info({table})"):
        yield (
            f"{table}.{column} {kind}"
            + (" NOT NULL" if not_null else "")
            + (f" DEFAULT {default}" if default else "")
        )
    for constraint in re.findall(r"^\s*CONSTRAINT (.*?),?\s*$", sql, re.MULTILINE):
        yield f"{table}: {constraint}"


SECTIONS: dict[str, Callable[[], list[str]]] = {
    "columns, in their order": columns,
    "codes": codes,
    "flags": flags,
    "codes of skipped files": skips,
    "settings": settings,
    "commands and options": commands,
    "exit codes": exit_codes,
    "model": model,
    "keys of the model card": card,
    "messages": messages,
    "metrics": metrics,
    "tables": tables,
}


def test_every_section_is_compared() -> None:
    assert list(recorded()) == list(SECTIONS)


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("section", SECTIONS)
def test_nothing_that_others_rely_on_has_changed(section: str) -> None:
    before, now = recorded()[section], SECTIONS[section]()
    added = [fact for fact in now if fact not in before]
    removed = [fact for fact in before if fact not in now]
    assert not added, f"{section}: added {added}; on purpose? add them to tests/contract.txt"
    assert not removed, f"{section}: removed {removed}; on purpose? take them from the list"
    assert now == before, f"{section}: the order has changed"
