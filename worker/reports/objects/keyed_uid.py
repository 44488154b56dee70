"""UIDs from a keyed hash: the same measurement makes the same object, and no UID tells of what."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from worker.errors import FolderUnusable
from worker.private_folder import make_private
from worker.settings import Settings

KEY_FILE = "uid-key"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class UidMaker:
    """Makes UIDs below 2.25, the root of UUIDs, for which nobody needs to be registered."""

    key: bytes = field(repr=False)

    def uid(self, role: str, *facts: object) -> str:
        """Return the UID of what plays a role, such as ``series``, for these facts."""
        said = "\0".join((role, *map(str, facts))).encode()
        digest = bytearray(hmac.new(self.key, said, hashlib.sha256).digest()[:16])
        digest[6] = digest[6] & 0x0F | 0x80  # version 8 of RFC 9562: bits of one's own making
        digest[8] = digest[8] & 0x3F | 0x80
        return f"2.25.{uuid.UUID(bytes=bytes(digest)).int}"


def uid_maker(settings: Settings) -> UidMaker:
    """Return the maker by ``HC_UID_KEY``, or by a key of this data directory, made when missing.

    Raises ``FolderUnusable``.
    """
    if settings.uid_key is not None:
        return UidMaker(settings.uid_key.encode())
    make_private(settings.data_dir)
    path = settings.data_dir / KEY_FILE
    try:
        if not path.exists():
            _make(path)
        return UidMaker(path.read_bytes().strip())
    except OSError as error:
        raise FolderUnusable(f"{path}: {error.strerror}") from error


def _make(path: Path) -> None:
    """Write a new key whole, under its name only if another process has not been quicker."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(_KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(beside, path)
    finally:
        beside.unlink()
