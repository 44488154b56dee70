"""How the learning rate goes, and what the small networks are trained with."""

from __future__ import annotations

import keras

EMA_MOMENTUM = 0.99
"""Weights are averaged over the last hundred or so steps."""


def cosine(rate: float, epochs: int, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """Return a rate that rises for two epochs of ``steps``, then falls to a hundredth."""
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=rate / 20,
        warmup_target=rate,
        warmup_steps=2 * steps,
        decay_steps=max(1, epochs - 2) * steps,
        alpha=0.01,
    )


def averaging_adamw(
    rate: float, weight_decay: float, epochs: int, steps: int
) -> keras.optimizers.Optimizer:
    """Return AdamW that averages weights, at a rate that goes as ``cosine`` says."""
    return keras.optimizers.AdamW(
        cosine(rate, epochs, steps),
        weight_decay=weight_decay,
        use_ema=True,
        ema_momentum=EMA_MOMENTUM,
    )
