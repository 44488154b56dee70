"""Networks are trained in bfloat16 where recipe and processor agree, else in float32."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

from hcmodel.training import precision as module
from hcmodel.training.precision import precision
from hcmodel.training.recipes import HC18, NOTEBOOK, Recipe


@pytest.mark.parametrize(
    ("recipe", "cpuinfo", "computes_in"),
    [
        (HC18, "processor : 0\nflags\t\t: fpu avx2 avx512f avx512bw\n", "bfloat16"),
        (HC18, "flags : fpu amx_bf16\n", "bfloat16"),
        (HC18, "flags : fpu avx avx2\nbugs : avx512f\n", "float32"),
        (HC18, "processor : 0\n", "float32"),
        (HC18, None, "float32"),
        (NOTEBOOK, "flags : fpu avx512_bf16\n", "float32"),
    ],
)
def test_bfloat16_needs_a_recipe_and_a_processor_for_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recipe: Recipe,
    cpuinfo: str | None,
    computes_in: str,
) -> None:
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    monkeypatch.setattr(module, "_CPUINFO", tmp_path / "cpuinfo")
    with precision(recipe):
        layer = keras.layers.Dense(1)
    assert layer.compute_dtype == computes_in
    assert layer.variable_dtype == "float32"
    assert keras.config.dtype_policy().name == "float32"
