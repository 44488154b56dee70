"""The networks of a file of weights, and what every backend must do with them."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from hcmodel.arrays import Tensor
from hcmodel.model_card import Card


class Stage(Enum):
    """What a network of the file answers, in the order in which they stand there."""

    MAPS = "maps"
    CONTOURS = "contours"
    PLANES = "planes"


class NetworkError(RuntimeError):
    """The network could not answer; the message is the kind of the backend's error."""


class MemoryExhausted(Exception):
    """The memory that the network runs in does not hold so many images at once."""


class Backend(Protocol):
    """The networks in memory, run by one library."""

    usual_batch_size: int
    """Images at once that suit the processor on which it runs."""
    lanes: int
    """Batches that it can answer beside each other, each from a thread of its own."""

    def answer(self, stage: Stage, tensors: Tensor, batch_size: int) -> Tensor:
        """Return what a network says of up to ``batch_size`` inputs, one answer for each.

        Raises ``MemoryExhausted`` and ``NetworkError``.
        """


def stages_of(card: Card) -> list[Stage]:
    """Return what the weights of a card must hold."""
    there = {Stage.CONTOURS: card.network.outline_look, Stage.PLANES: card.gate is not None}
    return [stage for stage in Stage if there.get(stage, True)]
