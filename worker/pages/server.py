"""Serves the pages: some processes, bounded connections, no patience for slow strangers."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import resource
import signal
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from worker import log
from worker.errors import AddressTaken, PagesUnprotected
from worker.pages.access import Access
from worker.pages.app import make_app
from worker.pages.site import Site
from worker.reading.sandbox.pool import ReaderPool
from worker.settings import Settings
from worker.store.session import open_database

logger = logging.getLogger(__name__)

LOOPBACK = ("127.0.0.1", "localhost", "::1", "[::1]")
_ASKING_S = 10.0
"""Seconds for a request's head: whoever takes longer keeps a place from others."""
_KEPT_S = 5
_ENDING_S = 5
_CONNECTIONS = 500
_BACKLOG = 2048
"""Connections that wait to be taken, as uvicorn itself has it."""
_READERS = 1
"""An image takes some 20 ms: one reader serves more than people look at."""


class ImpatientProtocol(H11Protocol):
    """Closes a connection whose request does not come in time; uvicorn would wait for ever."""

    _asking: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Take what came; wait on where it is the beginning of a request."""
        super().data_received(data)
        if self._is_answering():
            self._end_waiting()
        elif self.conn.trailing_data[0] and self._asking is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._end_waiting()
        super().connection_lost(exc)

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self) -> None:
        self._asking = self.loop.call_later(_ASKING_S, self._give_up)

    def _end_waiting(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def _give_up(self) -> None:
        self._asking = None
        if not self._is_answering():
            self.transport.close()


@dataclass(frozen=True, slots=True)
class Serving:
    """What is served to whom, at which address; the same in each process."""

    settings: Settings
    access: Access
    host: str
    port: int
    may_review: bool
    names: Collection[str]


def serve(
    settings: Settings,
    access: Access,
    *,
    host: str,
    port: int,
    may_review: bool,
    hosts: Collection[str] = (),
    processes: int = 1,
) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises ``PagesUnprotected`` for another address than this machine's own without tokens or a
    proxy, ``AddressTaken``, and what ``open_database`` raises.
    """
    is_local = host in LOOPBACK
    if not is_local and not access.tokens and access.proxy is None:
        raise PagesUnprotected
    names = {*hosts, *(LOOPBACK if is_local else ())} if is_local or hosts else ()
    _allow_open_files()
    serving = Serving(settings, access, host, port, may_review, names)
    if processes == 1:
        _serve_here(serving)
        return
    with open_database(settings):  # what is wrong with it is said once
        pass
    with _bound(host, port) as listener:
        _serve_in(processes, serving, listener)


def _serve_here(serving: Serving, listener: socket.socket | None = None) -> None:
    settings, host, port = serving.settings, serving.host, serving.port
    with (
        open_database(settings) as database,
        ReaderPool(_READERS, roots=settings.data_roots.paths) as readers,
    ):
        site = Site(database, settings.data_roots, readers, serving.access, serving.may_review)
        app = make_app(site, serving.names)
        server = uvicorn.Server(_config(app, serving.access, host, port))
        with _listening(server, host, port):
            server.run(sockets=None if listener is None else [listener])


def _serve_in(processes: int, serving: Serving, listener: socket.socket) -> None:
    """Let so many processes answer, and another where one dies, until SIGTERM or Ctrl-C."""
    ending, told = multiprocessing.get_context("spawn").Pipe(duplex=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.send(None))
    running = [_started(serving, listener) for _ in range(processes)]
    try:
        while ending not in wait([ending, *(each.sentinel for each in running)]):
            for each in [each for each in running if not each.is_alive()]:
                logger.warning(
                    "a process of the pages ended with %s; another begins", each.exitcode
                )
                running.remove(each)
                running.append(_started(serving, listener))
    finally:
        for each in running:
            each.terminate()
        for each in running:
            each.join()


def _started(serving: Serving, listener: socket.socket) -> BaseProcess:
    # Spawned: libraries of this process have threads, which a fork would not take along.
    process = multiprocessing.get_context("spawn").Process(
        target=_serve_as_one_of_several, args=(serving, listener)
    )
    process.start()
    return process


def _serve_as_one_of_several(serving: Serving, listener: socket.socket) -> None:
    log.configure(serving.settings.log_level, serving.settings.log_format)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the first process tells
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _serve_here(serving, listener)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket that listens. Raises ``AddressTaken``."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host.strip("[]"), port), family=family, backlog=_BACKLOG)
    except OSError:
        raise AddressTaken(f"{host}:{port}") from None


@contextmanager
def _listening(server: uvicorn.Server, host: str, port: int) -> Iterator[None]:
    """Name what stands in the way; uvicorn ends the process without a word of ours."""
    try:
        yield
    except SystemExit as end:
        if end.code:
            raise AddressTaken(f"{host}:{port}") from None
    except KeyboardInterrupt:
        pass  # it has ended as on SIGTERM


def _config(app: Any, access: Access, host: str, port: int) -> uvicorn.Config:
    networks = () if access.proxy is None else access.proxy.networks
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=ImpatientProtocol,
        ws="none",
        lifespan="off",
        access_log=False,  # addresses hold names of files
        log_config=None,
        log_level="warning",
        server_header=False,
        proxy_headers=bool(networks),
        forwarded_allow_ips=[str(network) for network in networks],
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_KEPT_S,
        timeout_graceful_shutdown=_ENDING_S,
    )


def _allow_open_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
