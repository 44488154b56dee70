"""A process that has loaded what commands need, and is one command in each of its children.

Most of what a short command takes is the loading of libraries. A child that is forked off has its
own environment, streams, signals and end, as one that a shell starts; see ``rig.command``.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import NoReturn

from cli.commands import COMMANDS
from cli.main import command

LATER = (
    "PIL.Image",
    "alembic.command",
    "hcmodel.annotation",
    "migrations",
    "onnxruntime",
    "psycopg",
    "rich.progress",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.sqlite.pysqlite",
    "worker.doctor",
    "worker.measuring.instrument",
    "worker.reading.dicom",
    "worker.reports.csv_form",
    "worker.reports.document.compose",
    "worker.reports.json_form",
    "worker.store.views",
    "worker.view",
)
"""What commands import only when they get so far."""
MOST_BYTES = 1 << 20


def serve(requests: socket.socket) -> None:
    """Answer each request with its exit code, until nobody asks any more.

    A request is the command's words, folder and environment, with its three standard streams.
    """
    while True:
        text, streams, _, _ = socket.recv_fds(requests, MOST_BYTES, 3)
        if not text:
            return
        child = os.fork()
        if not child:
            requests.close()
            become(**json.loads(text), streams=streams)
            end(command)
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(child, 0)
        requests.send(str(os.waitstatus_to_exitcode(status)).encode())


def become(words: list[str], folder: str, environment: dict[str, str], streams: list[int]) -> None:
    """Take on what a process gets from the one that starts it."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    sys.argv = ["hc-batch", *words]


def end(work: Callable[[], int]) -> NoReturn:
    """Do the work and leave as Python does, but for taking apart what was loaded.

    That would touch, and so copy, all memory that the child shares: ten times what it worked.
    """
    code = 1
    try:
        code = work()
    except BaseException:
        traceback.print_exc()
    threading._shutdown()  # waits for threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    number, *more = sys.argv[1:]
    for name in (*(module for module, _ in COMMANDS.values()), *LATER, *more):
        importlib.import_module(name)
    gc.freeze()  # or the children would copy what they only look at
    serve(socket.socket(fileno=int(number)))
