"""Whoever can write to Redis can send a worker anything: all of it is refused, and harms nobody."""

from __future__ import annotations

import base64
import json
import pickle
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from hcmodel.model_card import SHIPPED
from rig.waiting import until
from worker.intake.submit import submit
from worker.queue.celery_app import KEY_PREFIX, QUEUE, TASK
from worker.queue.redis_client import connect
from worker.result import Status
from worker.settings import Settings
from worker.store.progress import counts, wait
from worker.store.session import Database
from worker.store.tables import AttemptRow

pytestmark = pytest.mark.skipif(not SHIPPED.exists(), reason="needs the shipped weights")

LIMIT_S = 90
LIST = f"{KEY_PREFIX}{QUEUE}"


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What is tested here is the queue: one kind of database will do."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
def environment(environment: dict[str, str], redis_url: str) -> dict[str, str]:
    return environment | {"HC_BROKER_URL": redis_url}


class Harm:
    """A pickle that makes a file where it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def message(body: bytes, task: str = TASK, kind: str = "application/json") -> bytes:
    """As Celery would write it."""
    return json.dumps(
        {
            "body": base64.b64encode(body).decode(),
            "content-type": kind,
            "content-encoding": "utf-8" if kind == "application/json" else "binary",
            "headers": {"lang": "py", "task": task, "id": "forged", "root_id": "forged"},
            "properties": {
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": QUEUE},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": "forged",
            },
        }
    ).encode()


def call(*arguments: object) -> bytes:
    return json.dumps([arguments, {}, {}]).encode()


def forged(harm: Path) -> dict[str, bytes]:
    whole = json.loads(message(call([1])))

    def changed(**parts: object) -> bytes:
        return json.dumps(whole | parts).encode()

    return {
        "no JSON": b"\x80\x04 not at all {",
        "no object": b"[1, 2]",
        "no properties": json.dumps({"body": "", "headers": {}}).encode(),
        "no task": changed(headers={}),
        "headers of a wrong type": changed(headers=7),
        "unknown task": message(call([1]), task="os.system"),
        "no id": changed(headers={"task": TASK}),
        "time limits of a wrong type": changed(headers=whole["headers"] | {"timelimit": 7}),
        "a tag of a wrong type": changed(properties=whole["properties"] | {"delivery_tag": []}),
        "nested without end": b"[" * 100_000,
        "body of no list": message(b"7"),
        "body cut short": message(b"[[[1"),
        "no arguments": message(call()),
        "too many arguments": message(call([1], [2])),
        "words": message(call("1,2")),
        "wrong types": message(call([1, "2", None])),
        "unknown ids": message(call([10**12, 10**12 + 1])),
        "a million ids": message(call(list(range(1, 1_000_001)))),
        "a pickle": message(
            pickle.dumps(([[1], Harm(harm)], {}, {})), kind="application/x-python-serialize"
        ),
    }


@contextmanager
def worker(environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "worker"], env=environment, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)
        sys.stderr.write(log.read_text()[-10_000:])


def test_a_worker_refuses_them_all_and_goes_on(
    environment: dict[str, str], settings: Settings, database: Database, tmp_path: Path
) -> None:
    log, harm, scan = tmp_path / "worker.log", tmp_path / "harm", tmp_path / "a.png"
    scan.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert settings.broker_url is not None
    with connect(settings.broker_url) as client, worker(environment, log) as process:
        for each in forged(harm).values():
            client.lpush(LIST, each)
        until(lambda: not client.llen(LIST) and not client.hlen(f"{KEY_PREFIX}unacked"))
        for each in (b"{", b"7", b"[1]", b'{"headers": {}}'):
            client.publish(f"{KEY_PREFIX}/0.celery.pidbox", each)
        assert counts(database) == dict.fromkeys(Status, 0)
        submission = submit(settings, [scan])
        assert submission.workers_listening
        assert wait(database, submission.batch, LIMIT_S).finished
        until(lambda: not client.hlen(f"{KEY_PREFIX}unacked"))
        assert process.poll() is None, log.read_text()
    assert not harm.exists()
    assert "geheim" not in log.read_text()
    assert log.read_text().count("finished 1 scans") == 1
    with database.reading() as connection:
        assert connection.scalars(select(AttemptRow.event)).all() == ["claimed", "finished"]
