"""Foreign text (names of files, tags, tables, arguments) shown as the text that it is."""

from __future__ import annotations


def visible(text: str) -> str:
    """Return the text with an escape such as ``\\x1b`` for each character that does not print.

    So no name can clear a screen, turn the direction of writing or end a line of a log or a table.
    What prints stays, spaces and a backslash too.
    """
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else _escape(character) for character in text
    )


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
