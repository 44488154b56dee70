"""Trains a recipe on a folder, resumes where it stopped, and writes weights with their card.

``hc-batch model train DIR --recipe hc18 --fold 0`` runs it; the same command resumes it. One core
with AVX-512 takes about half an hour for one fold of HC18's 799 images with recipe ``hc18``; the
model card tells the error to expect.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from hcmodel.arrays import Tensor, shape_of
from hcmodel.backends.export import export
from hcmodel.dataset.hc18 import (
    LabelledImage,
    TrainingDataError,
    of_each,
    read_grey,
    read_truth,
)
from hcmodel.geometry import Ellipse
from hcmodel.gestational_age import MIDDLE, trimester
from hcmodel.model_card import Card, file_sha256
from hcmodel.polar_net import get_outline_net
from hcmodel.preprocess import to_tensor, whole_image
from hcmodel.training.augment import Sample, shown
from hcmodel.training.batches import Batches
from hcmodel.training.curve import draw_curve
from hcmodel.training.losses import LOSSES
from hcmodel.training.polar_training import Bands, compiled_outline_net
from hcmodel.training.precision import precision
from hcmodel.training.recipes import Recipe
from hcmodel.training.resumable import trained
from hcmodel.training.schedule import cosine
from hcmodel.unet import get_unet

CHECKPOINT = "checkpoint.keras"
OUTLINE_CHECKPOINT = "outline-checkpoint.keras"
LOG = "log.csv"
OUTLINE_LOG = "outline-log.csv"
BEGUN = "begun.json"


class Samples(Batches):
    """Batches of ``(B, H, W, 1)`` images and the masks of every output, augmented or plain."""

    def __init__(
        self,
        samples: Sequence[Sample],
        turns: Sequence[int],
        recipe: Recipe,
        *,
        augmented: bool,
    ) -> None:
        super().__init__(samples, turns, recipe.batch_size, augmented=augmented)
        self._recipe = recipe

    def __getitem__(self, step: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        chosen = [self._draw(sample, rng) for sample, rng in self._batch(step)]
        images = to_tensor(np.stack([pixels for pixels, _ in chosen]))
        return images, self._masks([head for _, head in chosen])

    def _draw(self, sample: Sample, rng: np.random.Generator) -> Sample:
        network = self._recipe.network
        raster = (network.input_height, network.input_width)
        shape = shape_of(sample[0])
        to_network = whole_image(shape, raster, keep_aspect=network.keep_aspect)
        if not self._augmented:
            return shown(sample, to_network, raster)
        late = self.epoch >= self._recipe.epochs - self._recipe.late_epochs
        augment = self._recipe.late_augment if late else self._recipe.augment
        return (augment or self._recipe.augment)(sample, to_network, raster, rng)

    def _masks(self, heads: list[Ellipse | None]) -> tuple[Tensor, ...]:
        network = self._recipe.network
        full = (network.input_height, network.input_width)
        empty = np.zeros(full, np.float32)
        masks = np.stack([empty if head is None else head.coverage(full) for head in heads])
        outputs = [masks[..., None]]
        for level in range(1, self._recipe.side_outputs + 1):
            factor = network.stem_stride * 2**level
            height, width = full[0] // factor, full[1] // factor
            blocks = masks.reshape(len(masks), height, factor, width, factor)
            outputs.append(blocks.mean(axis=(2, 4))[..., None])
        return tuple(outputs)


def load_samples(images: Sequence[LabelledImage]) -> list[Sample]:
    """Images with their truths.

    Raises ``TrainingDataError`` that names every file which cannot be used.
    """
    return of_each(images, lambda image: (read_grey(image.image_path), read_truth(image)))


def _turns(images: Sequence[LabelledImage], recipe: Recipe) -> list[int]:
    """How often each image comes in an epoch: more often below 14 and above 28 weeks."""
    rare = [image.hc_mm is not None and trimester(image.hc_mm) != MIDDLE for image in images]
    return [recipe.rare_turns if each else 1 for each in rare]


def train(
    training: Sequence[LabelledImage],
    validation: Sequence[LabelledImage],
    recipe: Recipe,
    folder: Path,
) -> Path:
    """Train to the recipe's last epoch, from ``folder``'s checkpoint where there is one.

    Writes the network as it is shipped (averaged weights, one output, no optimiser) with its
    card, the log and the curve into ``folder``; returns the weights' path. Raises
    ``TrainingDataError`` where the folder holds another training, or files cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _begin(folder, recipe, training)
    samples, held_out = load_samples(training), load_samples(validation)
    shipped = _trained_unet(samples, held_out, _turns(training, recipe), recipe, folder)
    if recipe.network.outline_look:
        shipped = joined(shipped, _trained_contour_net(samples, held_out, recipe, folder))
    weights = folder / f"{recipe.name}.keras"
    shipped.save(weights)
    _card(weights, training, recipe).write(weights)
    export(weights)
    return weights


