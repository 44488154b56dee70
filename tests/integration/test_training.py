"""Training through the command line: interrupted, resumed, judged."""

import csv
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from hcmodel.dataset.hc18 import HC_COLUMN, PIXEL_SIZE_COLUMN, folds_by_exam, read_folder
from hcmodel.dataset.planes import BODIES, PLANES
from hcmodel.drawing import noise_image
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.model_card import SHIPPED, read_card, verify
from hcmodel.phantom import draw_phantom, random_head
from hcmodel.plane import Gate
from rig import command
from rig.command import HC_BATCH, Done
from rig.waiting import until

SHAPE = (180, 270)


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


def train(labelled: Path, target: Path, *, epochs: int, recipe: str = "hc18") -> list[str]:
    options = ["--recipe", recipe, "--fold", "1", "--epochs", str(epochs), "--out", str(target)]
    return ["model", "train", str(labelled), *options]


def test_the_notebooks_recipe_trains_on_half_of_the_exams(labelled: Path, tmp_path: Path) -> None:
    words = [*train(labelled, tmp_path, epochs=1, recipe="notebook"), "--folds", "2"]
    done = hc_trains(*words)
    assert done.returncode == 0, done.stderr
    card = verify(tmp_path / "notebook.keras")
    assert (card.network.input_height, card.network.input_width) == (256, 256)
    assert card.network.stem_stride == 1
    assert "accuracy" in (tmp_path / "log.csv").read_text().splitlines()[0]
    assert (tmp_path / "curve.png").stat().st_size > 1000
    images = read_folder(labelled)
    first, second = folds_by_exam(images, 2)
    assert card.training["exams"] == sorted(images[index].exam for index in first)
    assert len(first) == len(second) == 6

    wrong = hc(*words, "--fold", "2")
    assert wrong.returncode == 2
    assert "2 parts are 0 to 1" in wrong.stderr
    foreign = hc_trains(*words, "--all-images")
    assert foreign.returncode == 2
    assert "12 images to train, 0 held out" in foreign.stderr
    assert "which differ" in foreign.stderr


@pytest.mark.timeout(900)
def test_a_killed_training_resumes_with_the_same_command(labelled: Path, tmp_path: Path) -> None:
    target = tmp_path / "run"
    words = train(labelled, target, epochs=2)
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    first = subprocess.Popen([HC_BATCH, *words], **silent)
    try:
        until((target / "checkpoint.keras").exists, limit_s=300)
    finally:
        first.kill()
        first.wait()
    assert not (target / "hc18.keras").exists()
    # As if it had been killed after the log was written and before the checkpoint was.
    header, *rows = (target / "log.csv").read_text().splitlines()
    (target / "log.csv").write_text("\n".join([header, *rows, rows[-1].replace("0", "3", 1), ""]))

    other = hc_trains(*words, "--epochs", "3")
    assert other.returncode == 2
    assert "training-data-unusable" in other.stderr
    assert "--out" in other.stderr
    again = hc_trains(*words)
    assert "weights:" in again.stderr
    with (target / "log.csv").open() as lines:
        epochs = [int(row["epoch"]) for row in csv.DictReader(lines)]
    assert epochs == [0, 1]
    assert (target / "curve.png").stat().st_size > 1000
    card = read_card(target / "hc18.keras")
    assert card.recipe == "hc18"
    assert len(card.training["exams"]) < 12  # type: ignore[arg-type]

    weights = target / "hc18.keras"
    judged = hc("model", "evaluate", labelled, "--weights", weights, HC_DATA_DIR=str(tmp_path))
    assert judged.returncode == 0, judged.stderr
    unseen = 12 - len(card.training["exams"])  # type: ignore[arg-type]
    assert f"{unseen} of 12 images are of unseen exams" in judged.stderr
    assert "all images" in judged.stdout


def test_a_folder_that_cannot_train_is_named(tmp_path: Path) -> None:
    done = hc("model", "train", tmp_path)
    assert done.returncode == 2
    assert "training-data-unusable" in done.stderr
    assert "pixel_size" in done.stderr


