"""Which library runs the networks: ``auto`` is ONNX Runtime, and TensorFlow where a GPU is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from hcmodel.model_card import Card, WeightsError, onnx_file

if TYPE_CHECKING:
    from hcmodel.backends.stage import Backend

AUTO, TENSORFLOW, ONNX = "auto", "tensorflow", "onnx"
BACKENDS = (AUTO, TENSORFLOW, ONNX)

_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
"""Of NVIDIA, of Windows' subsystem for Linux, of AMD."""


def open_backend(weights: Path, card: Card, name: str = AUTO) -> Backend:
    """Load the networks of ``weights`` into the backend of that name.

    Raises ``WeightsError`` where they are not those of their card. Only the chosen library is
    imported: TensorFlow takes seconds and hundreds of megabytes.
    """
    if name == ONNX or (name == AUTO and has_onnx_files(weights, card) and not _has_gpu()):
        from hcmodel.backends.onnx_backend import OnnxBackend

        return OnnxBackend(weights, card)
    try:
        from hcmodel.backends.tensorflow_backend import TensorFlowBackend
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"{weights.name} has no ONNX files beside it, or HC_ENGINE asks for TensorFlow, which "
            f"is not installed here ({error.name}); where it is, hc-batch model export writes them"
        ) from error
    return TensorFlowBackend(weights, card)


def has_onnx_files(weights: Path, card: Card) -> bool:
    """Return whether all files that the card names are there; what they hold is verified later."""
    return bool(card.onnx) and all(onnx_file(weights, name).exists() for name in card.onnx)


def _has_gpu() -> bool:
    """Return whether TensorFlow sees a GPU; it is not asked where the machine shows none."""
    if not any(os.path.exists(device) for device in _GPU_DEVICES):
        return False
    try:
        from hcmodel.backends.tensorflow_backend import ON_GPU
    except ModuleNotFoundError:
        return False
    return ON_GPU
