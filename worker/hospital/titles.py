"""Titles of application entities, by which DICOM's peers call each other."""

from __future__ import annotations

_LONGEST = 16


def title_of(given: str) -> str:
    """Return the title without spaces around it; raises ``ValueError`` where it is none."""
    title = given.strip()
    if not 0 < len(title) <= _LONGEST or not title.isascii() or not title.isprintable():
        raise ValueError(f"{title!r} is no title: 1 to {_LONGEST} letters of ASCII")
    if "\\" in title:
        raise ValueError(f"{title!r} is no title: it holds a backslash")
    return title
