"""``hc-batch`` and its commands.

Commands live one group per file and are imported when called, so that help and listings never
pay for the network.
"""

from __future__ import annotations

import errno
import importlib
import io
import os
import select
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from cli.exit_codes import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_READER_GONE,
    EXIT_UNEXPECTED,
    EXIT_UNREACHABLE,
    EXIT_USAGE,
)
from cli.interrupts import raise_on_ctrl_c
from worker.errors import (
    DiskFull,
    FolderUnusable,
    HcBatchError,
    OperatorError,
    ServiceUnavailable,
    SystemRefused,
)
from worker.plain_text import visible

COMMANDS = {
    "run": ("cli.run", "Measure files in this process and store the rows."),
    "submit": ("cli.submit", "Queue files for the workers."),
    "worker": ("cli.worker", "Measure what is queued, until stopped."),
    "watch": ("cli.watch", "Queue files as they arrive in a folder."),
    "receive": ("cli.receive", "Receive images over the network (DICOM) and queue them."),
    "fetch": ("cli.fetch", "Fetch images from an archive (DICOMweb) and queue them."),
    "status": ("cli.status", "Count scans by state; show rate and remaining time."),
    "view": ("cli.view", "Measure files and draw what was found."),
    "results": ("cli.results", "Show or export the rows."),
    "report": ("cli.report", "Write a report: one page, or methods and results for a paper."),
    "export": ("cli.export", "Write measurements as DICOM, FHIR or HC18 objects."),
    "summary": ("cli.groups", "Sum rows: counts, median HC, flagged and refused."),
    "send": ("cli.send", "Send measurements to an archive (DICOM)."),
    "serve": ("cli.serve", "Show results as pages, and let people review them."),
    "requeue": ("cli.requeue", "Put failed or rejected scans in the queue again."),
    "cancel": ("cli.cancel", "End what a batch has not finished yet."),
    "batch": ("cli.batch", "Remove a batch."),
    "prune": ("cli.prune", "Remove what ended long ago: rows, history, done/ folders."),
    "doctor": ("cli.doctor", "Check services, weights, disk and GPU; say what to type."),
    "inspect": ("cli.inspect", "Show what files tell: scale, regions, decoder, or why not."),
    "db": ("cli.db", "Create, migrate and check the database."),
    "model": ("cli.model.group", "Show, verify, train and evaluate the network."),
    "demo": ("cli.demo", "Measure phantoms of known HC through the queue."),
    "bench": ("cli.bench", "Measure speed, as ratios of what the machine could do."),
}


class ReaderGone(Exception):
    """Who reads our output has left, as ``head`` does."""


@contextmanager
def readers() -> Iterator[None]:
    """Raise ``ReaderGone`` where click would end the process with a code of its own.

    Raises ``ServiceUnavailable`` where somebody else left: a service, in the midst of an answer.
    """
    try:
        yield
    except BrokenPipeError as error:
        if any(map(_has_no_reader, (1, 2))):
            raise ReaderGone from error
        raise ServiceUnavailable(error.strerror or "") from error


def _has_no_reader(descriptor: int) -> bool:
    """Whether what is written there goes nowhere, by the kernel: an error names no descriptor."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(events & (select.POLLERR | select.POLLHUP) for _, events in poll.poll(0))


class LazyGroup(click.Group):
    """Knows its commands by name and one line of help; imports a command when it is used."""

    def make_context(self, *args: Any, **others: Any) -> click.Context:
        """Return the context; help is shown here."""
        with readers():
            return super().make_context(*args, **others)

    def invoke(self, ctx: click.Context) -> Any:
        """Return what the command returns."""
        with readers():
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command, whose libraries are loaded by now: from here on Ctrl-C is its own."""
        resolved = super().resolve_command(ctx, args)
        raise_on_ctrl_c()
        return resolved

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of ``COMMANDS``: as one would use them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's file."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hc-batch")
def cli() -> None:
    """Measures fetal head circumference (HC) in ultrasound images: DICOM, PNG, JPEG, TIFF.

    A research tool, not a medical device: no clinical decision may rest on its output.

    \b
    Submit a directory:   hc-batch worker &   hc-batch submit DIR
    Watch a folder:       hc-batch watch DIR
    Query the results:    hc-batch results --format csv --out hc.csv
    Without any queue:    hc-batch run DIR

    \b
    Exit codes: 0 all measured or flagged; 1 unexpected; 2 usage, or nothing to
    measure; 3 finished, some rejected or failed; 4 a service is unreachable, or
    the disk is full; 5 not finished in time; 130 interrupted; 141 nobody reads
    the output any more.
    """


def run(words: Sequence[str]) -> int:
    """Run the command line and return its exit code; every error ends in one line."""
    try:
        code = _run(words)
    except (click.exceptions.Abort, KeyboardInterrupt):
        code = EXIT_INTERRUPTED
    except click.ClickException as error:
        _show(error)
        code = error.exit_code
    except HcBatchError as error:
        code = _tell(error)
    except ReaderGone:
        _drop_output()
        code = EXIT_READER_GONE
    except OSError as error:
        _drop_output()
        code = _tell(_refusal_of_system(error))
    except Exception as error:
        _tell_unexpected(error)
        code = EXIT_UNEXPECTED
    return code


def _run(words: Sequence[str]) -> int:
    try:
        code = cli.main(list(words), prog_name="hc-batch", standalone_mode=False)
    except SystemExit as end:
        code = end.code
    # Here a full disk can still be told; at the end of the process it is a traceback.
    with readers():
        sys.stdout.flush()
    return int(code or EXIT_OK)


def _drop_output() -> None:
    """Forget what standard output did not take: Python would try once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _show(error: click.ClickException) -> None:
    text = io.StringIO()
    error.show(text)
    for line in text.getvalue().splitlines():
        _say(line)


def _say(line: str) -> None:
    """Write to standard error; where that is full or nobody reads it, the exit code tells."""
    try:
        click.echo(visible(line), err=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def _tell(error: HcBatchError) -> int:
    _say(f"hc-batch: {error} [{error.code}]")
    if isinstance(error, ServiceUnavailable):
        return EXIT_UNREACHABLE
    return EXIT_USAGE if isinstance(error, OperatorError) else EXIT_UNEXPECTED


def _refusal_of_system(error: OSError) -> HcBatchError:
    name = "standard output" if error.filename is None else os.fsdecode(error.filename)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(name)
    if isinstance(error, ConnectionError):
        return ServiceUnavailable(error.strerror or type(error).__name__)
    if isinstance(error, FileNotFoundError) and error.filename is None:  # as tempfile says it
        return FolderUnusable(f"for temporary files: {error.strerror}")
    return SystemRefused(f"{name}: {error.strerror}" if error.filename else f"{error}")


def _tell_unexpected(error: Exception) -> None:
    """Say where it happened, without the error's own text: that may quote a patient's file."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
    _say(f"hc-batch: {what}; please report it [unexpected]")
    if os.environ.get("HC_LOG_LEVEL") == "DEBUG":
        traceback.print_exception(error)
