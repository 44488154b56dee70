"""A watcher that is told to stop, as a supervisor or a container's runtime does."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rig.waiting import LIMIT_S, until
from worker.queue.embedded_redis import EmbeddedRedis
from worker.settings import Settings

COMMAND = Path(sys.executable).with_name("hc-batch")


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What is tested here is the process: one kind of database will do."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.mark.parametrize("is_first_process", [False, True])
@pytest.mark.parametrize("polling", [[], ["--polling"]])
def test_sigterm_ends_a_watcher_and_its_redis(
    environment: dict[str, str],
    settings: Settings,
    inbox: Path,
    is_first_process: bool,
    polling: list[str],
) -> None:
    """Also as the first process of a container, which the kernel's default does not end."""
    command = [str(COMMAND), "watch", str(inbox), "--interval", "60", *polling]
    if is_first_process:
        command = ["unshare", "--pid", "--fork", "--kill-child", *command]
        probe = ["unshare", "--pid", "--fork", "true"]
        if not shutil.which("unshare") or subprocess.run(probe, check=False).returncode:
            pytest.skip("needs the right to make a namespace of processes")
    embedded = EmbeddedRedis(settings.data_dir)
    watcher = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    try:
        until(embedded.answers)
        children = Path(f"/proc/{watcher.pid}/task/{watcher.pid}/children")
        pid = int(children.read_text().split()[0]) if is_first_process else watcher.pid
        subprocess.run(["kill", "-TERM", str(pid)], check=True)
        _, said = watcher.communicate(timeout=LIMIT_S)
    finally:
        watcher.kill()
        watcher.wait()  # or the next test is blamed for it
    assert watcher.returncode == 0, said
    assert b"Traceback" not in said
    assert not embedded.answers()


def test_a_terminal_that_goes_ends_a_watcher_and_its_redis(
    environment: dict[str, str], settings: Settings, inbox: Path
) -> None:
    embedded = EmbeddedRedis(settings.data_dir)
    watcher = subprocess.Popen([COMMAND, "watch", inbox, "--interval", "60"], env=environment)
    try:
        until(embedded.answers)
        watcher.send_signal(signal.SIGHUP)
        assert watcher.wait(LIMIT_S) == 0
    finally:
        watcher.kill()
        watcher.wait()  # or the next test is blamed for it
    assert not embedded.answers()


@pytest.mark.parametrize("command", ["watch", "worker"])
def test_the_first_process_ends_on_sigterm_while_libraries_load(
    environment: dict[str, str], inbox: Path, command: str
) -> None:
    """The kernel keeps from it what it does not handle: a container would wait to be killed."""
    probe = ["unshare", "--pid", "--fork", "true"]
    if not shutil.which("unshare") or subprocess.run(probe, check=False).returncode:
        pytest.skip("needs the right to make a namespace of processes")
    words = ["unshare", "--pid", "--fork", "--kill-child", sys.executable, "-v", "-m", "cli.main"]
    folder = [str(inbox)] if command == "watch" else []
    with subprocess.Popen(
        [*words, command, *folder], env=environment, stderr=subprocess.PIPE, text=True
    ) as outer:
        assert outer.stderr is not None
        for line in outer.stderr:
            if line.startswith("import 'worker.errors"):
                children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
                subprocess.run(["kill", "-TERM", children.read_text().split()[0]], check=True)
                break
        outer.stderr.read()
    assert outer.returncode == 128 + signal.SIGTERM


SWALLOWS = {
    "a destructor": "type('Connection', (), {'__del__': pressed})()",
    "a finalizer": "weakref.finalize(type('Connection', (), {})(), pressed)",
    "a weak reference": "weakref.ref(type('Connection', (), {})(), pressed)",
    "nothing": "pressed()",
}


@pytest.mark.parametrize("swallowed_by", SWALLOWS)
def test_no_ctrl_c_is_lost(environment: dict[str, str], inbox: Path, swallowed_by: str) -> None:
    """Python lets destructors raise nothing, and a client of Redis has one for each question."""
    script = f"""
import os, signal, time, weakref
import worker.watching.watch
from cli.main import main

def pressed(*_):
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(0.01)

def watch(*_, **__):
    left = {SWALLOWS[swallowed_by]}
    del left
    time.sleep({LIMIT_S})
    os._exit(1)

worker.watching.watch.watch = watch
main()
"""
    words = [sys.executable, "-c", script, "watch", str(inbox)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
