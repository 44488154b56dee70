"""The exam that an image belongs to and the scanner it comes from, and what stands for a number.

An accession number leads to a patient through any hospital's own tables. So it is kept as a keyed
hash, by which rows can be joined and nobody found, unless a person asks for the number itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Exam:
    """What a DICOM image's tags tell of its exam and scanner; unknown is ``None``."""

    study_date: Annotated[date | None, "the day of the exam"] = None
    accession_number: Annotated[
        str | None, "keyed hash of the exam's number, or as HC_ACCESSION_NUMBERS says"
    ] = None
    series_instance_uid: Annotated[str | None, "the UID of the DICOM image's series"] = None
    machine: Annotated[str | None, "manufacturer and model of the scanner"] = None
    software_version: Annotated[str | None, "the scanner's software"] = None


NO_EXAM = Exam()
"""Of files that tell nothing, such as PNG."""


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """How accession numbers are kept: hashed under a key, plainly, or without a key not at all."""

    key: str | None = field(default=None, repr=False)
    is_plain: bool = False

    def of(self, accession_number: str | None) -> str | None:
        """Return what stands for the number: HMAC-SHA256 in hexadecimal, or itself, or nothing."""
        number = (accession_number or "").strip(" \0")
        if not number:
            return None
        if self.is_plain:
            return number
        if self.key is None:
            return None
        import hashlib
        import hmac

        return hmac.new(self.key.encode(), number.encode(), hashlib.sha256).hexdigest()
