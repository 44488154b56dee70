"""The one reader of the environment."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from signal import Signals
from typing import Any

from platformdirs import user_data_dir

from hcmodel.backends.choice import AUTO, BACKENDS
from hcmodel.gestational_age import FORMULAS, HADLOCK_1984
from hcmodel.model_card import SHIPPED
from worker import addresses, log
from worker.addresses import Unfit, redacted
from worker.errors import SettingInvalid, SettingMissing
from worker.exam import Pseudonyms
from worker.roots import Roots

# Where a process can be made to die, in the order of a scan's way.
FAILPOINTS = (
    "after-insert",
    "after-publish",
    "after-claim",
    "reading",
    "before-commit",
    "before-ack",
    "after-send",
    "between-moves",
    "after-move",
)

_DEATHS = {"kill9": Signals.SIGKILL, "segfault": Signals.SIGSEGV}

_VARIABLE = "variable"
_DAY_S = 86_400
_NEARLY = 0.8
"""Likeness of two names: some letters apart, or swapped."""
_OTHER_WORDS = {
    "DB": "HC_DATABASE_URL",
    "POSTGRES": "HC_DATABASE_URL",
    "SQL": "HC_DATABASE_URL",
    "REDIS": "HC_BROKER_URL",
    "CELERY": "HC_BROKER_URL",
    "ROOT": "HC_DATA_ROOTS",
    "MODEL": "HC_WEIGHTS",
}
"""What others call a setting, by the beginning of its name, after HC_."""


def _path(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise Unfit("a path whose ~ is the home of a user") from None


def _directory(text: str) -> Path:
    path = _path(text)
    # Not Path.exists, which raises where a folder above may not be entered.
    if os.path.exists(path) and not os.path.isdir(path):
        raise Unfit("a folder")
    if "?" in str(path):
        raise Unfit("a path without ?, which would end the database's address")
    return path


def _roots(text: str) -> Roots:
    by_name: dict[str, Path] = {}
    for part in filter(None, text.split(os.pathsep)):
        name, equals, folder = part.partition("=")
        root = _path(folder if equals else part)
        name = name if equals else root.name
        if not os.path.isdir(root) or not name or "/" in name or name in by_name:
            raise Unfit(
                f"existing folders or NAME=FOLDER, each name once, with {os.pathsep!r} between"
            )
        by_name[name] = root
    return Roots(by_name)


def _file(text: str) -> Path:
    path = _path(text)
    if not os.path.isfile(path):
        raise Unfit("an existing file")
    return path


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise Unfit(f"one of {', '.join(allowed)}")
        return text

    return parse


def _key(text: str) -> str:
    if len(text) < 16:
        raise Unfit("16 characters or more, which nobody could guess")
    return text


def _switch(text: str) -> bool:
    return _one_of("0", "1")(text) == "1"


def _failpoints(text: str) -> Mapping[str, Signals]:
    parts = [part.strip().partition(":") for part in text.split(",")]
    if not all(point in FAILPOINTS and death in _DEATHS for point, _, death in parts):
        raise Unfit(
            f"POINT:kill9 or POINT:segfault, separated by commas, where POINT is of "
            f"{', '.join(FAILPOINTS)}"
        )
    return {point: _DEATHS[death] for point, _, death in parts}


def _count(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise Unfit(f"a whole number from {least} to {most}")
        return int(text)

    return parse


def _seconds(least: float, most: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise Unfit(f"seconds from {least:g} to {most:g}")
        return value

    return parse


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable: its name, how it is read, and what the documentation says of it.

    ``parse`` raises ``Unfit`` with what was expected. ``shown``: its default for people, where
    that is no plain value. ``is_secret``: no message shows its value.
    """

    name: str
    parse: Callable[[str], Any]
    means: str
    shown: str | None = None
    is_secret: bool = False


