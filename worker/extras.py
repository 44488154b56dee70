"""What an extra brings is imported where it is needed, and told where it is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from worker.errors import ExtraMissing


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Import in this block what an extra brings; raises ``ExtraMissing`` where it is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ExtraMissing(f"{error.name}; pip install 'hc-batch[{name}]'") from error
