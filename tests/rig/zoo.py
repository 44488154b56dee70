"""The zoo: folders drawn from a seed, with some good phantoms among odd things of every kind.

What must become of each is drawn with it. Beside the folders lies a tree that nothing may touch,
though links and sidecars lead there.
"""

from __future__ import annotations

import functools
import io
import json
import os
import random
import stat
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np
from PIL import Image

from hcmodel.geometry import Ellipse
from hcmodel.phantom import draw_phantom
from rig.hostile_names import PIECES
from rig.mutations import mutated
from worker.sample_files import write_series

SECRET = "Geheim^Patient"
"""Stands in tags, texts and sidecars; as long as the name in a sample file."""
GOOD_FILES = 2
ODD_THINGS = 9
_SAMPLE_NAME = b"Phantom^Sample"
_TEMPORARY = (".{}", "{}.part", "{}.tmp", "{}.filepart", "~{}")
_DEEP = 12
"""Folders of 200 letters within each other: more than a row can bear, less than a path may have."""


class Fate(Enum):
    """What must become of a planted thing."""

    MEASURED = "one row, measured or flagged"
    NAMED = "one row or one skip"
    IN_PASSING = "a row, a skip or both: it leads to a file that is moved"
    WAITS = "as NAMED, but a watched folder leaves it alone: temporary names, done/ and failed/"


