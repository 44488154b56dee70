"""Training through the command line: interrupted, resumed, judged."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from hcmodel.card import read_card, verify
from hcmodel.geometry import Spacing
from hcmodel.phantom import draw_phantom, random_head
from hcmodel.training.hc18 import HC_COLUMN, PIXEL_SIZE_COLUMN

SHAPE = (180, 270)
HC_BATCH = Path(sys.executable).parent / "hc-batch"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve phantoms in HC18's form."""
    folder = tmp_path_factory.mktemp("labelled")
    with (folder / "training_set_pixel_size_and_HC.csv").open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["filename", PIXEL_SIZE_COLUMN, HC_COLUMN])
        for number in range(12):
            rng = np.random.default_rng(number)
            head = random_head(SHAPE, rng)
            name = f"{number:03}_HC.png"
            cv2.imwrite(str(folder / name), draw_phantom(SHAPE, head, rng))
            ring = np.abs(head.signed_distance_px(SHAPE)) <= 1.5
            annotation = folder / name.replace(".png", "_Annotation.png")
            cv2.imwrite(str(annotation), np.where(ring, 255, 0).astype(np.uint8))
            writer.writerow([name, 0.5, head.circumference_mm(Spacing(0.5, 0.5))])
    return folder


def train(labelled: Path, target: Path, *, epochs: int) -> list[str]:
    options = ["--recipe", "hc18", "--fold", "1", "--epochs", str(epochs), "--out", str(target)]
    return [str(HC_BATCH), "model", "train", str(labelled), *options]


@pytest.mark.parametrize("recipe", ["notebook"])
def test_the_notebooks_recipe_trains(labelled: Path, tmp_path: Path, recipe: str) -> None:
    command = train(labelled, tmp_path, epochs=1)
    command[command.index("hc18")] = recipe
    subprocess.run(command, check=True, capture_output=True)
    card = verify(tmp_path / f"{recipe}.keras")
    assert (card.network.input_height, card.network.input_width) == (256, 256)
    assert card.network.stem_stride == 1
    assert "accuracy" in (tmp_path / "log.csv").read_text().splitlines()[0]


def test_a_killed_training_resumes_with_the_same_command(labelled: Path, tmp_path: Path) -> None:
    target = tmp_path / "run"
    command = train(labelled, target, epochs=4)
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 120
    while not (target / "checkpoint.keras").exists() and time.monotonic() < deadline_s:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert (target / "checkpoint.keras").exists()
    assert not (target / "hc18.keras").exists()

    again = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "weights:" in again.stderr
    with (target / "log.csv").open() as lines:
        epochs = [int(row["epoch"]) for row in csv.DictReader(lines)]
    assert epochs[-1] == 3
    assert len(set(epochs)) == len(epochs)
    assert (target / "curve.png").stat().st_size > 1000
    card = read_card(target / "hc18.keras")
    assert card.recipe == "hc18"
    assert len(card.training["exams"]) < 12  # type: ignore[arg-type]

    judged = subprocess.run(
        [str(HC_BATCH), "model", "evaluate", str(labelled), "--weights", target / "hc18.keras"],
        env=os.environ | {"HC_DATA_DIR": str(tmp_path / "data")},
        check=True,
        capture_output=True,
        text=True,
    )
    unseen = 12 - len(card.training["exams"])  # type: ignore[arg-type]
    assert f"{unseen} of 12 images are of unseen exams" in judged.stderr
    assert "all images" in judged.stdout


def test_a_folder_that_cannot_train_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(HC_BATCH), "model", "train", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "training-data-unusable" in done.stderr
    assert "pixel_size" in done.stderr
