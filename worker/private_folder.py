"""Folders for this user alone: what they hold tells which patients' images were measured."""

from __future__ import annotations

import os
from pathlib import Path

from worker.errors import FolderUnusable


def make_private(folder: Path) -> None:
    """Create the folder and those above it that are missing, open to this user alone.

    One that is there keeps its mode. Raises ``FolderUnusable``, with its name.
    """
    try:
        make_missing(folder)
    except OSError as error:
        raise FolderUnusable(f"{folder}: {error.strerror}") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise FolderUnusable(f"{folder}: no right to write there")


def make_missing(folder: Path) -> None:
    """Create what is missing of a folder's path, open to this user alone. Raises ``OSError``."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
