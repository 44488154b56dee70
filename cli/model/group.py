"""``hc-batch model``: the network's card, and how it is trained and judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
from rich.table import Table

from cli.console import stdout
from cli.model import calibrate, evaluate, explore, train
from cli.model.training_libraries import training_libraries
from hcmodel.model_card import Card
from worker.measuring.weights import trusted_weights, verify_weights
from worker.settings import Settings

weights_option = click.option(
    "--weights",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Weights to use instead of the shipped ones.  [env: HC_WEIGHTS]",
)


@click.group()
def command() -> None:
    """Show, verify, train, evaluate and calibrate the network, and explore its data.

    Example: hc-batch model show
    """


@command.command()
@weights_option
def show(weights: Path | None) -> None:
    """Print the weights' card: network, recipe, data and figures.

    Example: hc-batch model show
    """
    card = _verified(weights)
    table = Table(show_header=False, box=None)
    table.add_row("model", card.model)
    table.add_row("sha256", card.sha256)
    table.add_row("recipe", card.recipe)
    network = card.network
    table.add_row("input", f"{network.input_height} x {network.input_width} px")
    table.add_row("width, depth", f"{network.width}, {network.depth}")
    for name, value in {**card.training, **card.figures}.items():
        shown = f"{len(value)}" if isinstance(value, list) else f"{value}"
        table.add_row(name.replace("_", " "), shown)
    table.add_row("use", "research only, not a medical device")
    stdout.print(table)


@command.command()
@weights_option
def verify(weights: Path | None) -> None:
    """Check that the weights are the ones their card describes.

    Example: hc-batch model verify
    """
    stdout.print(f"ok: {_verified(weights).model}")


@command.command()
@click.argument("weights", type=click.Path(path_type=Path, dir_okay=False))
def export(weights: Path) -> None:
    """Write the networks of WEIGHTS as ONNX files beside them, and their hashes into the card.

    A worker on a CPU runs those, faster and without TensorFlow. `model train` does it as well.

    Example: hc-batch model export runs/hc18-fold0/hc18.keras
    """
    # TensorFlow takes seconds to import: only who exports pays for it.
    with training_libraries():
        from hcmodel.backends.export import export as export_networks

    with trusted_weights():
        for path in export_networks(weights):
            stdout.print(path.name)


def _verified(weights: Path | None) -> Card:
    return verify_weights(_settings(weights))


def _settings(weights: Path | None) -> Settings:
    settings = Settings.from_environment()
    return replace(settings, weights=weights) if weights else settings


command.add_command(explore.command, "explore")
command.add_command(train.command, "train")
command.add_command(evaluate.command, "evaluate")
command.add_command(calibrate.command, "calibrate")
