import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

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


def test_a_card_that_names_no_features_has_the_first_ones(weights: Path) -> None:
    named = read_card(weights)
    path = weights.with_suffix(".json")
    fields = json.loads(path.read_text())
    del fields["doubt"]["features"]
    path.write_text(json.dumps(fields))
    assert read_card(weights) == named
    assert read_card(weights).model == named.model


def test_features_in_another_order_are_another_model(weights: Path) -> None:
    card = read_card(weights)
    assert card.doubt is not None
    turned = replace(card.doubt, features=card.doubt.features[::-1])
    assert replace(card, doubt=turned).model != card.model


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"means": [0.0]}, "10 features, but 1 means"),
        ({"weights": [0.0] * 11}, "10 features, but 11 weights"),
        ({"features": ["log-residual"] * 10}, "twice"),
        ({"features": ["charm"] + ["log-residual"] * 9}, "unknown features: charm"),
        ({"deviations": [0.0] * 10}, "deviations must be above zero"),
        ({"means": [float("nan")] * 10}, "means must be finite"),
        ({"weights": ["1"] * 10}, "weights must be finite"),
        ({"bias": float("inf")}, "bias must be a finite number"),
        ({"bias": 10**400}, "bias must be a finite number"),
        ({"bias": None}, "bias must be a finite number"),
        ({"weights": [1e9] * 10}, "too large"),
        ({"ratios": [0.0, 2.0, 1.0]}, "in order"),
        ({"ratios": [1.0]}, "two or more"),
        ({"interval_ratio": -1.0}, "interval_ratio"),
        ({"min_confidence": 2.0}, "min_confidence"),
        ({"bias": {}}, "bias must be a finite number"),
        ({"charm": 1.0}, "charm"),
    ],
)
def test_an_error_model_that_would_fail_in_use_is_refused(
    weights: Path, change: dict[str, Any], said: str
) -> None:
    path = weights.with_suffix(".json")
    fields = json.loads(path.read_text())
    fields["doubt"] |= change
    path.write_text(json.dumps(fields))
    with pytest.raises(WeightsError, match=said):
        verify(weights)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"level": 1.5}, "level"),
        ({"level": "0.5"}, "level"),
        ({"outline_scale": 0}, "outline_scale"),
        ({"training": None}, "training"),
        ({"name": 1}, "name"),
        ({"doubt": []}, "not a card"),
        ({"network": {"input_height": "128"}}, "whole numbers"),
        ({"network": {"second_look": 1}}, "true or false"),
    ],
)
def test_a_card_that_would_fail_in_use_is_refused(
    weights: Path, change: dict[str, Any], said: str
) -> None:
    path = weights.with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(WeightsError, match=said):
        verify(weights)
