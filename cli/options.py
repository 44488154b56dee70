"""Options that several commands share; they stack as decorators."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hcmodel.spacing import Spacing
from worker.reading import FramePolicy
from worker.reading.sidecar import parse_pixel_size


class GivenPath(click.Path):
    """A path that names something: the empty one would be the working directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path. Raises ``BadParameter`` where it is empty."""
        if not str(value).strip():
            self.fail("the path is empty; has a variable no value?", param, ctx)
        return super().convert(value, param, ctx)


class PixelSize(click.ParamType[Spacing]):
    """``MM`` or ``ROW,COLUMN`` in millimetres."""

    name = "MM"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Spacing:
        """Return the size that one number tells for both axes, or two. Raises ``BadParameter``."""
        if isinstance(value, Spacing):
            return value
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
_INPUT_OPTIONS = (
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
