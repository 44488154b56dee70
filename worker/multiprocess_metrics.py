"""Where the processes of one command put what they count, so that one of them can tell it all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from worker.errors import FolderUnusable

Address = tuple[str, int]
"""Host and port."""


@contextmanager
def shared_metrics(address: Address | None) -> Iterator[None]:
    """Share a folder among the block's processes for what they count; none without an address.

    Raises ``FolderUnusable`` where there is no room for temporary files.

    Enter it before ``worker.metrics`` is imported: the library looks for the folder only then.
    """
    if address is None:
        yield
        return
    try:
        shared = tempfile.TemporaryDirectory(prefix="hc-metrics-")
    except OSError as error:
        raise FolderUnusable(f"for temporary files: {error.strerror}") from error
    with shared as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield
