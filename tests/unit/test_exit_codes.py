"""How a command ends, for scripts: each kind of end has its code."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator

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
        (ended(failed=1, rejected=1), 3),
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


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (OSError(errno.ENOSPC, "No space left", "/full"), errors.DiskFull("/full")),
        (OSError(errno.ENOSPC, "No space left", b"/full"), errors.DiskFull("/full")),
        (OSError(errno.EDQUOT, "Quota exceeded"), errors.DiskFull("standard output")),
        (
            ConnectionResetError(errno.ECONNRESET, "reset by peer"),
            errors.ServiceUnavailable("reset by peer"),
        ),
        (ConnectionAbortedError(), errors.ServiceUnavailable("ConnectionAbortedError")),
        (
            FileNotFoundError(errno.ENOENT, "no place"),
            errors.FolderUnusable("for temporary files: no place"),
        ),
        (
            FileNotFoundError(errno.ENOENT, "No such file", "/gone"),
            errors.SystemRefused("/gone: No such file"),
        ),
        (PermissionError(errno.EACCES, "denied"), errors.SystemRefused("[Errno 13] denied")),
        (PermissionError(errno.EACCES, "denied", "/shut"), errors.SystemRefused("/shut: denied")),
        (OSError("an odd one"), errors.SystemRefused("an odd one")),
    ],
    ids=repr,
)
def test_a_refusal_of_the_system_is_told_by_its_cause(
    end: Callable[..., tuple[int, str]], refusal: OSError, told: errors.HcBatchError
) -> None:
    code, said = end(refusal)
    assert said == f"hc-batch: {told} [{told.code}]\n"
    assert code == (4 if isinstance(told, errors.ServiceUnavailable) else 2)


@pytest.mark.parametrize(("level", "is_whole"), [("DEBUG", True), ("INFO", False), ("", False)])
def test_a_traceback_is_for_those_who_ask_for_it(
    end: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, level: str, is_whole: bool
) -> None:
    monkeypatch.setenv("HC_LOG_LEVEL", level)
    code, said = end(KeyError("x"))
    assert code == 1
    assert ("Traceback (most recent call last)" in said) is is_whole


def test_a_wrong_option_is_told_with_the_name_that_people_type(
    end: Callable[..., tuple[int, str]], capfd: pytest.CaptureFixture[str]
) -> None:
    end(0)  # puts a command in its place
    assert commands.run(["doctor", "--nothing"]) == 2
    assert capfd.readouterr().err.startswith("Usage: hc-batch doctor")


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], None]]:
    """Leads standard output elsewhere, buffered as that of a command."""

    def lead(descriptor: int) -> None:
        os.dup2(descriptor, 1)
        os.close(descriptor)
        monkeypatch.setattr(sys, "stdout", open(1, "w", closefd=False))  # noqa: SIM115

    kept = os.dup(1)
    yield lead
    os.dup2(kept, 1)
    os.close(kept)


def broken_pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        (lambda: os.open("/dev/full", os.O_WRONLY), 4, "standard output"),
        (broken_pipe, 141, ""),
        (lambda: os.open("/dev/null", os.O_WRONLY), 0, ""),
    ],
    ids=["full", "no reader", "sound"],
)
def test_what_output_does_not_take_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    output: Callable[[int], None],
    where: Callable[[], int],
    code: int,
    said: str,
) -> None:
    """It is told at the end of the command, and Python's own end does not fail on it."""
    command = click.Command("doctor", callback=lambda: print(end="a line"))  # noqa: T201
    monkeypatch.setattr(commands.LazyGroup, "get_command", lambda *_: command)
    output(where())
    found = commands.run(["doctor"])
    sys.stdout.flush()
    assert os.readlink("/proc/self/fd/1") == "/dev/null"
    told = capfd.readouterr().err
    assert found == code
    assert said in told
    assert bool(told) == bool(said)