def _read_from(
    name: str,
    parse: Callable[[str], Any],
    means: str,
    shown: str | None = None,
    *,
    is_secret: bool = False,
) -> Mapping[str, Variable]:
    return {_VARIABLE: Variable(name, parse, means, shown, is_secret)}


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the environment decides; ``broker_url`` ``None`` is the embedded one.

    A field is the one place of a setting: its variable, parser, default and meaning.
    """

    data_dir: Path = field(
        metadata=_read_from(
            "HC_DATA_DIR",
            _directory,
            "database, private Redis, its log",
            shown="the user's data directory",
        )
    )
    database_url: str = field(
        metadata=_read_from(
            "HC_DATABASE_URL",
            addresses.database_url,
            "`sqlite:///PATH` or `postgresql://USER:PASSWORD@HOST/NAME`",
            shown="SQLite in `HC_DATA_DIR`",
        )
    )
    broker_url: str | None = field(
        default=None,
        metadata=_read_from(
            "HC_BROKER_URL",
            addresses.broker_url,
            "`redis://:PASSWORD@HOST:6379/0`, `rediss://...`, `redis+socket:///PATH`",
            shown="private Redis in `HC_DATA_DIR`",
        ),
    )
    data_roots: Roots = field(
        default_factory=Roots,
        metadata=_read_from(
            "HC_DATA_ROOTS",
            _roots,
            "`NAME=FOLDER:NAME=FOLDER`: nothing outside is opened, and paths are stored as "
            "`NAME:path`, so that machines may mount the folders in different places",
            shown="anywhere",
        ),
    )
    weights: Path = field(
        default=SHIPPED,
        metadata=_read_from(
            "HC_WEIGHTS",
            _file,
            "other weights, with their card beside them",
            shown="the shipped ones",
        ),
    )
    thorough: bool = field(
        default=False,
        metadata=_read_from(
            "HC_THOROUGH",
            _switch,
            "1 as `--thorough` of `run` and `worker`: the network also sees the mirror image, "
            "for twice its time and slightly smaller errors",
            shown="0",
        ),
    )
    engine: str = field(
        default=AUTO,
        metadata=_read_from(
            "HC_ENGINE",
            _one_of(*BACKENDS),
            "what runs the networks: `onnx`, `tensorflow`, or `auto`, which is TensorFlow where it "
            "sees a GPU or the weights have no ONNX files, else ONNX Runtime",
        ),
    )
    ga_formula: str = field(
        default=HADLOCK_1984,
        metadata=_read_from("HC_GA_FORMULA", _one_of(*FORMULAS), "or `intergrowth-2016`"),
    )
    pseudonym_key: str | None = field(
        default=None,
        repr=False,
        metadata=_read_from(
            "HC_PSEUDONYM_KEY",
            _key,
            "16 characters or more, the same on all machines: accession numbers are kept as "
            "HMAC-SHA256 under it, and without it not at all",
            shown="none",
            is_secret=True,
        ),
    )
    accession_numbers: str = field(
        default="hash",
        metadata=_read_from(
            "HC_ACCESSION_NUMBERS",
            _one_of("hash", "plain"),
            "or `plain`: they are kept as they stand, and lead to patients",
        ),
    )
    chunk_size: int = field(
        default=32,  # some seconds of work: little is lost with a worker, little spent on messages
        metadata=_read_from("HC_CHUNK_SIZE", _count(1, 1000), "scans in one message"),
    )
    chunk_limit_s: float = field(
        default=240.0,  # many times what 32 images take: it cuts off only what hangs
        metadata=_read_from(
            "HC_CHUNK_LIMIT_S",
            _seconds(1, _DAY_S),
            "seconds after which a chunk without progress is given up",
        ),
    )
    # With a round of reconciling less than a minute: by then a silent worker's scans go on.
    lease_s: float = field(
        default=45.0,
        metadata=_read_from(
            "HC_LEASE_S",
            _seconds(1, _DAY_S),
            "seconds after which a silent worker's scans are free again",
        ),
    )
    reconcile_s: float = field(
        default=10.0,
        metadata=_read_from(
            "HC_RECONCILE_S",
            _seconds(0.1, 3600),
            "seconds between two comparisons of database and broker",
        ),
    )
    visibility_timeout_s: float = field(
        default=600.0,  # more than twice a chunk's limit, or slow chunks would come again
        metadata=_read_from(
            "HC_VISIBILITY_TIMEOUT_S",
            _seconds(1, 7 * _DAY_S),
            "seconds after which Redis hands out an unacknowledged message again",
        ),
    )
    destinations: Path | None = field(
        default=None,
        metadata=_read_from(
            "HC_DESTINATIONS",
            _file,
            "where objects may be sent: see [hospital.md](hospital.md)",
            shown="`destinations.toml` in `HC_DATA_DIR`",
        ),
    )
    uid_key: str | None = field(
        default=None,
        repr=False,
        metadata=_read_from(
            "HC_UID_KEY",
            _key,
            "16 characters or more, the same on all machines: the UIDs of exported objects are "
            "HMAC-SHA256 under it",
            shown="made once, in `HC_DATA_DIR`",
            is_secret=True,
        ),
    )
    failpoints: Mapping[str, Signals] = field(
        default_factory=dict,
        metadata=_read_from(
            "HC_FAILPOINT",
            _failpoints,
            "for tests only: where a process kills itself, once; see [ledger.md](ledger.md)",
            shown="none",
        ),
    )
    log_format: str = field(
        default=log.TEXT,
        metadata=_read_from(
            "HC_LOG_FORMAT",
            _one_of(log.TEXT, log.JSON),
            "or `json`: one object per line, with the ids of task, batch and scan where it is "
            "about one",
        ),
    )
    log_level: str = field(
        default="INFO",
        metadata=_read_from(
            "HC_LOG_LEVEL",
            _one_of("DEBUG", "INFO", "WARNING", "ERROR"),
            "`DEBUG`, `INFO`, `WARNING`, `ERROR`",
        ),
    )

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings from ``HC_*``; an empty variable counts as absent.

        Raises ``SettingInvalid`` and ``SettingMissing``.
        """
        _refuse_misspelt(env)
        given = {each.name: _parsed(env, each.metadata[_VARIABLE]) for each in fields(cls)}
        given = {name: value for name, value in given.items() if value is not None}
        data_dir = given["data_dir"] = given.get("data_dir") or _default_data_dir()
        given.setdefault("database_url", f"sqlite:///{data_dir / 'hc-batch.sqlite3'}")
        return cls(**given)

    @classmethod
    def documented(cls) -> Iterator[tuple[Variable, str]]:
        """Each variable with its default as people read it, for the page of settings."""
        for each in fields(cls):
            variable: Variable = each.metadata[_VARIABLE]
            default = each.default
            plain = f"{default:g}" if isinstance(default, int | float) else f"`{default}`"
            yield variable, variable.shown or plain

    @property
    def sqlite_path(self) -> Path | None:
        """File of the database, where it is SQLite."""
        scheme, _, path = self.database_url.partition(":///")
        return Path(path) if scheme == "sqlite" else None

    @property
    def pseudonyms(self) -> Pseudonyms:
        """What stands for accession numbers."""
        return Pseudonyms(self.pseudonym_key, is_plain=self.accession_numbers == "plain")

    @property
    def database_name(self) -> str:
        """The database's address without its password."""
        return redacted(self.database_url)

    @property
    def broker_name(self) -> str:
        """The broker's address without its password."""
        return redacted(self.broker_url) if self.broker_url else f"embedded, in {self.data_dir}"


