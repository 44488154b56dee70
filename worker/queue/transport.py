"""Redis as Celery knows it, except that neither messages nor lost answers make a worker stop.

Whoever may write to Redis may write anything. What is no message at all would end Celery's loop;
what only looks like one would be restored when the worker ends, and end the next one too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kombu.transport import redis, virtual

logger = logging.getLogger(__name__)

_UNFIT = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
# Where no message is there yet, a KeyError tells the transport of a lost connection.
_NO_MESSAGE = (AttributeError, RecursionError, TypeError, ValueError)

# All that a chunk needs. The rest could set another time limit, which the pool stumbles over with
# its only place taken, or a date in the far future.
_HEADERS = {"task": str, "id": str, "retries": int}


class Message(virtual.Message):
    """A message with all its parts; raises ``ValueError`` where one is missing."""

    def __init__(self, payload: Any, channel: Any = None, **kwargs: Any) -> None:
        try:
            super().__init__(payload, channel, **kwargs)
        except KeyError as error:
            raise ValueError(f"no {error}") from None


class QoS(redis.QoS):
    """Free a message's place, whether or not Redis could be told that it is done.

    Celery goes on after an acknowledgement that failed. The message stays in Redis and comes again,
    and the ledger knows its scans; but the place that it kept would make the worker deaf.
    """

    channel: Any

    def ack(self, delivery_tag: str) -> None:
        """Take a message that is done out of Redis."""
        with self._freeing(delivery_tag):
            super().ack(delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Take a message out of Redis, or put it back at the list's head."""
        with self._freeing(delivery_tag):
            super().reject(delivery_tag, requeue)

    @contextmanager
    def _freeing(self, delivery_tag: str) -> Iterator[None]:
        try:
            yield
        except self.channel.connection_errors:
            virtual.QoS.ack(self, delivery_tag)
            raise


class Channel(redis.Channel):
    """A channel that refuses what cannot be understood, and goes on with the next message."""

    Message = Message
    QoS = QoS

    def basic_consume(
        self,
        queue: str,
        no_ack: bool,
        callback: Callable[..., Any] | None,
        consumer_tag: str | None,
        **kwargs: Any,
    ) -> Any:
        """Hand messages to the callback; take those out of the way at which it fails."""

        def handle(message: Any) -> None:
            try:
                if not no_ack:  # what is acknowledged are chunks; remote control is not
                    message.headers = _known(message.headers)
                if callback:
                    callback(message)
            except _UNFIT as error:
                _refuse(error)
                if not no_ack and not message.acknowledged:
                    message.reject()

        return super().basic_consume(queue, no_ack, handle, consumer_tag, **kwargs)

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        except _NO_MESSAGE as error:
            return _refuse(error)

    def _deliver_fanout_message(self, message: object, exchange: str) -> Any:
        try:
            return super()._deliver_fanout_message(message, exchange)  # type: ignore[misc]
        except _NO_MESSAGE as error:
            return _refuse(error)


class Transport(redis.Transport):
    """The transport of ``redis://``, ``rediss://`` and ``redis+socket://`` alike."""

    Channel = Channel


def _known(headers: Mapping[str, object]) -> dict[str, object]:
    return {
        name: headers[name]
        for name, kind in _HEADERS.items()
        if isinstance(headers.get(name), kind)
    }


def _refuse(error: Exception) -> bool:
    """Log the error without the message's words; True: the list has one message less."""
    logger.error("refused a message that cannot be understood: %s", type(error).__name__)
    return True
