"""Whether somebody has a file open for writing, as far as the kernel tells."""

from __future__ import annotations

import fcntl
import os
import signal
from pathlib import Path

from worker.watching.mounts import on_network

READ_ITSELF = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
"""Neither waits for the writer of a pipe nor opens what a link leads to."""


def is_being_written(path: Path) -> bool:
    """Whether another process has the file open for writing.

    Asks for a lease for reading, which the kernel refuses while there is a writer. On network
    drives, which refuse every lease, and for files of other users it is not known, and False.
    """
    try:
        descriptor = os.open(path, READ_ITSELF)
    except OSError:
        return False
    try:
        # Who opens it at this moment makes the kernel signal us: SIGIO would end this process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return not on_network(path)
    except OSError:
        return False
    finally:
        os.close(descriptor)  # which gives the lease back
    return False
