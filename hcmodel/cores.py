"""How many processor cores this process may use, which is often fewer than the machine has."""

from __future__ import annotations

import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path, PurePosixPath

_CGROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Return the cores that affinity and the control groups of a container leave."""
    given = getattr(os, "sched_getaffinity", None)
    cores = len(given(0)) if given else os.cpu_count() or 1
    return max(1, min([cores, *_limits(_own_group(), _CGROUPS)]))


def _own_group() -> PurePosixPath:
    """Return the process's control group (version 2), ``/`` where it has none."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    return PurePosixPath(next((line[3:] for line in lines if line.startswith("0::")), "/"))


def _limits(group: PurePosixPath, mounted: Path) -> Iterator[int]:
    """Yield the whole cores that each group above allows, where it has a limit.

    A group's ``cpu.max`` is a quota and a period in microseconds, or ``max`` and a period: see
    "CPU Interface Files" in Linux' admin-guide/cgroup-v2.
    """
    for folder in (group, *group.parents):
        try:
            quota, period = (mounted / folder.relative_to("/") / "cpu.max").read_text().split()
            yield ceil(int(quota) / int(period))
        except (OSError, ValueError):
            continue
