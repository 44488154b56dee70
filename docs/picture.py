"""Draw the rooms and who imports whom, from the imports themselves: ``make picture``.

A folder is a box; the files beside it, layer by layer as pyproject.toml has them, share one. An
arrow points at what is imported. One that follows from others is left out: where a box imports
another by way of a third, the two arrows on that way stand for the third.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from textwrap import wrap

import grimp

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "rooms.svg"
PACKAGES = ("cli", "worker", "hcmodel", "migrations")

BOX_WIDTH, LINE_HEIGHT, PADDING = 210, 17, 9  # in px, as all below
COLUMN, GAP, MARGIN = 250, 46, 20
LINE_LETTERS = 34
FILLS = {"cli": "#fdf1d8", "worker": "#e3eefb", "hcmodel": "#e4f4e4", "migrations": "#f0ebf7"}


@dataclass(frozen=True)
class Room:
    """A box: its lines, the first of which is its name, and the modules in it."""

    lines: tuple[str, ...]
    modules: tuple[str, ...]

    @property
    def package(self) -> str:
        """The package whose colour it has."""
        return self.modules[0].split(".")[0]

    @property
    def height(self) -> int:
        """In px."""
        return 2 * PADDING + LINE_HEIGHT * len(self.lines)


@dataclass(frozen=True)
class Box:
    """A room in its place; x is its middle, y its upper edge, in px."""

    room: Room
    x: int
    y: int


def layers(package: str) -> list[list[str]]:
    """Return the layers of a package's contract in pyproject.toml, each with its modules' names."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (mine,) = (c for c in contracts["contracts"] if c.get("containers") == [package])
    return [[name.strip() for name in layer.split("|")] for layer in mine["layers"]]


def rows(package: str) -> list[list[Room]]:
    """Return a package's rooms, the highest layer first; layers of files alone share a box."""
    ranked: list[list[Room]] = []
    together: list[list[str]] = []
    for layer in layers(package):
        folders = [name for name in layer if (ROOT / package / name).is_dir()]
        files = [name for name in layer if name not in folders]
        if folders:
            ranked += [[_files(package, together)]] if together else []
            together = []
            beside = [_files(package, [files])] if files else []
            ranked.append([*(_folder(f"{package}.{name}") for name in folders), *beside])
        else:
            together.append(files)
    return [*ranked, [_files(package, together)]] if together else ranked


def _folder(module: str) -> Room:
    return Room((module.replace(".", "/"),), (module,))


def _files(package: str, by_layer: Iterable[Iterable[str]]) -> Room:
    lines = [line for layer in by_layer for line in wrap(", ".join(layer), LINE_LETTERS)]
    modules = tuple(f"{package}.{name}" for layer in by_layer for name in layer)
    return Room((f"{package}/*.py", *lines), modules)