def hc_trains(*words: str) -> Done:
    return command.hc(os.environ, *words, also="rig.eager")


def hc(*words: object, **environment: str) -> Done:
    return command.hc(os.environ | environment, *map(str, words))


def copy_networks(folder: Path) -> None:
    """The shipped networks, without their card."""
    for path in (SHIPPED, *SHIPPED.parent.glob("*.onnx")):
        shutil.copy(path, folder)


@pytest.fixture
def folds(labelled: Path, tmp_path: Path) -> list[Path]:
    """The shipped weights three times, with cards that have other exams unseen."""
    shipped = verify(SHIPPED)
    assert shipped.gate is not None
    gate = replace(shipped.gate, exams=(), patients=())
    exams = [f"{number:03}" for number in range(12)]
    weights = []
    for fold in range(3):
        target = tmp_path / f"fold{fold}" / SHIPPED.name
        target.parent.mkdir()
        copy_networks(target.parent)
        known = [exam for number, exam in enumerate(exams) if number % 3 != fold]
        replace(shipped, doubt=None, gate=gate, training={"exams": known}).write(target)
        weights.append(target)
    return weights


def test_images_that_trained_are_judged_on_demand_alone(labelled: Path, tmp_path: Path) -> None:
    copy_networks(tmp_path)
    weights = tmp_path / SHIPPED.name
    exams = [f"{number:03}" for number in range(12)]
    replace(verify(SHIPPED), training={"exams": exams}).write(weights)
    judge = ["model", "evaluate", labelled, "--weights", weights]
    for options, code, told in (
        ([], 2, "--all-images judges them all the same"),
        (["--all-images", "--into", weights], 2, "figures of unseen exams only"),
        (["--all-images"], 0, "0 of 12 images are of unseen exams"),
    ):
        judged = hc(*judge, *options, HC_DATA_DIR=str(tmp_path / "data"))
        assert (judged.returncode, told in " ".join(judged.stderr.split())) == (code, True)
    assert "trained on exams of 12 of these images" in " ".join(judged.stdout.split())


def test_folds_are_calibrated_and_judged_together(
    labelled: Path, folds: list[Path], tmp_path: Path
) -> None:
    chosen = [word for weights in folds for word in ("--weights", weights)]
    shipped = tmp_path / "all" / SHIPPED.name
    shipped.parent.mkdir()
    copy_networks(shipped.parent)
    replace(verify(SHIPPED), doubt=None).write(shipped)
    before = verify(shipped).model

    done = hc("model", "calibrate", labelled, *chosen, "--into", shipped)
    assert done.returncode == 0, done.stderr
    assert before != verify(shipped).model
    doubts = [verify(weights).doubt for weights in (*folds, shipped)]
    assert None not in doubts
    assert len(set(doubts)) == 4

    report, others = tmp_path / "report.html", tmp_path / "others"
    others.mkdir()
    cv2.imwrite(str(others / "grey.png"), np.full(SHAPE, 90, np.uint8))
    more = ("--fits", "--stress", 3, "--others", others, "--report", report)
    judged = hc("model", "evaluate", labelled, *chosen, *more)
    assert judged.returncode == 0, judged.stderr
    lines = [line for line in judged.stdout.splitlines() if "all images" in line]
    assert [line.split("│")[2].strip() for line in lines] == ["12", "12"]
    (boxed,) = [line for line in judged.stdout.splitlines() if "a black box" in line]
    assert boxed.split("│")[2].strip() == "3"
    (grey,) = [line for line in judged.stdout.splitlines() if "files in others" in line]
    assert [cell.strip() for cell in grey.split("│")[2:6]] == ["3", "3", "0", "0"]
    (direct,) = [line for line in judged.stdout.splitlines() if "optimised against" in line]
    assert direct.split("│")[2].strip() == "12"
    page = report.read_text(encoding="utf-8")
    assert "not a medical device" in page
    assert page.count("data:image/png") == 4
    assert 'src="http' not in page

    twice = hc("model", "evaluate", labelled, "--weights", folds[0], "--weights", folds[0])
    assert twice.returncode == 2
    assert "training-data-unusable" in twice.stderr
    assert "Traceback" not in twice.stderr
    few = hc("model", "calibrate", labelled, "--weights", folds[0])
    assert few.returncode == 2
    assert "three folds" in few.stderr


