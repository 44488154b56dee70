"""How a command ends, for scripts: each kind of end has its code."""

from __future__ import annotations

import errno
from collections.abc import Callable

import click
import pytest

from cli import commands, exit_codes
from cli.follow import exit_code_for
from worker import errors
from worker.result import Status
from worker.store.progress import Progress


def ended(pending: int = 0, *, intake_done: bool = True, **counts: int) -> Progress:
    known = dict.fromkeys(Status, 0) | {Status(name): count for name, count in counts.items()}
    return Progress("b", known | {Status.QUEUED: pending}, 7, intake_done, None)


def test_the_codes_are_those_of_the_readme() -> None:
    codes = {name: code for name, code in vars(exit_codes).items() if name.startswith("EXIT_")}
    assert codes == {
        "EXIT_OK": 0,
        "EXIT_UNEXPECTED": 1,
        "EXIT_USAGE": 2,
        "EXIT_SOME_REFUSED": 3,
        "EXIT_UNREACHABLE": 4,
        "EXIT_NOT_FINISHED": 5,
        "EXIT_INTERRUPTED": 130,
        "EXIT_READER_GONE": 141,
    }


@pytest.mark.parametrize(
    ("progress", "code"),
    [
        (ended(), 0),
        (ended(measured=2, flagged=1, duplicate=1), 0),
        (ended(measured=2, rejected=1), 3),
        (ended(failed=1), 3),
        (ended(running=1, measured=2), 5),
        (ended(1, measured=2, rejected=1), 5),
        (ended(intake_done=False, measured=2), 5),
    ],
)
def test_a_batch_ends_with_its_code(progress: Progress, code: int) -> None:
    assert exit_code_for(progress) == code


class Failing:
    """A command that ends as it is told."""

    def __init__(self, ends_with: BaseException | int | None) -> None:
        self.ends_with = ends_with

    def __call__(self) -> None:
        if isinstance(self.ends_with, BaseException):
            raise self.ends_with
        raise SystemExit(self.ends_with)


@pytest.fixture
def end(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs a command of the command line that ends so; its code and what it says."""

    def run(ends_with: BaseException | int | None) -> tuple[int, str]:
        command = click.Command("doctor", callback=Failing(ends_with))
        monkeypatch.setattr(commands.LazyGroup, "get_command", lambda *_: command)
        code = commands.run(["doctor"])
        return code, capfd.readouterr().err

    return run


@pytest.mark.parametrize(
    ("ends_with", "code", "words"),
    [
        (None, 0, ""),
        (0, 0, ""),
        (3, 3, ""),
        (KeyboardInterrupt(), 130, ""),
        (click.exceptions.Abort(), 130, ""),
        (click.UsageError("give a path"), 2, "give a path"),
        (click.ClickException("no"), 1, "no"),
        (errors.NothingToMeasure("/x"), 2, "[nothing-to-measure]"),
        (errors.DatabaseUnreachable("x"), 4, "[database-unreachable]"),
        (errors.FileDamaged("its end"), 1, "[file-damaged]"),
        (errors.HcBatchError("x"), 1, "hc-batch: "),
        (OSError(errno.ENOSPC, "No space left", "/full"), 4, "/full"),
        (OSError(errno.EDQUOT, "Quota exceeded", "/full"), 4, "/full"),
        (KeyError("name of a patient"), 1, "KeyError in test_exit_codes.py, line"),
    ],
    ids=repr,
)
def test_every_end_has_its_code_and_one_line(
    end: Callable[..., tuple[int, str]],
    ends_with: BaseException | int | None,
    code: int,
    words: str,
) -> None:
    found, said = end(ends_with)
    assert found == code
    assert words in said
    assert "patient" not in said
    assert "Traceback" not in said
    assert len(said.splitlines()) <= (4 if isinstance(ends_with, click.UsageError) else 1)
    assert bool(said.strip()) == bool(words)
