"""How the learning rate goes, of both networks."""

from __future__ import annotations

import keras


def cosine(rate: float, epochs: int, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a rate that rises for two epochs of ``steps``, then falls to a hundredth."""
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=rate / 20,
        warmup_target=rate,
        warmup_steps=2 * steps,
        decay_steps=max(1, epochs - 2) * steps,
        alpha=0.01,
    )
