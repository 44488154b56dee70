from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest

from hcmodel.cores import _limits, usable_cores


def test_affinity_counts() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", []), ("150000 100000", [2]), ("100000 100000", [1]), ("5000 100000", [1])],
)
def test_a_group_s_quota_in_whole_cores(tmp_path: Path, quota: str, cores: list[int]) -> None:
    (tmp_path / "pod").mkdir()
    (tmp_path / "pod" / "cpu.max").write_text(f"{quota}\n")
    assert list(_limits(PurePosixPath("/pod/container"), tmp_path)) == cores


def test_every_group_above_counts(tmp_path: Path) -> None:
    inner = tmp_path / "pod" / "container"
    inner.mkdir(parents=True)
    (inner / "cpu.max").write_text("400000 100000\n")
    (tmp_path / "pod" / "cpu.max").write_text("250000 100000\n")
    assert list(_limits(PurePosixPath("/pod/container"), tmp_path)) == [4, 3]
