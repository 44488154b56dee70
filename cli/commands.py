"""The one entry point: ``hc-batch``.

Commands live one group per file and are imported when called, so that help and listings never
pay for the network.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.errors import HcBatchError, OperatorError, ServiceUnavailable
from worker.result import Status

if TYPE_CHECKING:
    from worker.store.progress import Progress

EXIT_OK = 0
EXIT_UNEXPECTED = 1
EXIT_USAGE = 2
EXIT_SOME_REFUSED = 3
EXIT_UNREACHABLE = 4
EXIT_NOT_FINISHED = 5
EXIT_INTERRUPTED = 130

COMMANDS = {
    "run": ("cli.run", "Measure files in this process and store the rows."),
    "submit": ("cli.submit", "Queue files for the workers."),
    "worker": ("cli.worker", "Measure what is queued, until stopped."),
    "watch": ("cli.watch", "Queue files as they arrive in a folder."),
    "status": ("cli.status", "Count scans by state; show rate and remaining time."),
    "results": ("cli.results", "Show or export the rows."),
    "requeue": ("cli.requeue", "Put failed or rejected scans in the queue again."),
    "cancel": ("cli.cancel", "End what a batch has not finished yet."),
    "doctor": ("cli.doctor", "Check services, weights, disk and GPU; say what to type."),
    "inspect": ("cli.inspect", "Show what files tell: scale, regions, decoder, or why not."),
    "db": ("cli.db", "Create, migrate and check the database."),
    "model": ("cli.model.group", "Show, verify, train and evaluate the network."),
    "demo": ("cli.demo", "Measure phantoms of known HC through the queue."),
    "bench": ("cli.bench", "Measure speed: decoding, network, run, queue."),
}


class LazyGroup(click.Group):
    """Knows its commands by name and one line of help; imports a command when it is used."""

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
    Exit codes: 0 all measured or flagged; 1 unexpected; 2 usage; 3 finished, some rejected
    or failed; 4 a service is unreachable; 5 not finished in time; 130 interrupted.
    """


def main() -> None:
    """Run the command line; every error ends in one line and its exit code."""
    try:
        code = cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except HcBatchError as error:
        click.echo(f"hc-batch: {error} [{error.code}]", err=True)
        code = _exit_code(error)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has gone: nobody is left to tell
        code = EXIT_UNEXPECTED
    except Exception as error:
        _tell_unexpected(error)
        code = EXIT_UNEXPECTED
    sys.exit(code or EXIT_OK)


def _tell_unexpected(error: Exception) -> None:
    """Say where it happened, without the error's own text: that may quote a patient's file."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = f"{type(error).__name__} in {Path(place.filename).name}, line {place.lineno}"
    click.echo(f"hc-batch: {what}; please report it [unexpected]", err=True)
    if os.environ.get("HC_LOG_LEVEL") == "DEBUG":
        traceback.print_exception(error)


def exit_code_for(progress: Progress) -> int:
    """Return the exit code of a batch that was followed to its end, or given up."""
    if not progress.finished:
        return EXIT_NOT_FINISHED
    refused = progress.counts[Status.REJECTED] + progress.counts[Status.FAILED]
    return EXIT_SOME_REFUSED if refused else EXIT_OK


def _exit_code(error: HcBatchError) -> int:
    if isinstance(error, ServiceUnavailable):
        return EXIT_UNREACHABLE
    return EXIT_USAGE if isinstance(error, OperatorError) else EXIT_UNEXPECTED


if __name__ == "__main__":
    main()
