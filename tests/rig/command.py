"""``hc-batch`` as a process: one that has loaded its libraries already, or one from the start."""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

HC_BATCH = Path(sys.executable).with_name("hc-batch")
LOADED = Path(__file__).with_name("loaded.py")  # not imported here: it takes over signals
Done = subprocess.CompletedProcess[str]


def hc(
    environment: Mapping[str, str], *words: str | Path, folder: Path | None = None, also: str = ""
) -> Done:
    """Run the command in a process that is forked off one with all libraries; return its end.

    For words, rows and errors. Where the start itself is what is tested, as streams that are
    closed, a locale or a signal while libraries load: ``hc_from_the_start``. ``also`` names a
    module that is loaded beside the others.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        streams = out.fileno(), err.fileno()
        code = _loaded(also).run(environment, list(map(str, words)), folder, *streams)
        return Done(words, code, *map(_said, streams))


def hc_from_the_start(
    environment: Mapping[str, str], *words: str | Path, folder: Path | None = None
) -> Done:
    """Run the command as a shell does; return its end."""
    done = subprocess.run(
        [HC_BATCH, *words],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return Done(words, done.returncode, done.stdout.decode(), done.stderr.decode())


def _said(descriptor: int) -> str:
    """Return what stands there, as it came: no line end is translated."""
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode()


class _Loaded:
    """The process that has loaded the libraries, and the way to it."""

    def __init__(self, *more: str) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", LOADED, str(theirs.fileno()), *more],
                pass_fds=[theirs.fileno()],
                env=kept | {"PYTHONPATH": os.fspath(LOADED.parent.parent)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        atexit.register(self.end)

    def run(
        self,
        environment: Mapping[str, str],
        words: list[str],
        folder: Path | None,
        out: int,
        err: int,
    ) -> int:
        """Run one command, and return its exit code; the number of a signal is below 0."""
        request = {
            "words": words,
            "folder": os.fspath(folder or Path.cwd()),
            "environment": dict(environment),
        }
        try:
            with open(os.devnull, "rb") as nothing:
                streams = [nothing.fileno(), out, err]
                socket.send_fds(self._requests, [json.dumps(request).encode()], streams)
                return int(self._requests.recv(32))
        except BaseException:  # as pytest's limit of time: whose answer comes next, nobody knows
            self.end()
            _loaded.cache_clear()
            raise

    def end(self) -> None:
        """End the process, and the command that it may still be running."""
        atexit.unregister(self.end)
        self._requests.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


@cache
def _loaded(also: str = "") -> _Loaded:
    return _Loaded(*filter(None, [also]))
