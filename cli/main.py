"""The entry point: loads the commands only when Ctrl-C and the standard streams are in order."""

from __future__ import annotations

import atexit
import io
import os
import signal
import sys
from contextlib import suppress
from types import FrameType
from typing import TextIO


def main() -> None:
    """Run the command line and end the process with its exit code.

    Libraries are not taken apart, which takes a fifth of a short command's time: what has to be
    closed has been by then, and exit functions that were registered later have run.
    """
    code = 1  # until it is known

    def end() -> None:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):  # nobody reads it, or it is closed
                stream.flush()
        os._exit(code)

    atexit.register(end)
    code = command()
    sys.exit(code)


def command() -> int:
    """Run what the command line says, and return its exit code."""
    _open_streams()
    from cli.commands import run

    return run(sys.argv[1:])


def _leave(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)  # as shells tell it


# As early as can be: while libraries load nothing has begun, and a KeyboardInterrupt within them
# leaves a mess; and from a container's first process the kernel keeps what is not handled.
if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _leave)
if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
    signal.signal(signal.SIGTERM, _leave)


def _open_streams() -> None:
    """Make standard streams that can be written, in UTF-8 whatever the locale.

    Where one is closed, the database's file would get its number, and words in between.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    sys.stdout = _buffered(sys.stdout)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _buffered(stream: TextIO) -> TextIO:
    """Return the stream with a buffer where ``PYTHONUNBUFFERED`` took it away.

    Without one, what a full disk or a pipe did not take of a long text is lost in silence.
    """
    raw = getattr(stream, "buffer", None)
    if not isinstance(raw, io.RawIOBase):
        return stream
    return io.TextIOWrapper(io.BufferedWriter(raw), line_buffering=True)


if __name__ == "__main__":
    main()
