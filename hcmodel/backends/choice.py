"""Which library runs the networks: ``auto`` is ONNX Runtime, and TensorFlow where a GPU is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hcmodel.backends.stage import Backend
    from hcmodel.model_card import Card

AUTO, TENSORFLOW, ONNX = "auto", "tensorflow", "onnx"
BACKENDS = (AUTO, TENSORFLOW, ONNX)

_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Of NVIDIA, of Windows' subsystem for Linux, of AMD."""


def open_backend(weights: Path, card: Card, name: str = AUTO) -> Backend:
    """Load the networks of ``weights`` into the backend of that name.

    Raises ``WeightsError`` where they are not those of their card. Only the chosen library is
    imported: TensorFlow takes seconds and hundreds of megabytes.
    """
    if name == TENSORFLOW or (name == AUTO and (not card.onnx or _has_gpu())):
        from hcmodel.backends.tensorflow_backend import TensorFlowBackend

        return TensorFlowBackend(weights, card)
    from hcmodel.backends.onnx_backend import OnnxBackend

    return OnnxBackend(weights, card)


def _has_gpu() -> bool:
    """Return whether TensorFlow sees a GPU; it is not asked where the machine shows none."""
    if not any(os.path.exists(device) for device in _GPU_DEVICES):
        return False
    from hcmodel.backends.tensorflow_backend import ON_GPU

    return ON_GPU
