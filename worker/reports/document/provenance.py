"""Which versions stand behind a report: of this product, of its weights, of what it rests on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import python_version

from hcmodel.model_card import WeightsError, read_card

_LIBRARIES = ("keras", "tensorflow", "numpy", "opencv-python-headless", "pydicom")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Versions by name; ``weights_sha256``: by instrument, where its weights are at hand."""

    product: str
    python: str
    libraries: dict[str, str]
    weights_sha256: dict[str, str]


def provenance(models: Iterable[str], weights: Path) -> Provenance:
    """Return the versions of this installation, and the hash of weights that rows name."""
    hashes: dict[str, str] = {}
    try:
        card = read_card(weights)
    except WeightsError:
        card = None
    if card is not None:
        hashes = {name: card.sha256 for name in models if name == card.model}
    return Provenance(_version("hc-batch"), python_version(), _libraries(), hashes)


def _libraries() -> dict[str, str]:
    return {name: _version(name) for name in _LIBRARIES}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
