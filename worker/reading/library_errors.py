"""Between this product and the libraries that read hostile bytes."""

from __future__ import annotations

import logging
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from pydicom.errors import BytesLengthException

from worker.errors import FileDamaged, FileUnreadable

# What pydicom, Pillow and the codecs raise on damaged input; each was met while fuzzing.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BytesLengthException,
    EOFError,
    LookupError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


@contextmanager
def refusing_damage(part: str) -> Iterator[None]:
    """Turn a library's complaint into a refusal that names ``part`` of the file.

    Raises ``FileDamaged``, or ``FileUnreadable`` where the system complained.

    The complaint itself is dropped with its chain: it may quote the file, and with it a patient.
    """
    try:
        yield
    except OSError as error:
        # Pillow's own complaints carry no number; those of the system do.
        if error.errno:
            raise FileUnreadable(os.strerror(error.errno)) from None
        raise FileDamaged(part) from None
    except _DAMAGE:
        raise FileDamaged(part) from None


@contextmanager
def silence() -> Iterator[None]:
    """Let no library warn or log: their texts quote tag values, names and dates among them."""
    for name in ("pydicom", "PIL"):
        logging.getLogger(name).disabled = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
