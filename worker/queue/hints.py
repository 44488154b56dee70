"""Messages to the workers for as long as the broker answers.

Without the broker's libraries: ``hc-batch run`` has no need of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from worker.errors import BrokerUnreachable

if TYPE_CHECKING:
    from worker.queue.publisher import Publisher

logger = logging.getLogger(__name__)


class Hints:
    """Messages for as long as the broker answers; what it misses is found in the ledger."""

    def __init__(self, publisher: Publisher | None) -> None:
        self._publisher = publisher

    @property
    def available(self) -> bool:
        """Whether all messages so far were sent."""
        return self._publisher is not None

    def send(self, scan_ids: Sequence[int]) -> None:
        """Send the ids, unless a message failed before; a failure is logged."""
        with self._giving_up() as publisher:
            if publisher is not None:
                publisher.publish(scan_ids)

    def are_heard(self) -> bool:
        """Whether any worker answers."""
        with self._giving_up() as publisher:
            return publisher is not None and publisher.is_heard()
        return False

    @contextmanager
    def _giving_up(self) -> Iterator[Publisher | None]:
        try:
            yield self._publisher
        except BrokerUnreachable as error:
            logger.warning("%s", error)
            self._publisher = None
