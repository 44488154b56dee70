import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hcmodel.model_card import SHIPPED, WeightsError, read_card, verify
from hcmodel.uncertainty import ErrorModel, Feature


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    for path in (SHIPPED, SHIPPED.with_suffix(".json")):
        shutil.copy(path, tmp_path)
    return tmp_path / SHIPPED.name


def test_the_shipped_weights_are_those_of_their_card() -> None:
    card = verify(SHIPPED)
    assert card.sha256[:12] in card.model
    assert SHIPPED.stat().st_size < 15_000_000


def test_one_changed_byte_is_noticed(weights: Path) -> None:
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    with pytest.raises(WeightsError, match="SHA-256"):
        verify(weights)


def test_a_missing_card_and_missing_weights_are_named(weights: Path) -> None:
    card = weights.with_suffix(".json")
    kept = card.read_text()
    card.unlink()
    with pytest.raises(WeightsError, match="no card"):
        verify(weights)
    card.write_text("{}")
    with pytest.raises(WeightsError, match="not a card"):
        read_card(weights)
    card.write_text(kept)
    weights.unlink()
    with pytest.raises(WeightsError, match="cannot read"):
        verify(weights)


def test_an_error_model_comes_back_as_it_was_stored(weights: Path) -> None:
    names = (Feature.AXIS_RATIO, Feature.LOG_RESIDUAL)
    model = ErrorModel(names, (1.0, 2.0), (0.5, 0.5), (0.1, -0.2), 0.7, (0.0, 0.5, 9.0), 2.5, 0.4)
    card = replace(verify(weights), doubt=model)
    card.write(weights)
    assert verify(weights) == card
