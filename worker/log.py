"""How the processes of a worker write their log."""

from __future__ import annotations

import logging
import time


def configure(level: str) -> None:
    """One line per event on stderr, in UTC."""
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(name)s: %(message)s")
    formatter.converter = time.gmtime
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
