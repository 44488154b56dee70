"""The pages say what the program does: commands, codes, flags and skipped tests; in short lines."""

import importlib
import re
from pathlib import Path

import click
import pytest

from cli.commands import COMMANDS, cli
from hcmodel.flags import Flag
from worker.errors import HcBatchError

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
CODES = (ROOT / "docs" / "codes.md").read_text()
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "hcmodel/weights/MODEL_CARD.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
LINK = re.compile(r"\]\(([^):#]+)[^):]*\)")


def subclasses(kind: type[HcBatchError]) -> set[type[HcBatchError]]:
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


def test_every_command_stands_in_the_readme() -> None:
    for name in COMMANDS:
        assert f"`hc-batch {name}" in README, name


def test_every_code_has_its_line() -> None:
    importlib.import_module("worker.measuring.instrument")
    for kind in subclasses(HcBatchError):
        assert f"`{kind.code}`" in CODES, kind.code


def test_every_flag_has_its_line() -> None:
    section = CODES.partition("## Flagged")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `.*\|$", section, re.MULTILINE)
    assert lines == [f"| `{flag}` | {flag.meaning} |" for flag in Flag]


def test_the_readme_stays_short() -> None:
    assert len(README.splitlines()) < 150


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in reached:
            reached.add(page)
            links = [(page.parent / link).resolve() for link in LINK.findall(page.read_text())]
            assert all(link.exists() for link in links), (page, links)
            ahead += [link for link in links if link.suffix == ".md"]
    assert set((ROOT / "docs").glob("*.md")) <= reached


def test_files_that_pages_name_are_there() -> None:
    named = re.compile(r"`((?:cli|docs|hcmodel|migrations|tests|worker)/[\w/.]+)`")
    missing = {
        (page.name, path)
        for page in PAGES
        for path in named.findall(page.read_text())
        if not (ROOT / path).exists()
    }
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_prose_wraps_at_100_columns(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [line for line in prose.splitlines() if not line.startswith(("|", "    "))]
    assert [line for line in lines if len(line) > 100] == []


def test_the_readme_tells_which_tests_need_data() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    variables = set(re.findall(r'environ(?:\.get\(|\[)"([A-Z0-9_]+_DIR)"', sources))
    assert variables
    for variable in variables:
        assert f"`{variable}`" in README, variable


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
