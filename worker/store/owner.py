"""Who works on a scan: a name that tells this machine's other processes whether it still lives."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
from contextlib import suppress
from functools import cache
from pathlib import Path


def new_owner() -> str:
    """Return a name for one piece of this process's work: host, parent, process, and which work."""
    return f"{_host()}:{os.getppid()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_of_a_child(owner: str) -> bool:
    """Return whether the owner is, or was, a process that this one started."""
    host, parent, _, _ = owner.split(":")
    return host == _host() and int(parent) == os.getpid()


def is_known_dead(owner: str) -> bool:
    """Return whether the owner was a process of this machine and is gone; False for others."""
    host, _, pid, _ = owner.split(":")
    if host != _host():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


@cache
def _host() -> str:
    # Containers may share a name but not their numbering of processes, and a number is given
    # again after a restart: both are part of the host's name.
    identity = b""
    with suppress(OSError):
        identity += Path("/proc/sys/kernel/random/boot_id").read_bytes()
        identity += os.readlink("/proc/self/ns/pid").encode()
    name = platform.node().replace(":", "-")
    return f"{name}-{hashlib.sha256(identity).hexdigest()[:8]}"
