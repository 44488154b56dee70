"""What a worker's connection to Redis must survive, with a Redis that goes away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from kombu import Consumer, Message, Producer, Queue

from worker.queue.celery_app import QUEUE, create_app
from worker.queue.redis_client import connect
from worker.settings import Settings


@pytest.mark.parametrize("end", [Message.ack, Message.requeue], ids=["done", "given back"])
def test_a_place_is_free_again_where_redis_cannot_be_told(
    redis_url: str, end: Callable[[Any], None]
) -> None:
    """Given a worker's only message, when it ends with Redis gone, then the next one may come."""
    received: list[Any] = []
    with create_app(Settings.from_environment({}), redis_url).connection() as connection:
        channel = connection.channel()
        channel.basic_qos(0, 1, False)
        Producer(channel).publish([1], routing_key=QUEUE, declare=[Queue(QUEUE)])
        with Consumer(channel, [Queue(QUEUE)], on_message=received.append):
            connection.drain_events(timeout=60)
            assert not channel.qos.can_consume()
            connect(redis_url).shutdown(nosave=True)
            with pytest.raises(connection.connection_errors):
                end(received[0])
            assert channel.qos.can_consume()
