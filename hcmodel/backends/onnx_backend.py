"""The networks in ONNX Runtime: what measures on a CPU, without TensorFlow."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as failures

from hcmodel.arrays import Tensor
from hcmodel.backends.stage import MemoryExhausted, NetworkError, Stage, stages_of
from hcmodel.cores import usable_cores
from hcmodel.model_card import Card, WeightsError, file_sha256, onnx_file

_FAILURES = (
    failures.EPFail,
    failures.EngineError,
    failures.Fail,
    failures.InvalidArgument,
    failures.RuntimeException,
)
_UNUSABLE = (
    *_FAILURES,
    failures.InvalidGraph,
    failures.InvalidProtobuf,
    failures.NoSuchFile,
    failures.NotImplemented,
)
_ERRORS_ONLY = 3
_MOST_LANES = 4
"""What is not a network's work is done by one thread at a time, and is a third of the whole."""


class OnnxBackend:
    """See ``Backend``. Raises ``WeightsError`` where a file is not the one of its card."""

    usual_batch_size = 4  # as fast for an image as 8, in half of the memory

    def __init__(self, weights: Path, card: Card) -> None:
        cores = usable_cores()
        self.lanes = min(cores, _MOST_LANES)
        threads = cores // self.lanes
        self._sessions = {
            stage: _session(verified_file(weights, card, stage), threads)
            for stage in stages_of(card)
        }

    def answer(self, stage: Stage, tensors: Tensor, batch_size: int) -> Tensor:
        """Return an answer to each input; raises ``MemoryExhausted`` and ``NetworkError``."""
        session = self._sessions[stage]
        try:
            (answers,) = session.run(None, {session.get_inputs()[0].name: tensors})
        except (MemoryError, *_FAILURES) as error:
            if isinstance(error, MemoryError) or "alloc" in str(error):
                raise MemoryExhausted from error
            raise NetworkError(type(error).__name__) from error
        return np.asarray(answers)


def verified_file(weights: Path, card: Card, stage: Stage) -> Path:
    """Return the same; raises ``WeightsError`` where it is not what the card describes."""
    path = onnx_file(weights, stage.value)
    if stage.value not in card.onnx:
        raise WeightsError(
            f"the card of {weights.name} names no {path.name}; "
            f"write it with hc-batch model export {weights.name}"
        )
    try:
        found = file_sha256(path)
    except OSError as error:
        raise WeightsError(f"cannot read {path.name}: {error.strerror}") from error
    if found != card.onnx[stage.value]:
        raise WeightsError(
            f"{path.name} has SHA-256 {found[:12]}..., the card says "
            f"{card.onnx[stage.value][:12]}...; install the package again, or write it anew with "
            f"hc-batch model export {weights.name}"
        )
    return path


def _session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = threads
    # Threads that wait must leave the cores to the readers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(
            os.fspath(path), options, providers=["CPUExecutionProvider"]
        )
    except _UNUSABLE as error:
        raise WeightsError(f"{path.name} cannot be loaded: {type(error).__name__}") from error
