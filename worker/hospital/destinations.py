"""Where objects may be sent: a file that a person writes, read and checked as a whole."""

from __future__ import annotations

import stat
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from worker.errors import DestinationsUnusable, DestinationUnknown
from worker.hospital.titles import title_of
from worker.settings import Settings

NAME = "destinations.toml"
_SECRETS = ("password", "token")


@dataclass(frozen=True, slots=True)
class DicomDestination:
    """A storage service that takes C-STORE.

    ``own_archive``: it is where the sources come from, so that objects carry their patient module.
    ``commitment``: ask it to vouch for what it got; ``commitment_port``: where it calls back, if
    it does so by an association of its own.
    """

    name: str
    host: str
    port: int
    called: str
    calling: str = "HCBATCH"
    own_archive: bool = False
    commitment: bool = False
    commitment_port: int | None = None
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    timeout_s: float = 30.0


@dataclass(frozen=True, slots=True)
class WebDestination:
    """A DICOMweb service that takes STOW-RS; ``url`` ends before ``/studies``."""

    name: str
    url: str
    own_archive: bool = False
    user: str | None = None
    password: str | None = None
    token: str | None = None
    ca: Path | None = None
    timeout_s: float = 30.0

    def __repr__(self) -> str:
        return f"WebDestination({self.name!r})"


Destination = DicomDestination | WebDestination
_KINDS: dict[str, type[DicomDestination] | type[WebDestination]] = {
    "dicom": DicomDestination,
    "stow": WebDestination,
}


def read_destinations(path: Path) -> dict[str, Destination]:
    """Return the destinations by name. Raises ``DestinationsUnusable``, which quotes no value."""
    try:
        mode = path.stat().st_mode
        content = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no TOML"
        raise DestinationsUnusable(f"{path}: {reason}") from None
    found = {}
    for name, table in content.items():
        try:
            if not isinstance(table, dict):
                raise ValueError("it is no table [NAME]")
            if any(word in table for word in _SECRETS) and stat.S_IMODE(mode) & 0o077:
                raise ValueError("it holds a secret, and others may read the file: chmod 600")
            found[name] = _destination(name, dict(table))
        except ValueError as error:
            raise DestinationsUnusable(f"{path}: [{name}]: {error}") from None
    return found


def destinations_file(settings: Settings) -> Path:
    """Return where the destinations are written down."""
    return settings.destinations or settings.data_dir / NAME


def web_archive(settings: Settings, given: str) -> WebDestination:
    """Return the archive at an address, or the one of the file that has this name.

    Raises ``DestinationUnknown`` and ``DestinationsUnusable``.
    """
    if "://" not in given:
        found = find_destination(destinations_file(settings), given)
        if not isinstance(found, WebDestination):
            raise DestinationUnknown(f"{given} is of kind dicom; it must be of kind stow")
        return found
    made = WebDestination("archive", given)
    try:
        _check_web(made)
    except ValueError as error:
        raise DestinationsUnusable(str(error)) from None
    return made


def find_destination(path: Path, name: str) -> Destination:
    """Return one of the file's. Raises ``DestinationUnknown`` and ``DestinationsUnusable``."""
    destinations = read_destinations(path)
    if name not in destinations:
        known = ", ".join(destinations) or "none"
        raise DestinationUnknown(f"{name}; {path} has: {known}")
    return destinations[name]


def _destination(name: str, table: dict[str, Any]) -> Destination:
    kind = table.pop("kind", None)
    if kind not in _KINDS:
        raise ValueError("kind must be dicom or stow")
    shape = _KINDS[kind]
    known = {field.name: field for field in fields(shape) if field.name != "name"}
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise ValueError(f"{', '.join(unknown)} is no key of kind {kind}")
    values = {key: _checked(key, str(known[key].type), value) for key, value in table.items()}
    try:
        made = shape(name=name, **values)
    except TypeError:
        needed = "host, port and called" if shape is DicomDestination else "url"
        raise ValueError(f"it needs {needed}") from None
    if isinstance(made, WebDestination):
        _check_web(made)
    return made


def _checked(key: str, kind: str, value: Any) -> Any:
    """Return the value as its field wants it; raises ``ValueError`` with the key alone."""
    if key in ("called", "calling"):
        return title_of(str(value))
    if kind.startswith("Path"):
        if not isinstance(value, str) or not Path(value).is_file():
            raise ValueError(f"{key} must name a file")
        return Path(value)
    wanted: tuple[type, ...] = (str,)
    if kind.startswith("int"):
        wanted = (int,)
    elif kind.startswith("float"):
        wanted = (int, float)
    elif kind.startswith("bool"):
        wanted = (bool,)
    is_right = isinstance(value, wanted) and (wanted == (bool,) or not isinstance(value, bool))
    if not is_right:
        raise ValueError(f"{key} must be {'text' if wanted == (str,) else kind.split(' ')[0]}")
    if key.endswith("port") and not 1 <= value <= 65535:
        raise ValueError(f"{key} must be from 1 to 65535")
    if key == "timeout_s" and not 0 < value <= 600:
        raise ValueError("timeout_s must be above 0 and at most 600")
    return value


def _check_web(destination: WebDestination) -> None:
    parts = urlsplit(destination.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url must begin with http:// or https://")
    if parts.username or parts.password:
        raise ValueError("user and password are keys of their own, not part of url")
    if destination.token is not None and destination.user is not None:
        raise ValueError("give user and password, or token, not both")
    if (destination.user is None) != (destination.password is None):
        raise ValueError("user and password go together")
