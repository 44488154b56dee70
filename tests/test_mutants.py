"""The table of the rooms that decide: its files are there, and every mutant can be made."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mutants.changes import mutants_of
from mutants.overlay import function_at
from mutants.rooms import ROOMS, Room

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_names_files_that_are_there(room: Room) -> None:
    assert room.sources
    assert room.tests
    for path in (*room.paths, *room.test_paths):
        assert (ROOT / path).is_file(), path


def test_a_source_is_in_one_room() -> None:
    sources = [path for room in ROOMS for path in room.paths]
    assert len(sources) == len(set(sources))
    assert len({room.name for room in ROOMS}) == len(ROOMS)


SOURCE = '''
"""Words."""
LIMIT = 4.0


def is_large(rows: int, columns: int) -> bool:
    """Return whether it is."""
    logger.info("words %d", 7)
    if rows < 0:
        raise ValueError(f"{rows} rows")
    return max(rows, columns) >= LIMIT and not small(rows, way="near")


def tall(values: list[int]) -> list[int]:
    return [value for value in values if value > 1]
'''


def test_mistakes_are_small_and_words_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "made.py").write_text(SOURCE)
    mutants = mutants_of(tmp_path, "made.py")
    found = {(mutant.first_line, mutant.before, mutant.after) for mutant in mutants}
    last = 'return max(rows, columns) >= LIMIT and not small(rows, way="near")'
    assert {after for _, before, after in found if before == last} == {
        'return min(rows, columns) >= LIMIT and not small(rows, way="near")',
        'return max(columns, columns) >= LIMIT and not small(rows, way="near")',
        'return max(rows, rows) >= LIMIT and not small(rows, way="near")',
        'return max(columns) >= LIMIT and not small(rows, way="near")',
        'return max(rows, ) >= LIMIT and not small(rows, way="near")',
        'return max(rows, columns) > LIMIT and not small(rows, way="near")',
        'return max(rows, columns) >= LIMIT or not small(rows, way="near")',
        'return max(rows, columns) >= LIMIT and small(rows, way="near")',
        'return max(rows, columns) >= LIMIT and not small(columns, way="near")',
        "return max(rows, columns) >= LIMIT and not small(rows, )",
        'return max(rows, columns) >= LIMIT and not small(rows, way="XXnearXX")',
    }
    assert (3, "LIMIT = 4.0", "LIMIT = 4.4") in found
    assert (3, "LIMIT = 4.0", "LIMIT = 3.6") in found
    assert (9, "if rows < 0:", "if False:") in found
    assert (10, 'raise ValueError(f"{rows} rows")', "pass") in found
    assert not any("words" in after.lower() for _, _, after in found)
    assert (
        15,
        "return [value for value in values if value > 1]",
        "return [value for value in values]",
    ) in found
    for mutant in mutants:
        ast.parse(mutant.source)
    assert len({mutant.key for mutant in mutants}) == len(mutants)


def test_where_a_mistake_is() -> None:
    lines = ["LIMIT = 1", "class Box:", "    side = 2", "    @property"]
    source = "\n".join([*lines, "    def area(self) -> int:", "        return 3"])
    assert [function_at(source, line) for line in (1, 3, 4, 6)] == [None, None, None, "Box.area"]
