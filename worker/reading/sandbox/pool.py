"""Reading in processes of their own, so that a hostile or broken file ends alone.

A codec that crashes, a file that wants all memory or never ends: each costs one child, which is
replaced, and the next file is read as if nothing had been. Children are plain subprocesses, since a
Celery pool child may not start ``multiprocessing`` ones.
"""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from hcmodel.geometry import Spacing
from worker.errors import CrashedWorker, DecodeTimeout, ScanRejected
from worker.exam import Pseudonyms
from worker.reading.sandbox import messages
from worker.reference import ExamReport
from worker.scan import ImageReference, Scan

MEMORY_BYTES = 1024**3
"""Address space of a process: for its libraries and the largest image that is allowed."""
DEADLINE_S = 20.0
"""Per file: a sound one takes far less, but a network drive may have to wake up first."""

_START_S = 60.0
"""Libraries from a cold disk, on a machine that is busy."""
_STOP_S = 1.0


class ReaderPool:
    """``processes`` long-lived reader processes; ``read`` may be called from many threads."""

    def __init__(
        self,
        processes: int = 1,
        *,
        memory_bytes: int = MEMORY_BYTES,
        deadline_s: float = DEADLINE_S,
        roots: Sequence[Path] = (),
        pseudonyms: Pseudonyms = Pseudonyms(),  # noqa: B008 - frozen
    ) -> None:
        limits = {
            "memory_bytes": memory_bytes,
            "deadline_s": deadline_s,
            "roots": [str(root) for root in roots],
        }
        self._deadline_s = deadline_s
        self._pseudonyms = pseudonyms
        self._readers = [_Reader(json.dumps(limits)) for _ in range(processes)]
        # The last one first: who reads one file after the other needs no second process.
        self._idle: queue.LifoQueue[_Reader] = queue.LifoQueue()
        for reader in self._readers:
            self._idle.put(reader)  # each starts its process with its first file

    def __enter__(self) -> ReaderPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; nothing may be read any more."""
        for reader in self._readers:
            reader.stop()

    def read(self, path: Path, frame: int = 0, manual: Spacing | None = None) -> Scan:
        """Read as ``worker.reading.read`` does, and raise what it raises.

        Also ``CrashedWorker`` and ``DecodeTimeout``, after which the pool goes on as before.
        """
        request = {
            "path": str(path.absolute()),
            "frame": frame,
            "manual": None if manual is None else [manual.row_mm, manual.column_mm],
            # Not among the process's arguments, which every user of the machine may read.
            "pseudonyms": asdict(self._pseudonyms),
        }
        return messages.to_scan(*self._ask(request))

    def read_report(self, path: Path) -> ExamReport:
        """Read as ``worker.reading.read_report`` does, and raise what it raises.

        Also ``CrashedWorker`` and ``DecodeTimeout``, after which the pool goes on as before.
        """
        head, _ = self._ask({"report": str(path.absolute())})
        return messages.to_report(head)

    def read_image_reference(self, path: Path, *, with_patient: bool = False) -> ImageReference:
        """Read as ``worker.reading.read_image_reference`` does, and raise what it raises.

        Also ``CrashedWorker`` and ``DecodeTimeout``, after which the pool goes on as before.
        """
        request = {"reference": str(path.absolute()), "with_patient": with_patient}
        head, _ = self._ask(request)
        return messages.to_image_reference(head)

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], bytearray]:
        reader = self._idle.get()
        try:
            head, body = reader.ask(request, self._deadline_s)
        finally:
            self._idle.put(reader)
        if "refused" in head:
            raise _REFUSALS[head["refused"]](head["detail"])
        return head, body


class _Reader:
    """One reader process and its pipes; started again after each death."""

    def __init__(self, limits: str) -> None:
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._is_ready = False

    def start(self) -> None:
        # A session of its own: Ctrl-C on the terminal is its owner's to handle. -P: a module that
        # lies in the folder of images is not to be imported.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "worker.reading.sandbox.process", self._limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            start_new_session=True,
            bufsize=0,
        )
        self._is_ready = False

    def ask(self, request: dict[str, Any], deadline_s: float) -> tuple[dict[str, Any], bytearray]:
        """Send a request and wait for its answer; a child that gives none is replaced.

        Raises ``CrashedWorker`` or ``DecodeTimeout`` then.
        """
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self.start()
        is_answered = False
        try:
            if not self._is_ready:
                self._receive(_START_S)
                self._is_ready = True
            self._send(request)
            answer = self._receive(deadline_s)
            is_answered = True
            return answer
        except TimeoutError:
            raise DecodeTimeout(f"more than {deadline_s:g} s") from None
        except (EOFError, BrokenPipeError):
            raise CrashedWorker(self._cause_of_death()) from None
        finally:
            if not is_answered:
                self.stop(at_once=True)
                self.start()

    def stop(self, *, at_once: bool = False) -> None:
        """End the process: by closing its stdin, or by force where it may not listen."""
        process, self._process = self._process, None
        if process is None or process.stdin is None or process.stdout is None:
            return
        process.stdin.close()
        try:
            process.wait(0 if at_once else _STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _send(self, request: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request).encode() + b"\n")

    def _receive(self, timeout_s: float) -> tuple[dict[str, Any], bytearray]:
        deadline = time.monotonic() + timeout_s
        head_bytes, body_bytes = messages.LENGTHS.unpack(
            self._take(messages.LENGTHS.size, deadline)
        )
        head = json.loads(self._take(head_bytes, deadline))
        return head, self._take(body_bytes, deadline)

    def _take(self, size_bytes: int, deadline: float) -> bytearray:
        assert self._process is not None
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        taken = bytearray(size_bytes)
        missing = memoryview(taken)
        while missing:
            left_ms = 1000 * (deadline - time.monotonic())
            if left_ms <= 0 or not poll.poll(left_ms):
                raise TimeoutError
            count = os.readv(descriptor, [missing])
            if not count:
                raise EOFError
            missing = missing[count:]
        return taken

    def _cause_of_death(self) -> str:
        assert self._process is not None
        try:
            status = self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            return ""
        return signal.Signals(-status).name if status < 0 else f"exit status {status}"


def _refusals(base: type[ScanRejected]) -> dict[str, type[ScanRejected]]:
    by_code = {base.code: base}
    for kind in base.__subclasses__():
        by_code.update(_refusals(kind))
    return by_code


_REFUSALS = _refusals(ScanRejected)
