"""Options that several commands share; they stack as decorators."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cli.filter_words import SCAN_CODES, Millimetres, StudyUid, Text, Word, asked
from cli.moment import Moment
from hcmodel.flags import Flag
from hcmodel.plane import Plane
from hcmodel.spacing import Spacing
from worker.result import Status


class GivenPath(click.Path):
    """A path that names something: the empty one would be the working directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path. Raises ``BadParameter`` where it is empty."""
        if not str(value).strip():
            self.fail("the path is empty; has a variable no value?", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """A number in a range: nan is in none, and nothing waits for infinite seconds."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number. Raises ``BadParameter``."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is no number", param, ctx)
        return number


class MarkerName(click.ParamType[str]):
    """A file's name, without folders."""

    name = "NAME"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        """Return the name. Raises ``BadParameter`` for what no file is called."""
        text = str(value)
        if "/" in text or text.strip(". ") == "":
            self.fail(f"{text!r} is no file's name", param, ctx)
        return text


class PixelSize(click.ParamType[Spacing]):
    """``MM`` or ``ROW,COLUMN`` in millimetres."""

    name = "MM"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Spacing:
        """Return the size that one number tells for both axes, or two. Raises ``BadParameter``."""
        if isinstance(value, Spacing):
            return value
        # Knows the formats of files: not for those who only ask for rows.
        from worker.reading.sidecar import parse_pixel_size

        parts = str(value).split(",")
        try:
            if len(parts) > 2:
                raise ValueError("more than two numbers")
            return parse_pixel_size(parts[0], parts[-1])
        except ValueError as error:
            self.fail(f"{value!r} is no pixel size: one number of mm, or ROW,COLUMN ({error})")


thorough_option = click.option(
    "--thorough",
    is_flag=True,
    help="Show the network the mirror image too, for twice its time.  [env: HC_THOROUGH]",
)
overlays_option = click.option(
    "--overlays",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write a picture of each row into DIR: the image with what was found, PNG.",
)
scan_code = Word("CODE", SCAN_CODES, "one of docs/codes.md")
_FILTER_OPTIONS = (
    click.argument("batch", required=False),
    click.option("--batch", "named", metavar="BATCH", help="The same as BATCH."),
    click.option(
        "--status",
        "statuses",
        multiple=True,
        type=click.Choice([status.value for status in Status]),
        help="Only this state. This and the next four may be given several times.",
    ),
    click.option("--code", "codes", multiple=True, type=scan_code, help="Only with this code."),
    click.option(
        "--flag",
        "flags",
        multiple=True,
        type=Word("FLAG", tuple(Flag), "one of docs/codes.md"),
        help="Only with this flag.",
    ),
    click.option(
        "--plane",
        "planes",
        multiple=True,
        type=click.Choice([plane.value for plane in Plane]),
        metavar="PLANE",
        help=f"Only with this body part or plane: {', '.join(Plane)}.",
    ),
    click.option(
        "--model",
        "models",
        multiple=True,
        type=Text(),
        metavar="MODEL",
        help="Only by this model: its name, a part of it, or a pattern.",
    ),
    click.option(
        "--since",
        type=Moment(),
        help="Only rows from this time on: 2026-01-31 08:15 (UTC, or with a zone), today, 90m, 2d.",
    ),
    click.option("--until", type=Moment(), help="Only rows before this time."),
    click.option(
        "--path",
        "--source",
        "source",
        type=Text(),
        metavar="PATH",
        help="Only paths with this in them; * and ? are wildcards.",
    ),
    click.option("--study", type=StudyUid(), help="Only this study: its StudyInstanceUID."),
    click.option("--hc-from", "hc_from_mm", type=Millimetres(), help="Only HC from this on."),
    click.option("--hc-to", "hc_to_mm", type=Millimetres(), help="Only HC up to this."),
    click.option(
        "--latest",
        is_flag=True,
        help="Of each file and frame only its newest row, of all batches.",
    ),
)
_FILTERS = (
    *("statuses", "codes", "flags", "planes", "models", "since", "until", "source", "study"),
    *("hc_from_mm", "hc_to_mm", "latest"),
)
"""Fields of ``Filter`` that options tell."""
_METRICS_OPTIONS = (
    click.option(
        "--metrics-port",
        type=click.IntRange(1, 65535),
        metavar="PORT",
        help="Serve metrics for Prometheus at http://HOST:PORT/metrics.",
    ),
    click.option(
        "--metrics-host",
        default="127.0.0.1",
        show_default=True,
        metavar="HOST",
        help="The address that Prometheus reaches; 0.0.0.0 for all of this machine.",
    ),
)
_SIZE_OPTIONS = (
    click.option(
        "--pixel-size",
        type=PixelSize(),
        metavar="MM|ROW,COLUMN",
        help="Size of a pixel in mm, instead of what the files say; stored as 'manual'.",
    ),
    click.option(
        "--pixel-sizes",
        type=click.Path(path_type=Path, exists=True, dir_okay=False),
        metavar="FILE.csv",
        help="Pixel sizes per file: columns filename, pixel size(mm), as HC18 has them.",
    ),
)
_INPUT_OPTIONS = (
    *_SIZE_OPTIONS,
    click.option(
        "--frames",
        default="first",
        show_default=True,
        metavar="first|middle|every:N|all",
        help="Which frames of a cine loop; one row each.",
    ),
    click.option(
        "--recursive/--no-recursive",
        default=True,
        show_default=True,
        help="Also look in folders within folders.",
    ),
    click.option(
        "--any-plane",
        is_flag=True,
        help="Vouch for it: all show a head in a plane to be measured, whatever the gate says.",
    ),
)


