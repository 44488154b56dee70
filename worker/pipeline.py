"""The whole sentence: requests in, results out, in batches that the network likes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hcmodel.geometry import Spacing
from worker.result import Result


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One frame of one file to measure; ``manual`` is a person's pixel size and overrides."""

    scan_id: int
    path: Path
    frame: int = 0
    manual: Spacing | None = None


class Instrument(Protocol):
    """What measures: the network, loaded once per process, and the readers beside it."""

    @property
    def model(self) -> str:
        """Name and version of the measuring instrument; one result per (scan, model)."""

    def measure(self, requests: Iterable[ScanRequest]) -> Iterator[tuple[ScanRequest, Result]]:
        """Measures in order of arrival; a refused file yields a result like any other."""
