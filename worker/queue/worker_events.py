"""What a worker tells those who look on, such as Flower: that it lives, and how busy it is."""

from __future__ import annotations

from typing import Any

from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher


class Dispatcher(EventDispatcher):
    """Send each event once; what cannot be sent waits for the next connection.

    Celery would try again for ever, in a thread that keeps the lock under which a worker that ends
    says so: without Redis it would never end.
    """

    def send(self, type: str, *args: Any, **fields: Any) -> Any:  # noqa: A002 - Celery's name
        """Send the event, or keep it."""
        return super().send(type, *args, **fields | {"retry": False})


class OnceEvents(Events):
    """Celery's events with that dispatcher."""

    dispatcher_cls = "worker.queue.worker_events:Dispatcher"
