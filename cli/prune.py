"""``hc-batch prune``: what ended long ago goes."""

from __future__ import annotations

import re
from datetime import timedelta

import click

from cli.console import stdout
from cli.removal import file_is_there, tell, yes_option
from worker.settings import Settings
from worker.store.batches import watched_folders
from worker.store.removal import prune
from worker.store.session import open_database

_AGE = re.compile(r"(\d{1,5})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


class Age(click.ParamType[timedelta]):
    """``90d``, ``12h`` or ``26w``."""

    name = "AGE"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return the age. Raises ``BadParameter`` where it is none."""
        age = _AGE.fullmatch(str(value).strip())
        if age is None:
            self.fail(f"{value!r} is no age: 90d, 26w or 12h", param, ctx)
        return timedelta(**{_UNITS[age[2]]: int(age[1])})


@click.command()
@click.option("--older-than", type=Age(), required=True, help="What ended longer ago: 90d, 26w.")
@yes_option
def command(older_than: timedelta, yes: bool) -> None:
    """Remove rows that ended long ago, with history and reviews, and files in done/ folders.

    Tells what would go; with --yes it goes. done/ is where watch --after move puts what has ended:
    files there that neither changed nor moved for so long go too, those in failed/ stay. Scans that
    later ones repeat stay, and so do those whose file still lies in a watched folder.

    Example: hc-batch prune --older-than 90d
    """
    from worker.watching.old_files import prune_done

    settings = Settings.from_environment()
    age_s = older_than.total_seconds()
    with open_database(settings) as database:
        is_there = file_is_there(settings.data_roots)
        for folder in watched_folders(database):
            aged = prune_done(folder, age_s, really=yes)
            if aged.problem is not None:
                stdout.print(f"not all of {aged.folder} could be looked at: {aged.problem}")
            if aged.files:
                word = "removed" if yes else "would remove"
                size = f"{aged.size_bytes / 1e6:,.1f} MB"
                stdout.print(f"{word}: {aged.files} files, {size}, in {aged.folder}")
        tell(prune(database, age_s, is_there, really=yes), really=yes)
