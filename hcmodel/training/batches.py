"""Samples in batches, drawn afresh in every epoch and yet the same whenever they come again."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np

from hcmodel.training.augment import Sample

SEED = 18


class Batches(keras.utils.PyDataset):
    """What every kind of batch shares; a kind adds ``__getitem__``.

    ``turns``: how often each sample comes in an epoch. Every draw has a generator of its own, so a
    resumed training sees the same stream; where nothing is ``augmented``, each epoch is the same.
    """

    def __init__(
        self, samples: Sequence[Sample], turns: Sequence[int], batch_size: int, *, augmented: bool
    ) -> None:
        super().__init__(workers=1, use_multiprocessing=False, max_queue_size=8)
        self._samples = samples
        self._order = np.repeat(np.arange(len(samples)), turns)
        self._batch_size = batch_size
        self._augmented = augmented
        self.epoch = 0

    def __len__(self) -> int:
        return math.ceil(len(self._order) / self._batch_size)

    def _batch(self, step: int) -> list[tuple[Sample, np.random.Generator]]:
        """Return the samples of one step, each with its generator."""
        epoch = self.epoch if self._augmented else 0
        order = self._order
        if self._augmented:
            order = np.random.default_rng([SEED, epoch]).permutation(order)
        places = range(len(order))[step * self._batch_size :][: self._batch_size]
        return [
            (self._samples[order[place]], np.random.default_rng([SEED, epoch, place]))
            for place in places
        ]