def _trained_unet(
    samples: list[Sample], held_out: list[Sample], turns: list[int], recipe: Recipe, folder: Path
) -> keras.Model:
    data = Samples(samples, turns, recipe, augmented=True)
    model = trained(
        folder / CHECKPOINT,
        folder / LOG,
        recipe.epochs,
        lambda: _compiled(recipe, len(data)),
        data,
        Samples(held_out, [1] * len(held_out), recipe, augmented=False),
    )
    draw_curve(folder / LOG, folder / "curve.png")
    return _shipped(model, recipe)


def _trained_contour_net(
    samples: list[Sample], held_out: list[Sample], recipe: Recipe, folder: Path
) -> keras.Model:
    bands = Bands(samples, augmented=True)
    network = trained(
        folder / OUTLINE_CHECKPOINT,
        folder / OUTLINE_LOG,
        recipe.outline_epochs,
        lambda: compiled_outline_net(recipe.outline_epochs, len(bands)),
        bands,
        Bands(held_out, augmented=False),
    )
    draw_curve(folder / OUTLINE_LOG, folder / "outline-curve.png")
    bare = get_outline_net()
    bare.set_weights(network.get_weights())
    return bare


def _card(weights: Path, training: Sequence[LabelledImage], recipe: Recipe) -> Card:
    return Card(
        name=recipe.name,
        sha256=file_sha256(weights),
        network=recipe.network,
        recipe=recipe.name,
        training={
            "images": len(training),
            "epochs": recipe.epochs,
            "exams": sorted({image.exam for image in training}),
        },
    )


def _begin(folder: Path, recipe: Recipe, training: Sequence[LabelledImage]) -> None:
    """Note what is trained here; raises ``TrainingDataError`` where it was something else."""
    note = folder / BEGUN
    this = {
        "recipe": recipe.name,
        "epochs": recipe.epochs,
        "images": sorted(image.name for image in training),
    }
    if not (note.exists() and (folder / CHECKPOINT).exists()):
        note.write_text(json.dumps(this, indent=1) + "\n", encoding="utf-8")
        return
    other = json.loads(note.read_text(encoding="utf-8"))
    if other != this:
        raise TrainingDataError(
            f"{folder} holds a training of recipe {other['recipe']} for {other['epochs']} epochs "
            f"on {len(other['images'])} images, which differ; give another folder with --out"
        )


def _shipped(model: keras.Model, recipe: Recipe) -> keras.Model:
    """Return the network without side outputs; layers keep their order, so weights do too."""
    shipped = get_unet(recipe.network)
    trained = [layer for layer in model.layers if not layer.name.startswith("side_")]
    for layer, source in zip(shipped.layers, trained, strict=True):
        layer.set_weights(source.get_weights())
    return shipped


def joined(*networks: keras.Model) -> keras.Model:
    """Return networks beside each other in one file, an input and an output for each."""
    inputs = [keras.Input(network.input.shape[1:]) for network in networks]
    answers = [network(each) for network, each in zip(networks, inputs, strict=True)]
    return keras.Model(inputs, answers)


def _compiled(recipe: Recipe, steps: int) -> keras.Model:
    with precision(recipe):
        model = get_unet(recipe.network, recipe.side_outputs)
    rate: float | keras.optimizers.schedules.LearningRateSchedule = recipe.learning_rate
    if recipe.cosine:
        rate = cosine(recipe.learning_rate, recipe.epochs, steps)
    optimizer = keras.optimizers.Adam(
        rate, use_ema=recipe.ema_momentum is not None, ema_momentum=recipe.ema_momentum or 0.99
    )
    loss = LOSSES.get(recipe.loss, recipe.loss)
    outputs = 1 + recipe.side_outputs
    model.compile(
        optimizer,
        loss=[loss] * outputs,
        loss_weights=[1.0] + [0.3] * recipe.side_outputs,
        metrics=[["accuracy"]] + [[] for _ in range(recipe.side_outputs)],
    )
    return model
