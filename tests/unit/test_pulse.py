"""A sign of life is good until after the next round, and no reason to die where it fails."""

import time
from pathlib import Path

import pytest

from worker.pulse import FOLDER, Pulse


def test_a_beat_is_good_until_after_the_next_round(tmp_path: Path) -> None:
    Pulse(tmp_path / "data", "worker", interval_s=3600).beat()
    (file,) = (tmp_path / "data" / FOLDER).iterdir()
    assert file.name == "worker"
    assert 3600 < file.stat().st_mtime - time.time() < 2 * 3600
    assert file.parent.parent.stat().st_mode & 0o777 == 0o700


def test_where_it_cannot_be_written_this_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "data").touch()
    pulse = Pulse(tmp_path / "data", "watch", interval_s=1)
    pulse.beat()
    pulse.beat()
    (line,) = caplog.messages
    assert str(tmp_path / "data" / FOLDER / "watch") in line
