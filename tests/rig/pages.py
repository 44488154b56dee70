"""A ledger with measured phantoms, and the real pages over it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from rig.command import hc
from worker.sample_files import PIXEL_SIZES, write_samples

COMMAND = [sys.executable, "-m", "cli.main"]


@dataclass(frozen=True, slots=True)
class Pages:
    """Where pages are served, and the process that does so."""

    url: str
    process: subprocess.Popen[bytes]

    def get(self, path: str, **options: object) -> httpx.Response:
        """Ask as one that has never been there."""
        return httpx.get(self.url + path, timeout=60, **options)  # type: ignore[arg-type]


def measured_phantoms(folder: Path) -> dict[str, str]:
    """Measure the sample files and one with a name of its own; return the environment."""
    images = folder / "images"
    write_samples(images)
    odd = images / "<img src=x onerror=alert(1)>\u202eexam [bold].png"
    odd.write_bytes((images / "sized.png").read_bytes()[:400])
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
    environment = kept | {"HC_DATA_DIR": str(folder / "data"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    words = ["run", str(images), "--pixel-sizes", str(images / PIXEL_SIZES)]
    hc(environment, *words)
    return environment


def own_copy(environment: dict[str, str], folder: Path) -> dict[str, str]:
    """Copy the ledger, so that one module's reviews are not another's; images are shared."""
    shutil.copytree(environment["HC_DATA_DIR"], folder / "data")
    return environment | {"HC_DATA_DIR": str(folder / "data")}


@contextmanager
def serving(environment: dict[str, str], *words: str) -> Iterator[Pages]:
    """Serve the pages at a free port of this machine until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*COMMAND, "serve", "--port", str(port), *words],
        env=environment,
        stderr=subprocess.PIPE,
    )
    pages = Pages(f"http://127.0.0.1:{port}", process)
    try:
        while True:
            assert process.poll() is None, process.stderr and process.stderr.read()
            try:
                if pages.get("/health").text == "ok":
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        yield pages
    finally:
        process.terminate()
        process.communicate(timeout=60)
