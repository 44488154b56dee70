"""A reader process: takes requests from stdin, answers on stdout, and may die of a file.

Started by ``worker.reading.sandbox.pool``. It ends with its owner, whose end of the pipe closes
then.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any, BinaryIO

from hcmodel.geometry import Spacing
from worker import failpoint
from worker.errors import ScanRejected, TooLarge
from worker.exam import Pseudonyms
from worker.reading import read, read_image_reference, read_report
from worker.reading.sandbox import messages

# The owner keeps the deadline. This is for the child of an owner that was killed meanwhile.
_ORPHAN_GRACE_S = 5


def main() -> None:
    """Serve until stdin closes."""
    limits = json.loads(sys.argv[1])
    answers = _take_stdout()
    _confine(limits["memory_bytes"])
    _load_libraries()
    roots = [Path(root) for root in limits["roots"]]
    answers.write(messages.pack({"ready": True}))
    answers.flush()
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_REAL, limits["deadline_s"] + _ORPHAN_GRACE_S)
        answers.write(_answer(json.loads(line), roots))
        answers.flush()
        signal.setitimer(signal.ITIMER_REAL, 0)


def _take_stdout() -> BinaryIO:
    """Keep stdout for the answers: codecs print, and it must not come between them."""
    answers = os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    return answers


def _confine(memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    # A core dump would hold a patient's image.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _load_libraries() -> None:
    """Import them now, so that the first file's time is its own."""
    # pydicom would load it, to download sample files: a seventh of a reader's start, and nothing
    # that reads hostile files should have.
    sys.modules["requests"] = None  # type: ignore[assignment]
    import worker.reading.dicom
    import worker.reading.exam_report
    import worker.reading.image_reference
    import worker.reading.raster  # noqa: F401


def _answer(request: dict[str, Any], roots: list[Path]) -> bytes:
    failpoint.hit("reading")
    try:
        if "report" in request:
            report = read_report(Path(request["report"]), roots=roots)
            return messages.pack(messages.from_report(report))
        if "reference" in request:
            image = read_image_reference(
                Path(request["reference"]), with_patient=request["with_patient"], roots=roots
            )
            return messages.pack(messages.from_image_reference(image))
        manual = request["manual"]
        scan = read(
            Path(request["path"]),
            request["frame"],
            None if manual is None else Spacing(*manual),
            roots=roots,
            pseudonyms=Pseudonyms(**request["pseudonyms"]),
        )
        return messages.pack(*messages.from_scan(scan))
    except ScanRejected as refusal:
        return messages.pack({"refused": refusal.code, "detail": refusal.detail})
    except MemoryError:
        return messages.pack({"refused": TooLarge.code, "detail": "it needs too much memory"})


if __name__ == "__main__":
    main()
    os._exit(0)  # nothing is left to close, and to take libraries apart takes time
