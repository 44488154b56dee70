"""Paths to scans, without a ledger: in which order, under which names, with whose pixel size."""

from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from hcmodel.spacing import Spacing
from worker.errors import PathMissing, PathOutsideRoots
from worker.intake import discover as room
from worker.intake.discover import MAX_SOURCE_BYTES, Options, Request, is_storable
from worker.intake.pixel_sizes import PixelSizes, read_table
from worker.reading import FramePolicy
from worker.reading.formats import STRUCTURED_REPORT
from worker.roots import Roots
from worker.store.batches import NewScan, NewSkip

PNG = b"\x89PNG\r\n\x1a\n"


def put(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PNG)


def told(request: Request, top: Path) -> list[str]:
    """Scans by their paths below the top, skips with their codes before them."""
    return [
        ("" if isinstance(each, NewScan) else f"{each.code}:") + each.source.removeprefix(f"{top}/")
        for each in request.discover()
    ]


def test_a_folders_files_come_before_its_folders_by_name(tmp_path: Path) -> None:
    for name in ("z.png", "b/2.png", "b/1.png", "b/a/3.png", "a/4.png", "c/5.png"):
        put(tmp_path / name)
    (tmp_path / "a" / "notes.txt").write_text("words")
    below = ["z.png", "a/4.png", "text:a/notes.txt", "b/1.png", "b/2.png", "b/a/3.png", "c/5.png"]
    assert told(Request.of([tmp_path], Options()), tmp_path) == below
    flat = ["z.png", "folder:a", "folder:b", "folder:c"]
    assert told(Request.of([tmp_path], Options(recursive=False)), tmp_path) == flat
    named = Request.of([tmp_path / "c", tmp_path / "z.png", tmp_path / "a/notes.txt"], Options())
    assert told(named, tmp_path) == ["c/5.png", "z.png", "a/notes.txt"]


def test_each_scan_has_what_a_person_said(tmp_path: Path) -> None:
    put(tmp_path / "a.png")
    size = Spacing(0.1, 0.2)
    options = Options(pixel_size=size, any_plane=True)
    source = str(tmp_path / "a.png")
    assert list(Request.of([tmp_path], options).discover()) == [
        NewScan(source, 0, size, "", any_plane=True)
    ]
    request = Request.of([tmp_path], Options())
    assert list(request.discover()) == [NewScan(source, 0, None, "", any_plane=False)]
    assert list(request.look_at(tmp_path / "a.png", "7:9")) == [NewScan(source, version="7:9")]


def test_a_folder_that_cannot_be_listed_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "a" / "1.png", tmp_path / "b" / "2.png")
    real = os.scandir

    def scandir(path: Path) -> object:
        if path.name == "a":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    skip, scan = Request.of([tmp_path], Options()).discover()
    assert skip == NewSkip(str(tmp_path / "a"), "folder-unreadable", "Permission denied")
    assert scan == NewScan(str(tmp_path / "b" / "2.png"))


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("words alone"), "OSError"),
        (ValueError("embedded null byte"), "ValueError"),
        (PathMissing("/x"), "PathMissing"),
    ],
)
def test_a_file_that_cannot_be_looked_at_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    def classify(_: Path) -> None:
        raise error

    monkeypatch.setattr(room, "classify", classify)
    put(tmp_path / "a.png")
    (skip,) = Request.of([tmp_path], Options()).discover()
    assert skip == NewSkip(
        str(tmp_path / "a.png"), "file-unreadable", f"a file that cannot be looked at: {why}"
    )


def test_a_report_that_a_person_names_is_no_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "report.dcm")
    monkeypatch.setattr(room, "classify", lambda _: STRUCTURED_REPORT)
    (skip,) = Request.of([tmp_path / "report.dcm"], Options()).discover()
    told = (STRUCTURED_REPORT.code, STRUCTURED_REPORT.reason)
    assert skip == NewSkip(str(tmp_path / "report.dcm"), *told)


def test_what_leads_out_of_the_roots_is_not_opened(tmp_path: Path) -> None:
    top, outside = tmp_path / "scans", tmp_path / "outside"
    put(top / "exam" / "a.png", outside / "b.png")
    (top / "out.png").symlink_to(outside / "b.png")
    (top / "report.txt").symlink_to(outside / "notes.txt")
    (outside / "notes.txt").write_text("words")
    (top / "folder").symlink_to(top / "exam")
    roots = Roots({"SCANS": top})
    options = Options(pixel_size=Spacing(0.1, 0.1), any_plane=True)
    request = Request.of([top], options, roots)
    link, out, report, scan = request.discover()
    assert link == NewSkip(
        str(top / "folder"), "folder-link", "a link to a folder; name it to have it entered"
    )
    assert out == NewScan("SCANS:out.png")
    assert report == NewScan("SCANS:report.txt")
    assert scan == NewScan("SCANS:exam/a.png", 0, Spacing(0.1, 0.1), "", any_plane=True)
    assert list(request.look_at(top / "out.png", "7:9")) == [
        NewScan("SCANS:out.png", version="7:9")
    ]
    named = Request.of([top / "report.txt"], Options(), roots)
    assert list(named.discover()) == [NewScan("SCANS:report.txt")]
    with pytest.raises(PathOutsideRoots):
        Request.of([outside], Options(), roots)
    with pytest.raises(PathMissing, match="nowhere"):
        Request.of([top, top / "nowhere"], Options(), roots)