def _default_data_dir() -> Path:
    try:
        return Path(user_data_dir("hc-batch"))
    except RuntimeError:
        raise SettingMissing("HC_DATA_DIR, since this user has no home") from None


def _refuse_misspelt(env: Mapping[str, str]) -> None:
    """Refuse a name that is nearly one of ours: what it says would be passed over in silence."""
    known = [each.metadata[_VARIABLE].name for each in fields(Settings)]
    for name in env:
        if name.upper().startswith("HC_") and name not in known and env[name].strip():
            meant = _meant(name.upper(), known)
            if meant is not None:
                raise SettingInvalid(f"{name} is no setting; {meant} is one")


def _meant(name: str, known: Sequence[str]) -> str | None:
    begins_so = [each for each in known if each.startswith(name) or name.startswith(each)]
    near = difflib.get_close_matches(name, known, n=1, cutoff=_NEARLY)
    otherwise = [meant for word, meant in _OTHER_WORDS.items() if name.startswith(f"HC_{word}")]
    return next(iter([*near, *begins_so, *otherwise]), None)


def _parsed(env: Mapping[str, str], variable: Variable) -> Any:
    """Value of the variable; None where it is absent or empty."""
    text = env.get(variable.name, "").strip()
    if not text:
        return None
    try:
        return variable.parse(text)
    except Unfit as expected:
        said = "its value" if variable.is_secret else f"{redacted(text)!r}"
        raise SettingInvalid(f"{variable.name}={said}, expected {expected}") from None
