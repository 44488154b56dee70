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


def busy_s() -> float:
    """Return the processor time in seconds that this machine has used since it was started.

    All processes count, and the kernel's own work: the line "cpu" of proc_stat(5), less what was
    idle, waited for a disk or was taken by another machine on the same processors.
    """
    user, nice, system, _idle, _waiting, *interrupts = map(
        int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    )
    return (user + nice + system + sum(interrupts)) / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):  # any thread may have started it
        try:
            children = task.read_text().split()
        except OSError:  # it has ended meanwhile
            continue
        for child in children:
            yield from _family(int(child))
