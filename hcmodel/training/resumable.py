"""Trains a network epoch by epoch, and goes on where an interrupted training stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import keras

from hcmodel.training.batches import SEED, Batches


def trained(
    checkpoint: Path,
    log: Path,
    epochs: int,
    begin: Callable[[], keras.Model],
    data: Batches,
    held_out: Batches,
) -> keras.Model:
    """Return the network after its last epoch, with averaged weights; resume its checkpoint."""
    keras.utils.set_random_seed(SEED)
    model = keras.models.load_model(checkpoint) if checkpoint.exists() else begin()
    done = int(model.optimizer.iterations) // len(data)
    if done < epochs:
        _keep_epochs(log, done)
        data.epoch = done
        model.fit(
            data,
            validation_data=held_out if len(held_out) else None,
            initial_epoch=done,
            epochs=epochs,
            callbacks=[
                keras.callbacks.CSVLogger(str(log), append=done > 0),
                _Checkpoint(checkpoint, data),
            ],
            verbose=1 if sys.stderr.isatty() else 2,
        )
    model.optimizer.finalize_variable_values(model.trainable_variables)
    return model


class _Checkpoint(keras.callbacks.Callback):
    """Keeps the last finished epoch on disk, whole or not at all."""

    def __init__(self, checkpoint: Path, data: Batches) -> None:
        super().__init__()
        self._checkpoint = checkpoint
        self._data = data

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        self._data.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        fresh = self._checkpoint.with_name(f"next-{self._checkpoint.name}")
        self.model.save(fresh)
        os.replace(fresh, self._checkpoint)


def _keep_epochs(log: Path, done: int) -> None:
    """Drop epochs that were logged but did not reach the checkpoint: they come again."""
    if log.exists():
        lines = log.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [row for row in lines[1:] if int(row.split(",")[0]) < done]
        log.write_text("".join(lines[:1] + kept), encoding="utf-8")
