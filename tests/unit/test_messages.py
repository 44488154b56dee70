"""Messages from a stranger are refused; no message reaches the database before it is checked."""

from __future__ import annotations

import logging

import pytest

from worker.queue.celery_app import create_app
from worker.queue.tasks import measure_chunk
from worker.settings import Settings

FORGED = [
    None,
    7,
    "1,2",
    {"a": 1},
    [1, "2"],
    [1, None],
    [True],
    [0],
    [-1],
    [1.0],
    [2**63],
    [[1]],
    [1] * 1001,
]


@pytest.mark.parametrize("message", FORGED, ids=lambda each: repr(each)[:20])
def test_what_is_no_list_of_ids_is_refused(
    message: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # A database that would be asked is not there: the refusal must come first.
    monkeypatch.setenv("HC_DATABASE_URL", "postgresql://127.0.0.1:1/none")
    with caplog.at_level(logging.ERROR):
        measure_chunk(message)
    assert caplog.messages == ["refused a message that is no list of scans' ids"]


def test_only_json_is_spoken(settings_anywhere: Settings) -> None:
    app = create_app(settings_anywhere, "redis://127.0.0.1:1/0")
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == "json"


def test_a_chunk_cannot_outlive_its_message(settings_anywhere: Settings) -> None:
    conf = create_app(settings_anywhere, "redis://127.0.0.1:1/0").conf
    assert conf.task_soft_time_limit < conf.task_time_limit
    assert 2 * conf.task_time_limit < conf.broker_transport_options["visibility_timeout"]


@pytest.fixture
def settings_anywhere() -> Settings:
    return Settings.from_environment({})