@dataclass
class Zoo:
    """One folder; ``fates`` by the path of each planted thing, sidecars aside."""

    root: Path
    beside: Path
    random: random.Random
    fates: dict[Path, Fate] = field(default_factory=dict)
    is_barred: bool = False
    """Whether ``done/`` leads out of the root, so that nothing may be moved there."""

    def plant(self, name: str, content: bytes, fate: Fate = Fate.NAMED) -> Path:
        """Write a file; its folder is made."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        self.fates[path] = fate
        return path

    def link(self, name: str, target: str | Path, fate: Fate = Fate.NAMED) -> None:
        """Plant a link."""
        (self.root / name).symlink_to(target)
        self.fates[self.root / name] = fate

    def image(self, suffix: str) -> bytes:
        """Return a good image; never the same twice."""
        tail = self.random.randbytes(4)
        if suffix == ".dcm":
            return _dicoms()[self.random.randrange(len(_dicoms()))][:-4] + tail
        pixels = _pixels()[self.random.randrange(len(_pixels()))].copy()
        pixels[-1, -4:] = list(tail)
        return _with_text(_encoded(pixels, "PNG"))

    def good(self, name: str) -> Path:
        """Plant a good image, and what tells its scale."""
        path = self.plant(name, self.image(Path(name).suffix), Fate.MEASURED)
        if path.suffix == ".png":
            sidecar = {"pixel_size_mm": 0.4, "patient": SECRET}
            path.with_suffix(".json").write_text(json.dumps(sidecar))
        return path

    def name(self) -> str:
        """Return an odd name without a suffix, unlike any before."""
        return "".join(self.random.choices(PIECES, k=4)) + f"{len(self.fates)}"


def beside(folder: Path) -> Path:
    """Make the tree that nothing may touch, with what links lead to."""
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "authorized_keys").write_text(SECRET)
    (folder / "image.dcm").write_bytes(_dicoms()[0])
    (folder / "image.json").write_text(json.dumps({"pixel_size_mm": SECRET}))
    return folder


def tree(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return mode, time of change and content of all that lies in a folder, and of itself."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        status = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
        found[str(path)] = (status.st_mode, status.st_mtime_ns, content)
    return found


def draw(root: Path, beside: Path, seed: str) -> Zoo:
    """Fill a new folder; the same seed draws the same."""
    zoo = Zoo(root, beside, random.Random(seed))
    root.mkdir(parents=True)
    for number in range(GOOD_FILES):
        zoo.good(f"good{number}{zoo.random.choice(('.dcm', '.png'))}")
    for odd in zoo.random.sample(_ODD, ODD_THINGS):
        odd(zoo)
    return zoo


def _odd_name(zoo: Zoo) -> None:
    zoo.good(f"{zoo.name()}.dcm")


def _odd_name_with_sidecar(zoo: Zoo) -> None:
    zoo.good(f"{zoo.name()}.png")


def _odd_folder(zoo: Zoo) -> None:
    zoo.good(f"exam [{zoo.name()}/b]{zoo.name()}.dcm")


def _dash(zoo: Zoo) -> None:
    zoo.good("--out=x.dcm")
    zoo.plant("-rf", SECRET.encode())


def _blanks(zoo: Zoo) -> None:
    zoo.good(" blank.dcm")
    zoo.plant("blank.png ", zoo.image(".png"))
    zoo.plant(" ", zoo.image(".png"))


def _emoji(zoo: Zoo) -> None:
    zoo.good("\U0001f476\u200d\U0001f9d1 Äuß.dcm")


def _long_name(zoo: Zoo) -> None:
    zoo.good(f"{'n' * 250}.dcm")
    zoo.plant(f"{'m' * 250}.png", zoo.image(".png"))
    zoo.plant("k" * 255, zoo.image(".dcm"), Fate.MEASURED)
    zoo.plant("l" * 255, SECRET.encode())


def _not_text(zoo: Zoo) -> None:
    zoo.plant(os.fsdecode(b"caf\xe9\xff.dcm"), zoo.image(".dcm"))
    zoo.plant(os.fsdecode(b"folder\xfe/a.png"), zoo.image(".png"))


def _long_path(zoo: Zoo) -> None:
    zoo.plant("/".join(["d" * 200] * _DEEP + ["a.dcm"]), zoo.image(".dcm"))


def _endless_path(zoo: Zoo) -> None:
    """Longer than any path that the system takes: made and entered step by step."""
    path, depth = zoo.root, 0
    folder = os.open(zoo.root, os.O_RDONLY)
    while len(os.fsencode(path)) < 4096:
        name = f"e{depth}" + "e" * 200
        os.mkdir(name, dir_fd=folder)
        inner = os.open(name, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder, path, depth = inner, path / name, depth + 1
    os.close(folder)
    zoo.fates[path] = Fate.WAITS


_SIDECARS: tuple[bytes, ...] = (
    b"[" * 60_000,
    b'{"a":' * 30_000,
    b'{"pixel_size_mm": ' + b"1" * 400 + b"}",
    b'{"pixel_size_mm": ' + b"1" * 9_000 + b"}",
    b'{"pixel_size_mm": NaN}',
    b'{"pixel_size_mm": -Infinity, "row_mm": [0.2]}',
    b'{"pixelSize_mm": 0.2}',
    b'{"row_mm": 0.2}',
    b"",
    b"0.2",
    b"null",
    b"\0" * 100,
    b" " * 70_000 + b'{"pixel_size_mm": 0.4}',
    b'{"na\xefve": 1, "pixel_size_mm": 0.4}',
    '{"pixel_size_mm": 0.4}'.encode("utf-16"),
    b'{"pixel_size_mm": "%s"}' % SECRET.encode(),
    b'{"%s mm": "\x1b[2J", "row_mm": "\x1b[2J"}' % SECRET.encode(),
    b"%s is no JSON" % SECRET.encode(),
)


def _odd_sidecar(zoo: Zoo) -> None:
    path = zoo.plant(f"sized{len(zoo.fates)}.png", zoo.image(".png"))
    path.with_suffix(".json").write_bytes(zoo.random.choice(_SIDECARS))


def _sidecar_of_dicom(zoo: Zoo) -> None:
    path = zoo.plant(f"sized{len(zoo.fates)}.dcm", zoo.image(".dcm"))
    path.with_suffix(".json").write_bytes(zoo.random.choice(_SIDECARS))


def _special_sidecar(zoo: Zoo) -> None:
    path = zoo.plant(f"special{len(zoo.fates)}.png", zoo.image(".png"))
    sidecar = path.with_suffix(".json")
    targets = (zoo.beside / "image.json", "t" * 300, sidecar.name, "/dev/zero", "/proc/self/mem")
    special: list[Callable[[], None]] = [
        lambda: os.mkfifo(sidecar),
        lambda: os.mknod(sidecar, stat.S_IFSOCK | 0o600),
        *(functools.partial(sidecar.symlink_to, target) for target in targets),
    ]
    zoo.random.choice(special)()


def _folder_as_sidecar(zoo: Zoo) -> None:
    path = zoo.plant(f"beside{len(zoo.fates)}.png", zoo.image(".png"))
    path.with_suffix(".json").mkdir()


def _links(zoo: Zoo) -> None:
    zoo.link("loop.png", "loop.png")
    zoo.link("long.dcm", "t" * 300)
    zoo.link("dangling.png", "nothing.png")


def _links_out(zoo: Zoo) -> None:
    zoo.link("out.dcm", zoo.beside / "image.dcm")
    zoo.link("zero.png", "/dev/zero")
    zoo.link("memory.dcm", "/proc/self/mem")


def _links_to_folders(zoo: Zoo) -> None:
    (zoo.root / "real").mkdir()
    zoo.link("again", "real")
    zoo.link("up", "..")
    zoo.link("keys", zoo.beside / "keys")


def _links_to_images(zoo: Zoo) -> None:
    """One of the two is measured, the other one its duplicate."""
    target = zoo.plant(f"target{len(zoo.fates)}.dcm", zoo.image(".dcm"))
    zoo.link("alias.dcm", target.name, Fate.IN_PASSING)


def _special_files(zoo: Zoo) -> None:
    for name, kind in (("pipe", stat.S_IFIFO), ("socket", stat.S_IFSOCK), ("null", stat.S_IFCHR)):
        path = zoo.root / f"{name}{zoo.random.choice(('.png', '.dcm', '', '.json'))}"
        with suppress(PermissionError):  # devices may be root's alone, or nobody's
            os.mknod(path, kind | 0o600, os.makedev(1, 3))
            zoo.fates[path] = Fate.NAMED


def _wrong_kinds(zoo: Zoo) -> None:
    zoo.plant("empty.dcm", b"")
    zoo.plant("empty", b"")
    zoo.plant("text.dcm", f"{SECRET} \x1b[2J".encode())
    zoo.plant("really.dcm", zoo.image(".png"))
    zoo.plant("really.png", zoo.image(".dcm"), Fate.MEASURED)
    zoo.plant("tiff.jpg", _encoded(_pixels()[0], "TIFF"))


def _other_kinds(zoo: Zoo) -> None:
    zoo.plant("phone.heic", b"\0\0\0\x18ftypheic" + bytes(500))
    zoo.plant("phone.jpg", b"\0\0\0\x18ftypheic" + bytes(500))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as files:
        files.writestr("a.dcm", SECRET)
    zoo.plant("study.zip", archive.getvalue())
    zoo.plant("DICOMDIR", SECRET.encode())
    zoo.plant("notes.json", json.dumps({"pixel_size_mm": SECRET}).encode())
    zoo.plant("._good0.dcm", b"\0\x05\x16\x07" + bytes(100), Fate.WAITS)


def _temporary_names(zoo: Zoo) -> None:
    for form in zoo.random.sample(_TEMPORARY, 2):
        zoo.plant(form.format(f"{len(zoo.fates)}.png"), zoo.image(".png"), Fate.WAITS)


def _cut_short(zoo: Zoo) -> None:
    for suffix in (".dcm", ".png", ""):
        whole = zoo.image(suffix or ".dcm")
        zoo.plant(f"cut{len(zoo.fates)}{suffix}", whole[: zoo.random.randrange(1, len(whole))])


def _huge(zoo: Zoo) -> None:
    os.truncate(zoo.plant("huge.dcm", zoo.image(".dcm")), 5 * 1024**3)


def _mutated(zoo: Zoo) -> None:
    suffix = zoo.random.choice((".dcm", ".png"))
    zoo.plant(f"mutated{len(zoo.fates)}{suffix}", mutated([zoo.image(suffix)], zoo.random))


def _mutated_header(zoo: Zoo) -> None:
    whole = zoo.image(".dcm")
    head = mutated([whole[:1200]], zoo.random)
    zoo.plant(f"header{len(zoo.fates)}.dcm", head + whole[1200:])


def _odd_folders(zoo: Zoo) -> None:
    zoo.good("/".join(["in"] * 40 + ["deep.dcm"]))
    (zoo.root / "nothing" / "here").mkdir(parents=True)
    (zoo.root / "shut").mkdir(mode=0)
    if not os.access(zoo.root / "shut", os.R_OK):
        zoo.fates[zoo.root / "shut"] = Fate.WAITS


def _folders_of_ours(zoo: Zoo) -> None:
    zoo.good(f"exam{len(zoo.fates)}/done/inner.dcm")
    zoo.good(f"exam{len(zoo.fates)}/failed/no-head/inner.png")


def _taken_names(zoo: Zoo) -> None:
    """Where good files are moved to, their names are taken."""
    if not os.path.lexists(zoo.root / "done"):
        zoo.plant("done/good0.dcm", zoo.image(".dcm"), Fate.WAITS)
        zoo.plant("done/good1.png", zoo.image(".png"), Fate.WAITS)


def _way_out(zoo: Zoo) -> None:
    """Folders into which files are moved lead out of the root."""
    (zoo.root / "failed").mkdir()
    for code in ("file-damaged", "spacing-unknown", "sidecar-invalid", "not-an-image"):
        zoo.link(f"failed/{code}", zoo.beside / "keys", Fate.WAITS)
    if not os.path.lexists(zoo.root / "done"):
        zoo.link("done", zoo.beside / "keys", Fate.WAITS)
        zoo.is_barred = True


_ODD: tuple[Callable[[Zoo], None], ...] = (
    _odd_name, _odd_name_with_sidecar, _odd_folder, _dash, _blanks, _emoji, _long_name, _not_text,
    _long_path, _endless_path, _odd_sidecar, _odd_sidecar, _odd_sidecar, _sidecar_of_dicom,
    _special_sidecar, _special_sidecar, _folder_as_sidecar, _links, _links_out, _links_to_folders,
    _links_to_images, _special_files, _wrong_kinds, _other_kinds, _temporary_names, _cut_short,
    _huge, _mutated, _mutated, _mutated_header, _mutated_header, _odd_folders, _folders_of_ours,
    _taken_names, _way_out,
)  # fmt: skip


@functools.cache
def _dicoms() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        contents = [path.read_bytes() for path in write_series(Path(folder), 2, seed=3)]
    return [content.replace(_SAMPLE_NAME, SECRET.encode()) for content in contents]


@functools.cache
def _pixels() -> list[np.ndarray]:
    drawn = []
    for number in range(2):
        rng = np.random.default_rng([2018, number])
        semi_axis_a_px = rng.uniform(75, 100)
        head = Ellipse(160, 128, semi_axis_a_px, 0.78 * semi_axis_a_px, rng.uniform(-0.4, 0.4))
        drawn.append(draw_phantom((256, 320), head, rng))
    return drawn


def _encoded(pixels: np.ndarray, form: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def _with_text(png: bytes) -> bytes:
    """Put the secret into a text chunk behind the header."""
    chunk = b"tEXtTitle\0" + SECRET.encode()
    sized = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:33] + sized + png[33:]