def input_options(command: Callable[..., None]) -> Callable[..., None]:
    """Hand pixel sizes, frames, folders and planes to the command as one ``options``."""

    @functools.wraps(command)
    def wrapped(
        pixel_size: Spacing | None,
        pixel_sizes: Path | None,
        frames: str,
        recursive: bool,
        any_plane: bool,
        **others: Any,
    ) -> None:
        from worker.reading import FramePolicy

        try:
            policy = FramePolicy.parse(frames)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--frames") from error
        # Loads SQLAlchemy, for which nobody who asks for help should wait.
        from worker.intake.discover import Options

        command(options=Options(pixel_size, pixel_sizes, policy, recursive, any_plane), **others)

    for option in reversed(_INPUT_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Hand the filters of rows, and BATCH, to the command as one ``which``: see ``Asked``."""

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        batch, named = given.pop("batch"), given.pop("named")
        words = {name: given.pop(name) for name in _FILTERS}
        command(which=asked(batch=batch, named=named, words=words), **given)

    for option in reversed(_FILTER_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def size_options(command: Callable[..., None]) -> Callable[..., None]:
    """Hand the pixel sizes that a person gives to the command as ``sizes``, or None."""

    @functools.wraps(command)
    def wrapped(pixel_size: Spacing | None, pixel_sizes: Path | None, **others: Any) -> None:
        from worker.intake.pixel_sizes import PixelSizes, read_table

        is_given = not (pixel_size is None and pixel_sizes is None)
        table = {} if pixel_sizes is None else read_table(pixel_sizes)
        command(sizes=PixelSizes(pixel_size, table) if is_given else None, **others)

    for option in reversed(_SIZE_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


def metrics_options(command: Callable[..., None]) -> Callable[..., None]:
    """Hand the address at which to serve metrics to the command, as ``metrics``, or None."""

    @functools.wraps(command)
    def wrapped(metrics_host: str, metrics_port: int | None, **others: Any) -> None:
        command(metrics=(metrics_host, metrics_port) if metrics_port else None, **others)

    for option in reversed(_METRICS_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


paths_argument = click.argument(
    "paths", nargs=-1, required=True, type=GivenPath(path_type=Path), metavar="PATH..."
)
