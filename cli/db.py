"""``hc-batch db``: the database's tables."""

from __future__ import annotations

import click

from cli.console import stdout
from worker.errors import SchemaOutdated
from worker.settings import Settings
from worker.store import schema
from worker.store.database_errors import translated
from worker.store.session import make_engine


@click.group()
def command() -> None:
    """Create, migrate and check the database's tables.

    Example: hc-batch db upgrade
    """


@command.command()
def upgrade() -> None:
    """Bring the tables to this version; harmless where they are.

    Example: HC_DATABASE_URL=postgresql://hc@db/hc hc-batch db upgrade
    """
    settings = Settings.from_environment()
    with translated():
        schema.upgrade(make_engine(settings.database_url))
    stdout.print(f"{settings.database_name}: tables are at revision {schema.HEAD}")


@command.command()
def check() -> None:
    """Compare the tables with this version; fails where they differ.

    Example: hc-batch db check
    """
    settings = Settings.from_environment()
    with translated():
        state = schema.check(make_engine(settings.database_url))
    if not state.current:
        found = state.revision or ("no tables" if state.is_empty else "tables without a revision")
        drift = "" if found != state.head else f"; {'; '.join(state.drift)}"
        raise SchemaOutdated(f"found {found}, need {state.head}{drift}")
    stdout.print(f"{settings.database_name}: ok, revision {state.revision}")
