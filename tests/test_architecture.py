"""The architecture, enforced: layers, doors, and what a quick command may import."""

import ast
import os
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("cli", "hcmodel", "worker")
PAGE = (ROOT / "docs" / "architecture.md").read_text()

NETWORK = {"tensorflow", "keras"}
PIXELS = NETWORK | {"numpy", "cv2", "PIL", "pydicom"}
QUEUE = {"celery", "kombu", "redis"}
QUICK = [
    (["--help"], PIXELS | QUEUE | {"sqlalchemy", "rich"}),
    (["submit", "--help"], PIXELS | QUEUE | {"sqlalchemy"}),
    (["watch", "--help"], PIXELS | QUEUE | {"sqlalchemy"}),
    (["worker", "--help"], PIXELS | QUEUE | {"sqlalchemy"}),
    (["submit", "{empty}"], PIXELS),
    (["status"], PIXELS | QUEUE),
    (["results"], PIXELS | QUEUE),
    (["results", "--format", "csv"], PIXELS | QUEUE),
    (["summary"], PIXELS | QUEUE),
    (["prune", "--older-than", "90d"], PIXELS | QUEUE),
]

PROBE = """
import sys
from cli.main import main
sys.argv = ["hc-batch", *sys.argv[1:]]
try:
    main()
finally:
    print("imported:", *{name.split(".")[0] for name in sys.modules}, file=sys.stderr)
"""


def test_layers_and_doors_hold() -> None:
    command = [Path(sys.executable).parent / "lint-imports"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("arguments", "heavy"), QUICK, ids=lambda each: " ".join(each) if isinstance(each, list) else ""
)
def test_quick_commands_load_no_heavy_library(
    arguments: list[str], heavy: set[str], tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    command = [each.format(empty=empty) for each in arguments]
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *command],
        env=os.environ | {"HC_DATA_DIR": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    nothing_to_measure = str(empty) in command
    assert done.returncode == (2 if nothing_to_measure else 0), done.stderr
    imported = set(done.stderr.partition("imported:")[2].split())
    assert "click" in imported
    assert not imported & heavy


def tracked_files() -> list[Path]:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    return [Path(line) for line in tracked.stdout.splitlines()]


def test_the_top_level_is_as_agreed() -> None:
    allowed = {
        *("pyproject.toml", "worker", "hcmodel", "cli", "migrations", "docker", "tests"),
        *(
            "README.md",
            "Makefile",
            "LICENSE",
            "CHANGELOG.md",
            "CITATION.cff",
            "docs",
            "constraints.txt",
        ),
    }
    top = {path.parts[0] for path in tracked_files()}
    assert {name for name in top if not name.startswith(".")} <= allowed


def test_every_folder_stands_in_the_page() -> None:
    folders = {path.parent.as_posix() for path in tracked_files()} - {".", ".ci"}
    described = set(re.findall(r"^\| `([\w/]+)/` \|", PAGE, re.MULTILINE))
    assert described == folders


def test_every_contract_stands_in_the_page() -> None:
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    for contract in linter["contracts"]:
        assert f"\n| {contract['name']} |" in PAGE


def test_calls_stand_where_the_page_says() -> None:
    steps = re.findall(r"^\|.+\| `([\w.]+)\(.*\)` \| `(.+)` \|$", PAGE, re.MULTILINE)
    assert len(steps) > 10
    for call, path in steps:
        source = (ROOT / path).read_text()
        for name in call.split("."):
            assert re.search(rf"\b(def|class) {name}\b", source), (name, path)


def test_the_picture_shows_these_imports() -> None:
    drawn = runpy.run_path(str(ROOT / "docs" / "picture.py"))["picture"]()
    assert drawn == (ROOT / "docs" / "rooms.svg").read_text(), "draw it anew: make picture"


def test_catch_alls_are_few() -> None:
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    found = [path for path in sources if re.search(r"except (Base)?Exception\b", path.read_text())]
    assert len(found) <= 3, found


def public_functions(parent: ast.Module | ast.ClassDef) -> Iterator[ast.FunctionDef]:
    for node in parent.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            if isinstance(node, ast.FunctionDef):
                yield node
            else:
                yield from public_functions(node)


def raises(function: ast.FunctionDef) -> bool:
    """Whether it raises by itself; what functions within it raise is theirs."""
    ahead: list[ast.AST] = list(function.body)
    while ahead:
        node = ahead.pop()
        if isinstance(node, ast.Raise) and node.exc is not None:
            return True
        if not isinstance(node, ast.FunctionDef | ast.ClassDef):
            ahead += ast.iter_child_nodes(node)
    return False


def test_public_functions_say_what_they_raise() -> None:
    silent = [
        f"{path.relative_to(ROOT)}: {function.name}"
        for package in ("hcmodel", "worker")  # in cli, a docstring is what users read as help
        for path in sorted((ROOT / package).rglob("*.py"))
        for function in public_functions(ast.parse(path.read_text()))
        if raises(function)
        and not re.search("raise|refuse", ast.get_docstring(function) or "", re.IGNORECASE)
    ]
    assert not silent


def test_no_address_and_no_local_path_is_pinned() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9_.\[\]-]+==[A-Za-z0-9_.+-]+", line), line
