"""What a process and its descendants have used, as the kernel counts it."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterator
from pathlib import Path


def proportional_mb(pid: int) -> float:
    """Return the proportional set size in MB of a process and its descendants.

    Pages that several of them share count once: see smaps_rollup in proc(5).
    """
    total_kb = 0
    for each in _family(pid):
        try:
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:  # it has ended meanwhile
            continue
        total_kb += sum(map(int, re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)))
    return total_kb / 1024


def peak_mb() -> float:
    """Return the most memory in MB that this process had at any time so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def processor_s(pid: int) -> float:
    """Return the processor time in seconds that a process and its descendants have used."""
    ticks = 0
    for each in _family(pid):
        try:
            text = Path(f"/proc/{each}/stat").read_text()
        except OSError:  # it has ended meanwhile
            continue
        # Behind the name, which may hold anything: fields 14 and 15 of proc_pid_stat(5).
        ticks += sum(map(int, text.rpartition(")")[2].split()[11:13]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from _family(int(child))
