"""Ctrl-C within a command: an exception that is not lost."""

from __future__ import annotations

import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_AGAIN_S = 0.05  # by then what swallowed it is over


def raise_on_ctrl_c() -> None:
    """Let Ctrl-C raise ``KeyboardInterrupt``, unless the process is to ignore it."""
    if callable(signal.getsignal(signal.SIGINT)):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.unraisablehook = _told_again


def _told_again(lost: UnraisableHookArgs) -> None:
    """Interrupt once more where the first fell into a destructor, which Python lets raise nothing.

    Libraries have destructors that run after each question to a server: whoever presses Ctrl-C
    in that moment would wait for ever.
    """
    if issubclass(lost.exc_type, KeyboardInterrupt):
        main = threading.main_thread().ident
        again = threading.Timer(_AGAIN_S, signal.pthread_kill, (main, signal.SIGINT))
        again.daemon = True
        again.start()
    else:
        sys.__unraisablehook__(lost)
