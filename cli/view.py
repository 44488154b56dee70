"""``hc-batch view``: measures files and draws what was found."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.console import stderr, stdout
from cli.exit_codes import EXIT_SOME_REFUSED
from cli.options import input_options, paths_argument
from worker.errors import NothingToMeasure
from worker.intake.discover import Options
from worker.result import NOTICE
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.view import Viewed


@click.command()
@paths_argument
@input_options
@click.option(
    "--out",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The folder for the pictures.  [default: views in HC_DATA_DIR]",
)
@click.option(
    "--open/--no-open",
    "opens",
    default=True,
    show_default=True,
    help="Open what was drawn, where there is a display and a terminal.",
)
def command(paths: tuple[Path, ...], options: Options, folder: Path | None, opens: bool) -> None:
    """Measure files and draw what was found: ellipse, calipers, scale bar, HC with its interval.

    Stores nothing but the pictures, PNG, and prints their paths. They show patients' images. Where
    there is no HC, the picture says why. Research use only, not a medical device.

    Example: hc-batch view scan.dcm
    """
    from worker.view import Viewed, view

    settings = Settings.from_environment()
    target = folder or settings.data_dir / "views"
    drawn: list[Path] = []
    seen = refused = 0
    for each in view(settings, paths, options, target):
        if not isinstance(each, Viewed):
            stderr.print(f"skipped: {each.source} ({each.code}: {each.reason})")
            continue
        seen += 1
        refused += each.result.sizes.hc_mm is None
        stderr.print(_line(each))
        if each.path is not None:
            stdout.print(f"{each.path}", soft_wrap=True)
            drawn.append(each.path)
    if not seen:
        raise NothingToMeasure(", ".join(map(str, paths)))
    stderr.print(f"{len(drawn)} pictures in {target}; {NOTICE}")
    if opens and drawn and _has_display():
        click.launch(str(drawn[0] if len(drawn) == 1 else target))
    if refused:
        sys.exit(EXIT_SOME_REFUSED)


def _line(viewed: Viewed) -> str:
    """Return what came out, in a line."""
    result = viewed.result
    name = viewed.source if not viewed.frame else f"{viewed.source}, frame {viewed.frame}"
    sizes = result.sizes
    if sizes.hc_mm is None:
        return f"{name}: {result.status}, {result.code}: {result.message}"
    interval = ""
    if sizes.hc_low_mm is not None:
        interval = f", 90 % interval {sizes.hc_low_mm:.1f} to {sizes.hc_high_mm:.1f} mm"
    flags = " ".join(result.ellipse.flags)
    return f"{name}: HC {sizes.hc_mm:.1f} mm{interval}, {result.status} {flags}".rstrip()


def _has_display() -> bool:
    """Return whether somebody sits before a screen on which a window can open."""
    if not sys.stdout.isatty():
        return False
    return sys.platform == "darwin" or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