def imports(rooms: list[Room]) -> dict[Room, set[Room]]:
    """Return whom each room imports, without what follows from others."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    room_of: dict[str, Room] = {}
    # A folder within a room of files is a room of its own: the longer name wins.
    named = sorted(((m, r) for r in rooms for m in r.modules), key=lambda pair: len(pair[0]))
    for name, room in named:
        room_of |= {m: room for m in graph.modules if m == name or m.startswith(f"{name}.")}
    direct: dict[Room, set[Room]] = {room: set() for room in rooms}
    for module, room in room_of.items():
        for imported in graph.find_modules_directly_imported_by(module):
            if room_of.get(imported, room) is not room:
                direct[room].add(room_of[imported])
    reached: dict[Room, set[Room]] = {}
    for room in TopologicalSorter(direct).static_order():
        reached[room] = direct[room].union(*(reached[other] for other in direct[room]))
    return {
        room: {to for to in others if not any(to in reached[by] for by in others - {to})}
        for room, others in direct.items()
    }


def placed() -> tuple[list[list[Box]], list[list[Box]]]:
    """Return the rows of boxes: people and the worker on the left, hcmodel on the right."""
    left = [[_folder("cli.model")], [Room(("cli/*.py",), ("cli",))], *rows("worker")]
    above_store = next(n for n, row in enumerate(left) if _folder("worker.store") in row) - 1
    left[above_store].append(_folder("migrations"))
    on_the_left, y = [], MARGIN
    for row in left:
        on_the_left.append([Box(room, _x(n, len(row)), y) for n, room in enumerate(row)])
        y += max(room.height for room in row) + GAP
    on_the_right = []
    for row in reversed(rows("hcmodel")):
        y -= max(room.height for room in row) + GAP
        on_the_right.append([Box(room, _x(n, 1) + 2 * COLUMN, y) for n, room in enumerate(row)])
    return on_the_left, on_the_right[::-1]


def _x(column: int, of: int) -> int:
    return MARGIN + BOX_WIDTH // 2 + COLUMN * (3 - of) // 2 + COLUMN * column


def picture() -> str:
    """Return the picture as SVG, the same for the same imports."""
    left, right = placed()
    boxes = [box for row in (*left, *right) for box in row]
    box_of = {box.room: box for box in boxes}
    arrows = [
        _across(box_of[room], box_of[to])
        if room.package == "worker" and to.package == "hcmodel"
        else _down(box_of[room], box_of[to], right if room.package == "hcmodel" else left)
        for room, others in imports(list(box_of)).items()
        for to in sorted(others, key=lambda other: other.modules)
    ]
    width = max(box.x for box in boxes) + BOX_WIDTH // 2 + MARGIN
    height = max(box.y + box.room.height for box in boxes) + MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            ' font-family="sans-serif" font-size="12.5" text-anchor="middle">',
            "<title>The rooms of hc-batch, and who imports whom</title>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8"'
            ' markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#777"/></marker></defs>',
            '<rect width="100%" height="100%" fill="white"/>',
            *arrows,
            *map(_drawn, boxes),
            "</svg>\n",
        ]
    )


def _across(box: Box, to: Box) -> str:
    """Draw an arrow to the column on the right."""
    start, end = box.y + box.room.height // 2, to.y + to.room.height // 2
    left, right = box.x + BOX_WIDTH // 2, to.x - BOX_WIDTH // 2
    middle = (left + right) // 2
    return _path(f"M{left} {start}C{middle} {start} {middle} {end} {right} {end}")


def _down(box: Box, to: Box, grid: list[list[Box]]) -> str:
    """Draw an arrow to a row below, through the gaps of the rows between."""
    x, y = box.x, box.y + box.room.height
    curve = f"M{x} {y}"
    for row in grid:
        top, bottom = row[0].y, max(other.y + other.room.height for other in row)
        if y <= top < to.y:
            straight = x + (to.x - x) * (top - y) // (to.y - y)
            lane = min(_lanes(row), key=lambda gap: abs(gap - straight))
            curve += f"{_bend(x, y, lane, top)}V{bottom}"
            x, y = lane, bottom
    return _path(curve + _bend(x, y, to.x, to.y))


def _lanes(row: list[Box]) -> list[int]:
    return [row[0].x - COLUMN // 2, *(box.x + COLUMN // 2 for box in row)]


def _bend(x: int, y: int, to_x: int, to_y: int) -> str:
    middle = (y + to_y) // 2
    return f"C{x} {middle} {to_x} {middle} {to_x} {to_y}"


def _path(curve: str) -> str:
    return f'<path d="{curve}" fill="none" stroke="#777" marker-end="url(#tip)"/>'


def _drawn(box: Box) -> str:
    room = box.room
    weights = ["bold", *["normal"] * (len(room.lines) - 1)]
    text = "".join(
        f'<text x="{box.x}" y="{box.y + PADDING + LINE_HEIGHT * (number + 1) - 4}"'
        f' font-weight="{weight}">{line}</text>'
        for number, (weight, line) in enumerate(zip(weights, room.lines, strict=True))
    )
    return (
        f'<rect x="{box.x - BOX_WIDTH // 2}" y="{box.y}" width="{BOX_WIDTH}"'
        f' height="{room.height}" rx="6" fill="{FILLS[room.package]}" stroke="#555"/>{text}'
    )


if __name__ == "__main__":
    PICTURE.write_text(picture())
