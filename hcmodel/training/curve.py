"""The training's course as a picture."""

from __future__ import annotations

import csv
from pathlib import Path


def draw_curve(log: Path, picture: Path) -> None:
    """Draw the loss of training and validation by epoch, from the CSV log to a PNG."""
    from matplotlib.figure import Figure

    with log.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    epochs = [int(row["epoch"]) + 1 for row in rows]
    for column, label in (("loss", "training"), ("val_loss", "validation")):
        if rows and rows[0].get(column) not in (None, "", "NA"):
            axes.plot(epochs, [float(row[column]) for row in rows], label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.set_yscale("log")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(picture, dpi=120)
