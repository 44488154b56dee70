"""What trains is not needed to measure, and an image may lack it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from worker.errors import ExtraMissing


@contextmanager
def training_libraries() -> Iterator[None]:
    """Import in this block what trains; raises ``ExtraMissing`` where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ExtraMissing(
            f"{error.name}; pip install hc-batch, with all that it asks for"
        ) from error
