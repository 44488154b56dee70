"""Whether the weights can be trusted; loads nothing that measures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hcmodel.model_card import Card, WeightsError, verify
from worker.errors import ModelMismatch
from worker.settings import Settings


@contextmanager
def trusted_weights() -> Iterator[None]:
    """Open weights in this block; raises ``ModelMismatch`` where they cannot be trusted."""
    try:
        yield
    except WeightsError as error:
        raise ModelMismatch(str(error)) from error


def verify_weights(settings: Settings) -> Card:
    """Return the weights' card; raises ``ModelMismatch`` where it or they cannot be trusted."""
    with trusted_weights():
        return verify(settings.weights)
