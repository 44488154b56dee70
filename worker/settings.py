"""The one reader of the environment."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from signal import Signals
from typing import TypeVar
from urllib.parse import urlsplit

from platformdirs import user_data_dir

from hcmodel.gestational_age import FORMULAS, HADLOCK_1984
from hcmodel.model_card import SHIPPED
from worker import log
from worker.errors import SettingInvalid
from worker.roots import Roots

_DATABASE_DRIVERS = {
    "sqlite": "sqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}
_BROKER_SCHEMES = ("redis", "rediss", "redis+socket")

# Where a process can be made to die, in the order of a scan's way.
FAILPOINTS = (
    "after-insert",
    "after-publish",
    "after-claim",
    "reading",
    "before-commit",
    "before-ack",
    "between-moves",
    "after-move",
)

_DEATHS = {"kill9": Signals.SIGKILL, "segfault": Signals.SIGSEGV}

Value = TypeVar("Value")


def redacted(url: str) -> str:
    """The address without its password, fit for messages and logs."""
    url = re.sub(r"(://[^:@/]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)(password=)[^&]*", r"\1***", url)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the environment decides; ``broker_url`` ``None`` is the embedded one."""

    data_dir: Path
    database_url: str
    broker_url: str | None = None
    weights: Path = SHIPPED
    thorough: bool = False
    data_roots: Roots = field(default_factory=Roots)
    ga_formula: str = HADLOCK_1984
    chunk_size: int = 32
    # With a round of reconciling less than a minute: by then a silent worker's scans go on.
    lease_s: float = 45.0
    reconcile_s: float = 10.0
    chunk_limit_s: float = 240.0
    visibility_timeout_s: float = 600.0
    log_level: str = "INFO"
    failpoints: Mapping[str, Signals] = field(default_factory=dict)
    log_format: str = log.TEXT

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Reads ``HC_*``; an empty variable counts as absent."""
        data_dir = _read(env, "HC_DATA_DIR", _directory, Path(user_data_dir("hc-batch")))
        default_url = f"sqlite:///{data_dir / 'hc-batch.sqlite3'}"
        return cls(
            data_dir=data_dir,
            database_url=_read(env, "HC_DATABASE_URL", _database_url, default_url),
            broker_url=_read(env, "HC_BROKER_URL", _broker_url, None),
            weights=_read(env, "HC_WEIGHTS", _file, SHIPPED),
            thorough=_read(env, "HC_THOROUGH", _one_of("0", "1"), "0") == "1",
            data_roots=_read(env, "HC_DATA_ROOTS", _roots, Roots()),
            ga_formula=_read(env, "HC_GA_FORMULA", _one_of(*FORMULAS), HADLOCK_1984),
            chunk_size=_read(env, "HC_CHUNK_SIZE", _count(1, 1000), 32),
            lease_s=_read(env, "HC_LEASE_S", _seconds(1, 86400), 45.0),
            reconcile_s=_read(env, "HC_RECONCILE_S", _seconds(0.1, 3600), 10.0),
            chunk_limit_s=_read(env, "HC_CHUNK_LIMIT_S", _seconds(1, 86400), 240.0),
            visibility_timeout_s=_read(
                env, "HC_VISIBILITY_TIMEOUT_S", _seconds(1, 7 * 86400), 600.0
            ),
            log_level=_read(
                env, "HC_LOG_LEVEL", _one_of("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"
            ),
            failpoints=_read(env, "HC_FAILPOINT", _failpoints, {}),
            log_format=_read(env, "HC_LOG_FORMAT", _one_of(log.TEXT, log.JSON), log.TEXT),
        )

    @property
    def database_name(self) -> str:
        """The database's address without its password."""
        return redacted(self.database_url)

    @property
    def broker_name(self) -> str:
        """The broker's address without its password."""
        return redacted(self.broker_url) if self.broker_url else f"embedded, in {self.data_dir}"


class _Unfit(Exception):
    """What was expected of a value."""


def _read(
    env: Mapping[str, str], name: str, parse: Callable[[str], Value], default: Value
) -> Value:
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        return parse(text)
    except _Unfit as expected:
        raise SettingInvalid(f"{name}={redacted(text)!r}, expected {expected}") from None


def _directory(text: str) -> Path:
    path = Path(text).expanduser().absolute()
    if path.exists() and not path.is_dir():
        raise _Unfit("a folder")
    return path


def _roots(text: str) -> Roots:
    by_name: dict[str, Path] = {}
    for part in filter(None, text.split(os.pathsep)):
        name, equals, folder = part.partition("=")
        root = Path(folder if equals else part).expanduser().absolute()
        name = name if equals else root.name
        if not root.is_dir() or not name or name in by_name:
            raise _Unfit(
                f"existing folders or NAME=FOLDER, each name once, with {os.pathsep!r} between"
            )
        by_name[name] = root
    return Roots(by_name)


def _file(text: str) -> Path:
    path = Path(text).expanduser().absolute()
    if not path.is_file():
        raise _Unfit("an existing file")
    return path


def _database_url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if not separator or scheme not in _DATABASE_DRIVERS:
        raise _Unfit("sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME")
    if scheme == "sqlite" and not rest.strip("/"):
        raise _Unfit("a file, sqlite:///PATH: workers cannot share a database in memory")
    return f"{_DATABASE_DRIVERS[scheme]}://{rest}"


def _broker_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        fit = parts.scheme in _BROKER_SCHEMES and bool(parts.hostname or parts.path)
        _ = parts.port
    except ValueError:
        fit = False
    if not fit:
        raise _Unfit("redis://:PASSWORD@HOST:PORT/0, rediss://... or redis+socket:///PATH")
    return text


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise _Unfit(f"one of {', '.join(allowed)}")
        return text

    return parse


def _failpoints(text: str) -> Mapping[str, Signals]:
    parts = [part.strip().partition(":") for part in text.split(",")]
    if not all(point in FAILPOINTS and death in _DEATHS for point, _, death in parts):
        raise _Unfit(
            f"POINT:kill9 or POINT:segfault, separated by commas, where POINT is of "
            f"{', '.join(FAILPOINTS)}"
        )
    return {point: _DEATHS[death] for point, _, death in parts}


def _count(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise _Unfit(f"a whole number from {least} to {most}")
        return int(text)

    return parse


def _seconds(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise _Unfit(f"seconds from {least:g} to {most:g}")
        return value

    return parse
