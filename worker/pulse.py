"""Until when a process counts as alive: a file's time, which a health check compares with now.

It tells that the work goes round. Whether the services answer is another question: a process waits
for them, and a new one could do no more.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

logger = logging.getLogger(__name__)

FOLDER = "alive"

# A round may wait for a database's lock, or read some hundred files from a slow drive.
_LONGEST_ROUND_S = 300.0


class Pulse:
    """The file of one kind of process; ``interval_s`` lies between two of its rounds."""

    def __init__(self, data_dir: Path, kind: str, interval_s: float) -> None:
        self._folder = data_dir / FOLDER
        self._file = self._folder / kind
        self._good_for_s = interval_s + _LONGEST_ROUND_S
        self._told = False

    def beat(self) -> None:
        """Put that time off; where it cannot be written, say so once and go on."""
        until_s = time.time() + self._good_for_s
        try:
            self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.mkdir(exist_ok=True)
            self._file.touch()
            os.utime(self._file, (until_s, until_s))
        except OSError as error:
            if not self._told:
                logger.warning("health checks will fail: %s: %s", self._file, error.strerror)
            self._told = True