def test_a_request_is_the_same_for_the_same_paths_and_options() -> None:
    """The first two keys are those of earlier versions: ledgers hold them."""
    paths = (Path("/b"), Path("/a"))
    sizes = PixelSizes(Spacing(0.1, 0.2), {"z.png": Spacing(0.3, 0.4), "a.png": Spacing(0.5, 0.6)})
    plain = Request(paths, FramePolicy("first"), True, PixelSizes(), Roots())
    full = Request(paths, FramePolicy("every", 3), False, sizes, Roots())
    assert (plain.key, full.key) == (PLAIN_KEY, FULL_KEY)
    assert replace(full, any_plane=True).key == VOUCHED_KEY
    assert replace(plain, paths=paths[::-1]).key == plain.key
    swapped = PixelSizes(sizes.for_all, dict(reversed(list(sizes.by_name.items()))))
    assert replace(full, sizes=swapped).key == full.key
    others = [
        replace(plain, paths=paths[:1]),
        replace(plain, frames=FramePolicy("all")),
        replace(plain, recursive=False),
        replace(plain, any_plane=True),
        replace(plain, sizes=PixelSizes(Spacing(0.1, 0.2))),
        replace(plain, sizes=PixelSizes(Spacing(0.2, 0.1))),
        replace(plain, sizes=PixelSizes(None, {"a.png": Spacing(0.1, 0.2)})),
        replace(plain, sizes=PixelSizes(None, {"b.png": Spacing(0.1, 0.2)})),
        replace(plain, sizes=PixelSizes(None, {"a.png": Spacing(0.2, 0.1)})),
    ]
    assert len({plain.key, *(other.key for other in others)}) == 1 + len(others)


PLAIN_KEY = "46673f08b7a844bac5201f4e9783839ae6812c30f082366d5108d72a53e8ccdb"
VOUCHED_KEY = "6e8f499374f48f9385c1c155cf663bb5e615e7c9b85706c82414da1f0465c5d0"
FULL_KEY = "b6b0f79afec9a623dc937a83b63613c52742d23a09cebe7efe04ba1bd5d6c8fb"


def test_a_request_is_called_by_its_paths() -> None:
    request = Request((Path("/b"), Path("/\udcff")), room.FIRST, True, PixelSizes(), Roots())
    assert request.label == "/b, /\\udcff"


def test_which_names_a_row_can_bear() -> None:
    assert MAX_SOURCE_BYTES == 2000
    assert is_storable("x" * 2000)
    assert not is_storable("x" * 2001)
    assert is_storable("ä" * 1000)
    assert not is_storable("ä" * 1001)
    assert not is_storable("\udcff")


def test_a_name_that_no_row_can_bear_is_skipped_by_name() -> None:
    short = room._unstorable(Path("/" + "x" * 1998 + "\udcff"))
    assert short.code == "name-not-text"
    long = room._unstorable(Path("/" + "x" * 1999 + "\udcff"))
    assert long.code == "name-too-long"
    name = "/" + "a" * 1000 + "b" * 1000
    skip = room._skip(Path(name), "code", "words")
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    told = f"/{'a' * 199}...{digest}...{'b' * 200}"
    assert skip == NewSkip(told, "code", "words")
    assert room._skip(Path(name[:-1]), "code", "words").source == name[:-1]


def test_whose_pixel_size_counts(caplog: pytest.LogCaptureFixture) -> None:
    for_all, one, end = Spacing(0.1, 0.1), Spacing(0.2, 0.2), Spacing(0.3, 0.3)
    sizes = PixelSizes(for_all, {"a.png": one, "exam/a.png": end, "b.png": one})
    assert sizes.of(Path("/x/a.png")) == one
    sizes.tell_unused()
    assert "1 of 3 names are files here" in caplog.text
    assert sizes.of(Path("/x/exam/a.png")) == end
    assert sizes.of(Path("/x/c.png")) == for_all
    assert sizes.of_stored("ROOT:exam/a.png") == end
    assert sizes.of_stored("/y/b.png") == one
    assert sizes.used == {"a.png", "exam/a.png", "b.png"}
    caplog.clear()
    sizes.tell_unused()
    PixelSizes(for_all).tell_unused()
    assert caplog.records == []
    assert PixelSizes().of(Path("/x/a.png")) is None


@pytest.mark.parametrize("heading", ["pixel size(mm)", "pixel size (mm)", "pixel_size_mm"])
def test_headings_of_a_table(tmp_path: Path, heading: str) -> None:
    (tmp_path / "sizes.csv").write_text(f"filename,{heading}\na.png,0.2\na.png,0.2\n")
    assert read_table(tmp_path / "sizes.csv") == {"a.png": Spacing(0.2, 0.2)}
