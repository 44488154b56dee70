"""How the processes of a worker write their log."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from worker.plain_text import visible

TEXT = "text"
JSON = "json"
_CHATTY = ("alembic", "watchfiles")  # they tell what our own lines tell

_ids: ContextVar[dict[str, object]] = ContextVar("ids", default={})  # noqa: B039 - never changed


@contextmanager
def about(**ids: object) -> Iterator[None]:
    """Give the block's log lines the ids in their JSON form: of a task, a batch, a scan."""
    token = _ids.set({**_ids.get(), **ids})
    try:
        yield
    finally:
        _ids.reset(token)


class Hindrance:
    """What hinders some work: told when it begins or changes and when it is over, not each time."""

    def __init__(self, logger: logging.Logger, over: str) -> None:
        self._logger = logger
        self._over = over
        self._told: str | None = None

    def tell(self, what: str | None, hint: str = "") -> None:
        """Log ``what`` hinders, with a hint, or that nothing does any more: ``None``."""
        if what == self._told:
            return
        if what is None:
            self._logger.info("%s", self._over)
        else:
            self._logger.warning("%s%s", what, hint)
        self._told = what


def configure(level: str, form: str = TEXT) -> None:
    """Write a line per event to stderr, in UTC; with ``json`` an object for log collectors."""
    handler = logging.StreamHandler()
    handler.setFormatter(_json() if form == JSON else _text())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


class _Text(logging.Formatter):
    """One line per event, whatever a name in it holds: ends of lines are shown as escapes."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        return visible(super().format(record))


def _text() -> logging.Formatter:
    formatter = _Text("%(asctime)sZ %(levelname)s %(name)s: %(message)s")
    formatter.converter = time.gmtime
    return formatter


def _json() -> logging.Formatter:
    # Only those who ask for it pay for the import.
    import structlog

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            _with_ids,
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


def _with_ids(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return {**event, **_ids.get()}
