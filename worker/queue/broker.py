"""Which broker a command uses: the configured one, or the embedded one of its data directory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from worker.queue.embedded_redis import EmbeddedRedis
from worker.queue.redis_client import connect, translated
from worker.settings import Settings


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """Address of the broker for a worker or a watcher; starts the embedded one where needed.

    Raises ``BrokerUnreachable`` where that does not start.
    """
    if settings.broker_url is not None:
        yield settings.broker_url
        return
    embedded = EmbeddedRedis(settings.data_dir)
    with embedded.used():
        yield embedded.url


def reachable_url(settings: Settings) -> str | None:
    """Address of the broker where it answers; never starts one.

    ``None`` where the embedded one does not run: then no worker does. Raises
    ``BrokerUnreachable`` where a configured one does not answer.
    """
    if settings.broker_url is None:
        embedded = EmbeddedRedis(settings.data_dir)
        return embedded.url if embedded.answers() else None
    with translated():
        connect(settings.broker_url).ping()
    return settings.broker_url
