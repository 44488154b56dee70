"""The architecture, enforced: layers, doors, and what a quick command may import."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("cli", "hcmodel", "worker")

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
    assert done.returncode == 0, done.stderr
    imported = set(done.stderr.partition("imported:")[2].split())
    assert "click" in imported
    assert not imported & heavy


def test_the_top_level_is_as_agreed() -> None:
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if tracked.returncode != 0:
        pytest.skip("not a git checkout")
    allowed = {
        *("pyproject.toml", "worker", "hcmodel", "cli", "migrations", "docker", "tests"),
        *("README.md", "Makefile", "LICENSE", "CHANGELOG.md", "docs", "constraints.txt"),
    }
    top = {line.split("/")[0] for line in tracked.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= allowed


def test_catch_alls_are_few() -> None:
    sources = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    found = [path for path in sources if re.search(r"except (Base)?Exception\b", path.read_text())]
    assert len(found) <= 3, found


def test_no_address_and_no_local_path_is_pinned() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9_.\[\]-]+==[A-Za-z0-9_.+-]+", line), line
