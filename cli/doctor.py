"""``hc-batch doctor``: what is there, what is not, and what to type."""

from __future__ import annotations

import sys

import click

from cli.console import stdout
from cli.exit_codes import EXIT_UNREACHABLE, EXIT_USAGE
from worker.settings import Settings


@click.command()
def command() -> None:
    """Check database, schema, clock, broker, workers, weights, disk and GPU.

    One line each: ok, or what is wrong and what to type. Passwords are never shown. Ends with 4
    where a service is out of reach, with 2 where something else is wrong.

    Example: hc-batch doctor
    """
    # Loads Celery and SQLAlchemy: not for those who only ask for help.
    from worker.doctor import examine

    code = 0
    for finding in examine(Settings.from_environment()):
        line = f"{finding.about:9} {'ok' if finding.remedy is None else 'WRONG':5} {finding.text}"
        remedy = "" if finding.remedy is None else f". {finding.remedy}"
        stdout.print(line + remedy, soft_wrap=True)
        if finding.remedy is not None:
            code = max(code, EXIT_UNREACHABLE if finding.unreachable else EXIT_USAGE)
    sys.exit(code)
