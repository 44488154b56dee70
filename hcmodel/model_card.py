"""The weights' card: what they are, what made them, and the hash that proves it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hcmodel import CODE_VERSION
from hcmodel.uncertainty import Doubt
from hcmodel.unet_config import UNetConfig

SHIPPED = Path(__file__).parent / "weights" / "hc18.keras"


class WeightsError(Exception):
    """The weights cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Card:
    """Stored as JSON beside the weights, ``NAME.json`` for ``NAME.keras``.

    ``level`` is the probability along whose line heads are fitted, ``outline_scale`` what outlines
    are multiplied by that a network with an outline look finds; HC has no bias with them. ``doubt``
    tells how far it may be off. All come with calibration.
    """

    name: str
    sha256: str
    network: UNetConfig
    recipe: str
    training: Mapping[str, object] = field(default_factory=dict)
    figures: Mapping[str, object] = field(default_factory=dict)
    level: float = 0.5
    outline_scale: float = 1.0
    doubt: Doubt | None = None

    @property
    def model(self) -> str:
        """The measuring instrument's version, as it stands in every row."""
        calibration = f"-{_short_hash(self, self.doubt)}" if self.doubt else ""
        return f"{self.name}-{self.sha256[:12]}{calibration}-{CODE_VERSION}"

    def write(self, weights: Path) -> None:
        """Writes the card beside its weights."""
        text = json.dumps(asdict(self), indent=2, sort_keys=False)
        weights.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def read_card(weights: Path) -> Card:
    """The card beside ``weights``; raises ``WeightsError`` where it is missing or not a card."""
    path = weights.with_suffix(".json")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        network, doubt = UNetConfig(**fields["network"]), _doubt(fields.get("doubt"))
        return Card(**{**fields, "network": network, "doubt": doubt})
    except OSError as error:
        raise WeightsError(f"no card beside the weights: {path.name} ({error.strerror})") from error
    except (ValueError, TypeError, KeyError) as error:
        raise WeightsError(f"{path.name} is not a card of this version: {error}") from error


def _doubt(stored: dict[str, Any] | None) -> Doubt | None:
    if stored is None:
        return None
    lists = {name: tuple(value) for name, value in stored.items() if isinstance(value, list)}
    return Doubt(**{**stored, **lists})


def _short_hash(card: Card, doubt: Doubt) -> str:
    scales = {"level": card.level, "outline_scale": card.outline_scale}
    text = json.dumps(scales | asdict(doubt), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def file_sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(weights: Path) -> Card:
    """The card, if the weights are the ones it describes; raises ``WeightsError`` otherwise."""
    card = read_card(weights)
    try:
        found = file_sha256(weights)
    except OSError as error:
        raise WeightsError(f"cannot read the weights {weights.name}: {error.strerror}") from error
    if found != card.sha256:
        raise WeightsError(
            f"{weights.name} has SHA-256 {found[:12]}..., its card says {card.sha256[:12]}...; "
            "install the package again, or put back the weights that the card describes"
        )
    return card
