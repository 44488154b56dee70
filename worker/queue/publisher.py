"""Messages to the workers, and whether there are any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kombu.exceptions import OperationalError

from worker.errors import BrokerUnreachable
from worker.queue.broker import reachable_url
from worker.queue.celery_app import KEY_PREFIX, QUEUE, TASK, create_app
from worker.queue.redis_client import connect, translated
from worker.settings import Settings

_RECONCILED = f"{KEY_PREFIX}reconciled"
_PING_S = 1.0  # a worker that measures answers all the same: its pool is another process


class Publisher:
    """Sends the ids of scans, a chunk per message."""

    def __init__(self, settings: Settings, broker_url: str) -> None:
        self._app = create_app(settings, broker_url)
        self._chunk_size = settings.chunk_size
        self._client = connect(broker_url)

    def publish(self, scan_ids: Sequence[int]) -> None:
        """Send all, whose rows must be committed: no message may come before its scans.

        Raises ``BrokerUnreachable``.
        """
        with _translated(), self._app.producer_or_acquire() as producer:
            for start in range(0, len(scan_ids), self._chunk_size):
                chunk = list(scan_ids[start : start + self._chunk_size])
                self._app.send_task(TASK, args=[chunk], producer=producer)

    def waiting(self) -> int:
        """Count of messages that no worker has taken yet; raises ``BrokerUnreachable``."""
        with translated():
            return int(self._client.llen(f"{KEY_PREFIX}{QUEUE}"))

    def is_heard(self) -> bool:
        """Whether any worker answers; takes a second where none does.

        Raises ``BrokerUnreachable``.
        """
        with _translated():
            return bool(self._app.control.ping(timeout=_PING_S, limit=1))

    def count_workers(self) -> int:
        """Count of workers that answer; takes a second. Raises ``BrokerUnreachable``."""
        with _translated():
            return len(self._app.control.ping(timeout=_PING_S) or ())

    def note_reconciled(self) -> None:
        """Store that ledger and broker were compared, by the broker's clock.

        Raises ``BrokerUnreachable``.
        """
        with translated():
            self._client.set(_RECONCILED, self._client.time()[0])

    def since_reconciled_s(self) -> float | None:
        """Seconds since a worker last compared ledger and broker; None where none ever did.

        Raises ``BrokerUnreachable``.
        """
        with translated():
            stamp = self._client.get(_RECONCILED)
            return None if stamp is None else self._client.time()[0] - float(stamp)

    def close(self) -> None:
        """End the connections."""
        self._client.close()
        self._app.close()


@contextmanager
def reachable_publisher(settings: Settings) -> Iterator[Publisher | None]:
    """Open a publisher where the broker runs; ``None`` where the embedded one waits for a worker.

    Raises ``BrokerUnreachable`` where a configured one does not answer.
    """
    url = reachable_url(settings)
    if url is None:
        yield None
        return
    publisher = Publisher(settings, url)
    try:
        yield publisher
    finally:
        publisher.close()


def workers_listening(settings: Settings) -> bool:
    """Whether any worker would take a message now; raises ``BrokerUnreachable``."""
    with reachable_publisher(settings) as publisher:
        return publisher is not None and publisher.is_heard()


@contextmanager
def _translated() -> Iterator[None]:
    # Celery wraps Redis's errors where it sends, but not where it waits for answers.
    try:
        with translated():
            yield
    except OperationalError as error:
        raise BrokerUnreachable(str(error)) from error