@pytest.fixture
def planes(tmp_path: Path) -> Path:
    """Phantoms as heads and noise as bodies, one patient for each plane."""
    folder = tmp_path / "elsewhere"
    (folder / "images").mkdir(parents=True)
    lines = ["filename,plane,patient,machine"]
    for number, plane in enumerate(PLANES):
        rng = np.random.default_rng(number)
        pixels = (
            noise_image(SHAPE, rng)
            if plane in BODIES
            else draw_phantom(SHAPE, random_head(SHAPE, rng), rng)
        )
        cv2.imwrite(str(folder / "images" / f"{number}.png"), pixels)
        lines.append(f"{number}.png,{plane},P{number},Scanner")
    (folder / "planes.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_images_by_plane_are_judged_beside_the_labelled_ones(
    labelled: Path, folds: list[Path], planes: Path, tmp_path: Path
) -> None:
    report = tmp_path / "report.html"
    chosen = ("--weights", folds[0], "--planes", planes)
    judged = hc("model", "evaluate", labelled, *chosen, "--report", report, "--into", folds[1])
    assert judged.returncode == 0, judged.stderr
    assert "7 of 7 images are of unseen patients" in judged.stderr
    cells = [[cell.strip() for cell in line.split("│")[1:4]] for line in judged.stdout.splitlines()]
    for wanted in (
        ["bodies", "elsewhere", "3"],
        ["bodies", "Scanner", "3"],
        ["heads for HC", "elsewhere", "2"],
        ["heads for HC", labelled.name, "4"],
    ):
        assert wanted in cells
    page = report.read_text(encoding="utf-8")
    assert "risk curve" in page
    assert "What the gate looks at" in page
    figures = verify(folds[1]).figures
    assert (figures["unseen images by plane"], figures["bodies measured %"]) == (7, 0.0)

    both = hc("model", "evaluate", labelled, *chosen, "--weights", folds[1])
    assert both.returncode == 2
    assert "patient P0 stands in two parts" in both.stderr
    gate = Gate(0.75, 0.3, 0.3, patients=tuple(f"P{number}" for number in range(len(PLANES))))
    replace(verify(folds[2]), gate=gate).write(folds[2])
    seen = hc("model", "evaluate", labelled, "--weights", folds[2], "--planes", planes)
    assert seen.returncode == 2
    assert "all 7 images are of patients that trained these weights" in " ".join(
        seen.stderr.split()
    )
    (planes / "images" / "2.png").unlink()
    unfit = hc("model", "evaluate", labelled, *chosen)
    assert unfit.returncode == 2
    assert "line 4: 2.png missing" in unfit.stderr


def test_thorough_is_another_instrument_that_finds_the_same_head(tmp_path: Path) -> None:
    data = {"HC_DATA_DIR": str(tmp_path / "data")}
    file = tmp_path / "head.png"
    head = Ellipse(420.0, 280.0, 110.0, 90.0, 1.2)
    cv2.imwrite(str(file), draw_phantom((540, 800), head, np.random.default_rng(1)))
    for more in ([], ["--thorough"]):
        done = hc("run", file, "--pixel-size", 0.22, *more, **data)
        assert "1 measured" in done.stdout + done.stderr
    rows = list(csv.DictReader(hc("results", "--format", "csv", **data).stdout.splitlines()))
    assert len(rows) == 2
    assert sum(row["model"].endswith("-thorough") for row in rows) == 1
    plain_mm, thorough_mm = (float(row["hc_mm"]) for row in rows)
    assert plain_mm == pytest.approx(thorough_mm, rel=0.05)
    assert plain_mm != thorough_mm
