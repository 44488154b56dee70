"""What became of an object that was sent: taken, refused for good, or worth another try."""

from __future__ import annotations


class Refused(Exception):
    """The archive will not take this object, now or later; ``code`` is stored."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class NotNow(Exception):
    """It did not work this time: out of reach, busy, full, or a wrong setting at either end."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


UNREACHABLE = "destination-unreachable"
REJECTED = "association-rejected"
NOT_ALLOWED = "not-allowed"
BUSY = "destination-busy"
CLASS_REFUSED = "class-refused"
OBJECT_REFUSED = "object-refused"
NOT_COMMITTED = "not-committed"
"""Codes of deliveries; docs/hospital.md says what to do."""
