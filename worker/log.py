"""How the processes of a worker write their log."""

from __future__ import annotations

import logging
import time

TEXT = "text"
JSON = "json"


def configure(level: str, form: str = TEXT) -> None:
    """One line per event on stderr, in UTC; with ``json`` an object for those who collect logs."""
    handler = logging.StreamHandler()
    handler.setFormatter(_json() if form == JSON else _text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def _text() -> logging.Formatter:
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s")
    formatter.converter = time.gmtime
    return formatter


def _json() -> logging.Formatter:
    # Only those who ask for it pay for the import.
    import structlog

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
