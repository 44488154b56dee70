"""``hc-batch summary``: rows summed by batch, day, code, machine, model or plane."""

from __future__ import annotations

from pathlib import Path

import click

from cli.agreement import show_agreement
from cli.console import stderr, stdout
from cli.exam_tables import ExamTables, table_options
from cli.filter_words import Asked
from cli.options import filter_options
from cli.table import TableColumn, TextTable, lay_out, number
from worker.reports.extract import extract_of
from worker.reports.forms import FORMS, write
from worker.reports.output_file import replacing_bytes
from worker.result import NOTICE
from worker.settings import Settings
from worker.store.groups import Group, GroupBy, groups
from worker.store.session import open_database

_COUNTS = ("scans", "measured", "flagged", "rejected", "failed", "duplicate", "waiting")


@click.command()
@filter_options
@click.option(
    "--by",
    type=click.Choice([each.value for each in GroupBy]),
    default=GroupBy.BATCH.value,
    show_default=True,
    help="What the rows of a line have in common; a day is that of the result, in UTC.",
)
@click.option(
    "--out",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write to this file instead: .csv, .json, .jsonl, .parquet or .xlsx.",
)
@table_options
def command(which: Asked, by: str, target: Path | None, tables: ExamTables) -> None:
    """Sum rows: counts by status, median HC, and how many are flagged or refused.

    The filters are those of results. Flagged are shares of what was measured, refused of what has
    ended; HC and shares leave duplicates out. Below, where somebody else's HC is known: ours less
    theirs, by trimester. Research use only, not a medical device.

    Example: hc-batch summary --by machine --since 30d
    """
    form = None if target is None else target.suffix.lower().removeprefix(".")
    if form is not None and form not in FORMS:
        raise click.BadParameter(
            f"{target} ends like no form: give .{', .'.join(FORMS)}", param_hint="--out"
        )
    if target is not None and tables.are_given:
        raise click.UsageError("--reference and --ga are for the terminal: leave --out")
    settings = Settings.from_environment()
    with open_database(settings) as database:
        wanted = which.filter(database)
        found = groups(database, wanted, GroupBy(by))
        if target is not None and form is not None:
            FORMS[form].writer()  # before a file is begun
            with replacing_bytes(target) as file:
                count = write(extract_of(Group, found), form, file)
            stderr.print(f"{count} lines in {target}; {NOTICE}")
            return
        whole = groups(database, wanted, None) if len(found) > 1 else []
        _table(by, [*found, *whole]).show(stdout)
        show_agreement(database, wanted, tables, settings)
        stderr.print(f"{len(found)} lines; {NOTICE}")


def _table(by: str, found: list[Group]) -> TextTable:
    used = [name for name in _COUNTS if name == "scans" or any(getattr(g, name) for g in found)]
    columns = [
        TableColumn(by, is_path=by in (GroupBy.MACHINE, GroupBy.MODEL)),
        *(TableColumn(_HEADINGS.get(name, name), is_right=True) for name in used),
        TableColumn("HC mm", is_right=True),
        TableColumn("flagged", is_right=True),
        TableColumn("refused", is_right=True),
    ]
    rows = [
        [
            "(none)" if group.name is None else group.name,
            *(f"{getattr(group, name)}" for name in used),
            number(group.hc_median_mm),
            _percent(group.flagged_share),
            _percent(group.refused_share),
        ]
        for group in found
    ]
    return lay_out(columns, rows, stdout.width)


_HEADINGS = {
    "measured": "meas.",
    "flagged": "flag.",
    "rejected": "rej.",
    "failed": "fail.",
    "duplicate": "dupl.",
    "waiting": "wait.",
}


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"
