"""The weights' card: what they are, what made them, and the hash that proves it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hcmodel import CODE_VERSION
from hcmodel.plane import Gate
from hcmodel.uncertainty import ErrorModel, Feature
from hcmodel.unet_config import UNetConfig

SHIPPED = Path(__file__).parent / "weights" / "hc18.keras"


class WeightsError(Exception):
    """The weights cannot be used; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Card:
    """Stored as JSON beside the weights, ``NAME.json`` for ``NAME.keras``.

    ``level`` is the probability along whose line heads are fitted, ``outline_scale`` what contours
    are multiplied by where the network has that stage; HC has no bias with them. ``doubt`` is the
    error model, which tells how far HC may be off. These come with calibration, and have the names
    of their keys in the file. ``gate``: what decides about the plane, where the file holds that
    network. ``onnx``: SHA-256 of the same networks as ONNX files, by what they answer.

    Raises ``ValueError`` for values that would fail in use.
    """

    name: str
    sha256: str
    network: UNetConfig
    recipe: str
    training: Mapping[str, object] = field(default_factory=dict)
    figures: Mapping[str, object] = field(default_factory=dict)
    level: float = 0.5
    outline_scale: float = 1.0
    doubt: ErrorModel | None = None
    gate: Gate | None = None
    onnx: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and isinstance(self.sha256, str)):
            raise ValueError("name and sha256 must be text")
        if not (isinstance(self.training, Mapping) and isinstance(self.figures, Mapping)):
            raise ValueError("training and figures must be objects")
        if not (isinstance(self.onnx, Mapping) and all(map(_is_text, self.onnx.values()))):
            raise ValueError("onnx must be an object of hashes")
        if not (_is_between(self.level, 0, 1) and _is_between(self.outline_scale, 0, 10)):
            raise ValueError("level must lie between 0 and 1, outline_scale between 0 and 10")

    @property
    def model(self) -> str:
        """The measuring instrument's version, as it stands in every row."""
        calibration = f"-{_short_hash(self)}" if self.doubt or self.gate else ""
        return f"{self.name}-{self.sha256[:12]}{calibration}-{CODE_VERSION}"

    def write(self, weights: Path) -> None:
        """Write the card beside its weights."""
        text = json.dumps(asdict(self), indent=2, sort_keys=False)
        weights.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def read_card(weights: Path) -> Card:
    """Return the card beside ``weights``.

    Raises ``WeightsError`` where it is missing, not a card, or would fail in use.
    """
    path = weights.with_suffix(".json")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        parts = {
            "network": UNetConfig(**fields["network"]),
            "doubt": _error_model(fields.get("doubt")),
            "gate": _gate(fields.get("gate")),
        }
        return Card(**{**fields, **parts})
    except OSError as error:
        raise WeightsError(f"no card beside the weights: {path.name} ({error.strerror})") from error
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise WeightsError(f"{path.name} is not a card of this version: {error}") from error


def _error_model(stored: Any) -> ErrorModel | None:
    if stored is None:
        return None
    if not isinstance(stored, dict):
        raise TypeError("doubt must be an object")
    lists = {name: tuple(value) for name, value in stored.items() if isinstance(value, list)}
    # Cards did not always name their features; those are in the order that never changed.
    return ErrorModel(**{"features": _first_features(len(lists["means"])), **stored, **lists})


def _gate(stored: Any) -> Gate | None:
    if stored is None:
        return None
    if not isinstance(stored, dict):
        raise TypeError("gate must be an object")
    lists = {name: tuple(value) for name, value in stored.items() if isinstance(value, list)}
    return Gate(**{**stored, **lists})


def _first_features(count: int) -> tuple[str, ...]:
    return tuple(Feature)[:count]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_between(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low < value < high


def _short_hash(card: Card) -> str:
    """Return a digest of what the card decides: the same weights may be calibrated otherwise."""
    numbers: dict[str, object] = {"level": card.level, "outline_scale": card.outline_scale}
    if card.doubt is not None:
        numbers |= asdict(card.doubt)
        # In their usual order, names say nothing new: the model is the one it was without them.
        if card.doubt.features == _first_features(len(card.doubt.features)):
            del numbers["features"]
    if card.gate is not None:
        gate = card.gate
        numbers |= {"gate": [gate.min_no_head, gate.min_hc_plane, gate.max_no_head]}
    text = json.dumps(numbers, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def file_sha256(path: Path) -> str:
    """Return the file's SHA-256 in hexadecimal; raises ``OSError`` as reading it does."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def onnx_file(weights: Path, stage: str) -> Path:
    """Return the path of a network's ONNX file, beside its weights."""
    return weights.with_suffix(f".{stage}.onnx")


def verify(weights: Path) -> Card:
    """Return the card of ``weights``; raises ``WeightsError`` where it describes other ones."""
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
