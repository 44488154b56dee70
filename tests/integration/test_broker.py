"""The embedded redis-server: shared, outliving its starter, ended by the last user."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from worker.errors import BrokerUnreachable, SocketFolderUnsafe
from worker.queue.broker import reachable_url, serving
from worker.queue.embedded_redis import EmbeddedRedis
from worker.queue.redis_client import connect
from worker.settings import Settings

HOLD = """
import sys, time
from pathlib import Path
from worker.queue.embedded_redis import EmbeddedRedis
with EmbeddedRedis(Path(sys.argv[1])).used():
    print("up", flush=True)
    sys.stdin.read()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Another process that uses the broker until its stdin ends."""
    user = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert user.stdout is not None
    assert user.stdout.readline() == "up\n"
    return user


def release(user: subprocess.Popen[str]) -> None:
    user.communicate("")
    assert user.returncode == 0


def server_pid(embedded: EmbeddedRedis) -> int:
    return int(connect(embedded.url).info("server")["process_id"])


def test_the_last_user_ends_it(tmp_path: Path) -> None:
    embedded = EmbeddedRedis(tmp_path)
    assert not embedded.answers()
    with embedded.used():
        other = hold(tmp_path)
        pid = server_pid(embedded)
        release(other)
        assert server_pid(embedded) == pid
        other = hold(tmp_path)
    assert server_pid(embedded) == pid
    release(other)
    assert not embedded.answers()


def test_it_outlives_a_starter_that_is_killed(tmp_path: Path) -> None:
    embedded = EmbeddedRedis(tmp_path)
    starter = hold(tmp_path)
    pid = server_pid(embedded)
    connect(embedded.url).set("hint", "kept")
    starter.kill()
    starter.communicate()
    with embedded.used():
        assert server_pid(embedded) == pid
    assert not embedded.answers()
    with embedded.used():
        assert connect(embedded.url).get("hint") == b"kept"


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    embedded = EmbeddedRedis(tmp_path)
    with embedded.used():
        os.kill(server_pid(embedded), signal.SIGKILL)
        while embedded.answers():
            time.sleep(0.01)
        assert embedded.socket.exists()
        embedded.ensure()
        assert embedded.answers()


def test_a_long_or_odd_path_gets_a_socket_elsewhere(tmp_path: Path) -> None:
    for name in ("d" * 120, "with space % and ü"):
        embedded = EmbeddedRedis(tmp_path / name)
        with embedded.used():
            assert len(os.fsencode(embedded.socket)) <= 107
            assert connect(embedded.url).config_get("appendonly") == {"appendonly": "yes"}
            assert embedded.socket.parent.stat().st_mode & 0o077 == 0
        embedded.socket.parent.rmdir()


def use(folder: Path) -> None:
    with EmbeddedRedis(folder).used():
        assert EmbeddedRedis(folder).answers()
        time.sleep(0.2)


def test_users_that_come_and_go_at_once_leave_none_behind(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    users = [context.Process(target=use, args=(tmp_path,)) for _ in range(4)]
    for user in users:
        user.start()
    for user in users:
        user.join()
    assert [user.exitcode for user in users] == [0] * 4
    assert not EmbeddedRedis(tmp_path).answers()


def test_a_configured_broker_is_used_as_it_is(tmp_path: Path) -> None:
    settings = Settings(tmp_path, f"sqlite:///{tmp_path}/l", broker_url="redis://:pw@127.0.0.1:1/0")
    with serving(settings) as url:
        assert url == settings.broker_url
    with pytest.raises(BrokerUnreachable) as error:
        reachable_url(settings)
    assert "pw" not in str(error.value)
    assert not EmbeddedRedis(tmp_path).folder.exists()


def test_it_listens_to_this_user_only(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path).used():
        client = connect(EmbeddedRedis(tmp_path).url)
        assert client.config_get("port") == {"port": "0"}
        assert EmbeddedRedis(tmp_path).socket.stat().st_mode & 0o077 == 0
        with pytest.raises(redis.ResponseError):
            client.execute_command("SELECT", 1)


def test_a_removed_socket_ends_the_old_server(tmp_path: Path) -> None:
    """Two servers would write one append-only file."""
    embedded = EmbeddedRedis(tmp_path)
    with embedded.used():
        connect(embedded.url).set("hint", "kept")
        old = server_pid(embedded)
        embedded.socket.unlink()
        embedded.ensure()
        assert server_pid(embedded) != old
        assert not Path(f"/proc/{old}/cwd").exists()
        assert connect(embedded.url).get("hint") == b"kept"


@pytest.mark.parametrize(("was", "becomes"), [(b"$3", b"$x"), (b"*3", b"\x00\x00")])
def test_a_damaged_file_is_set_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, was: bytes, becomes: bytes
) -> None:
    embedded = EmbeddedRedis(tmp_path)
    with embedded.used():
        for number in range(100):
            connect(embedded.url).set(f"hint{number}", "lost")
    file = embedded.folder / "appendonly.aof"
    content = file.read_bytes()
    half = len(content) // 2
    file.write_bytes(content[:half] + content[half:].replace(was, becomes))
    for _ in range(2):
        with embedded.used():
            assert embedded.answers()
    assert caplog.text.count("did not start: set its file aside") == 1
    assert (embedded.folder / "appendonly.aof.damaged").stat().st_size == len(content)


def test_its_address_does_not_depend_on_tmpdir(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("d" * 120)
    before = EmbeddedRedis(folder).url
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert EmbeddedRedis(folder).url == before


@pytest.mark.parametrize("depth", [1, 120])
@pytest.mark.parametrize("is_link", [False, True])
def test_a_socket_folder_open_to_others_is_refused(
    tmp_path: Path, depth: int, is_link: bool
) -> None:
    embedded = EmbeddedRedis(tmp_path / ("d" * depth))
    folder = embedded.socket.parent
    folder.parent.mkdir(exist_ok=True)
    if is_link:
        (tmp_path / "theirs").mkdir()
        folder.symlink_to(tmp_path / "theirs")
    else:
        folder.mkdir()
        folder.chmod(0o777)
    try:
        with pytest.raises(SocketFolderUnsafe), embedded.used():
            pass
        embedded.socket.touch()
        with pytest.raises(SocketFolderUnsafe):
            embedded.answers()
    finally:
        embedded.socket.unlink(missing_ok=True)
        if is_link:
            folder.unlink()
        elif depth > 1:
            folder.rmdir()
