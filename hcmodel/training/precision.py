"""In which numbers a network is trained: bfloat16 where the machine is quick at it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import tensorflow as tf

from hcmodel.training.recipes import Recipe

_CPUINFO = Path("/proc/cpuinfo")
_QUICK = {"avx512f", "avx512_bf16", "amx_bf16"}
"""A processor without these imitates bfloat16, and is several times slower than in float32."""


@contextmanager
def precision(recipe: Recipe) -> Iterator[None]:
    """Layers made here compute in bfloat16 where recipe and machine agree; weights stay float32."""
    before = keras.config.dtype_policy()
    low = recipe.bfloat16 and (bool(tf.config.list_physical_devices("GPU")) or _quick(_CPUINFO))
    keras.config.set_dtype_policy("mixed_bfloat16" if low else "float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _quick(cpuinfo: Path) -> bool:
    """Return whether the processor has instructions for bfloat16 or wide enough to imitate it."""
    try:
        lines = cpuinfo.read_text().splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return not _QUICK.isdisjoint(flags.split())
