"""docs/reading.md keeps up with the code."""

from __future__ import annotations

import inspect
from pathlib import Path

from pydicom.uid import UID

from hcmodel.flags import Flag
from worker import errors
from worker.reading import limits, spacing
from worker.reading.codecs import _CODECS, _REFUSED

DOCS = (Path(__file__).parents[3] / "docs/reading.md").read_text()
NOT_ABOUT_READING = {errors.ScanRejected, errors.ScanFailed, errors.NoHead}


def subclasses(base: type) -> set[type]:
    return {base}.union(*(subclasses(kind) for kind in base.__subclasses__()))


def test_every_refusal_of_this_room_is_explained():
    raised = "".join(
        Path(str(path)).read_text() for path in Path(inspect.getfile(spacing)).parent.glob("*.py")
    )
    kinds = subclasses(errors.ScanRejected) | subclasses(errors.ScanFailed)
    mine = {kind for kind in kinds - NOT_ABOUT_READING if kind.__name__ in raised}
    assert len(mine) > 20
    for kind in mine:
        assert f"`{kind.code}`" in DOCS


def test_every_flag_is_explained():
    for flag in (
        Flag.SPACING_IMPLAUSIBLE,
        Flag.REGION_HEIGHT_IMPLAUSIBLE,
        Flag.PIXEL_ASPECT_DIFFERS,
    ):
        assert f"`{flag}`" in DOCS


def test_every_decoder_and_refused_syntax_is_listed():
    for name in {codec.name for codec in _CODECS.values()} | set(_REFUSED.values()):
        assert name in DOCS
    assert all(UID(syntax).is_transfer_syntax for syntax in _CODECS)


def test_limits_are_the_documented_ones():
    assert limits.MAX_FILE_BYTES == 4 * 1024**3
    assert limits.MAX_INFLATED_BYTES == 256 * 1024**2
    for number in (limits.MAX_SIDE_PX, limits.MAX_FRAMES, limits.MAX_ELEMENTS):
        assert f"{number:,}" in DOCS
    assert limits.MAX_PIXELS == 4096 * 4096
    assert f"{limits.MAX_DEPTH} levels" in DOCS
