"""The README and docs/codes.md say what the program does: every command, setting and code."""

import importlib
import re
from pathlib import Path

import click

from cli.main import COMMANDS, cli
from hcmodel.flags import Flag
from worker.errors import HcBatchError
from worker.store.rows import COLUMNS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CODES = (ROOT / "docs" / "codes.md").read_text()


def subclasses(kind: type) -> set[type]:
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def test_every_command_stands_in_the_readme() -> None:
    for name in COMMANDS:
        assert f"`hc-batch {name}" in README, name


def test_every_setting_stands_in_the_readme() -> None:
    source = (ROOT / "worker" / "settings.py").read_text()
    for variable in sorted(set(re.findall(r"\bHC_[A-Z_]+[A-Z]\b", source))):
        assert f"`{variable}`" in README, variable


def test_every_code_has_its_line() -> None:
    importlib.import_module("worker.measuring.instrument")
    for kind in subclasses(HcBatchError):
        assert f"`{kind.code}`" in CODES, kind.code


def test_every_flag_has_its_line() -> None:
    section = CODES.partition("## Flagged")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `.*\|$", section, re.MULTILINE)
    assert lines == [f"| `{flag}` | {flag.meaning} |" for flag in Flag]


def test_the_first_columns_are_the_published_ones() -> None:
    published = re.search(r"`(batch, source, frame.*?)`", README, re.DOTALL)
    assert published is not None
    names = re.split(r",\s*", published[1])
    assert tuple(names) == COLUMNS[: len(names)]
    assert len(names) == 27


def test_every_command_has_help_with_an_example() -> None:
    def walk(command: click.Command, name: str) -> None:
        assert command.help, name
        if isinstance(command, click.Group):
            context = click.Context(command)
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                assert found is not None
                walk(found, f"{name} {child}")
        if command is not cli:
            assert "Example: hc-batch" in command.help or "Example: HC_" in command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help or parameter.show_default, (name, parameter.name)

    walk(cli, "hc-batch")


def test_error_messages_have_cause_and_remedy() -> None:
    for kind in subclasses(HcBatchError):
        if kind is not HcBatchError:
            cause, blank, remedy = (kind.__doc__ or "").partition("\n\n")
            assert cause.strip(), kind
            assert blank, kind
            assert remedy.strip(), kind
