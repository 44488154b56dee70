import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from hcmodel.dataset.hc18 import (
    HC_COLUMN,
    PIXEL_SIZE_COLUMN,
    TrainingDataError,
    ellipse_of_annotation,
    folds_by_exam,
    of_each,
    read_folder,
    read_truth,
)
from hcmodel.geometry import Ellipse, Spacing

HEAD = Ellipse(210, 140, 120, 92, 0.4)
SHAPE = (280, 420)


def ring(head: Ellipse) -> np.ndarray:
    """A 3-pixel outline around the ellipse, as HC18's annotations are."""
    distance_px = np.abs(head.signed_distance_px(SHAPE))
    return np.where(distance_px <= 1.5, 255, 0).astype(np.uint8)


def filled(head: Ellipse) -> np.ndarray:
    return np.where(head.coverage(SHAPE) > 0.5, 255, 0).astype(np.uint8)


def write_folder(folder: Path, names: list[str]) -> None:
    with (folder / "training_set_pixel_size_and_HC.csv").open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["filename", PIXEL_SIZE_COLUMN, HC_COLUMN])
        for number, name in enumerate(names):
            writer.writerow([name, 0.2, 100 + number])
            cv2.imwrite(str(folder / name), np.full(SHAPE, 50, np.uint8))
            cv2.imwrite(str(folder / name.replace(".png", "_Annotation.png")), ring(HEAD))


@pytest.mark.parametrize("draw", [ring, filled])
@pytest.mark.parametrize("head", [HEAD, Ellipse(210, 90, 130, 100, 0.0)])
def test_outline_and_mask_give_the_same_ellipse(draw, head: Ellipse) -> None:
    found = ellipse_of_annotation(draw(head))
    spacing = Spacing(0.2, 0.2)
    truth_mm = head.circumference_mm(spacing)
    assert found.circumference_mm(spacing) == pytest.approx(truth_mm, abs=0.3)


def test_reads_the_published_form(tmp_path: Path) -> None:
    write_folder(tmp_path, ["001_HC.png", "002_HC.png", "002_2HC.png"])
    images = read_folder(tmp_path)
    assert [image.exam for image in images] == ["001", "002", "002"]
    assert images[1].hc_mm == 101
    assert read_truth(images[0]).semi_axis_a_px == pytest.approx(120, abs=0.3)


def test_siblings_stay_in_one_fold(tmp_path: Path) -> None:
    names = [f"{exam:03}_{repeat}HC.png" for exam in range(20) for repeat in ("", "2", "3")]
    write_folder(tmp_path, names)
    images = read_folder(tmp_path)
    folds = folds_by_exam(images, 5)
    assert sorted(index for fold in folds for index in fold) == list(range(60))
    exams = [{images[index].exam for index in fold} for fold in folds]
    assert sum(len(each) for each in exams) == len(set().union(*exams)) == 20


def test_missing_files_are_named(tmp_path: Path) -> None:
    write_folder(tmp_path, ["001_HC.png", "002_HC.png"])
    (tmp_path / "002_HC_Annotation.png").unlink()
    with pytest.raises(TrainingDataError, match="002_HC_Annotation.png"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"filename,{PIXEL_SIZE_COLUMN}\n", "lists no image"),
        ("name,size\n1,2\n", "needs the columns"),
    ],
)
def test_an_unfit_table_is_named(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "x_pixel_size.csv").write_text(text)
    with pytest.raises(TrainingDataError, match=words):
        read_folder(tmp_path)


def test_no_table_and_a_bad_number(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match=r"pixel_size.*\.csv"):
        read_folder(tmp_path)
    write_folder(tmp_path, ["001_HC.png"])
    table = tmp_path / "training_set_pixel_size_and_HC.csv"
    table.write_text(table.read_text().replace("0.2", "0,2x"))
    with pytest.raises(TrainingDataError, match="line 2"):
        read_folder(tmp_path)


def test_all_faults_of_a_folder_are_told_at_once(tmp_path: Path) -> None:
    write_folder(tmp_path, [f"{number:03}_HC.png" for number in range(1, 6)])
    (tmp_path / "001_HC.png").unlink()
    table = tmp_path / "training_set_pixel_size_and_HC.csv"
    lines = table.read_text().splitlines()
    lines[2] = "002_HC.png,wide,100"
    table.write_text("\n".join([*lines, lines[3]]))
    with pytest.raises(TrainingDataError) as fault:
        read_folder(tmp_path)
    words = str(fault.value)
    for part in ("line 2: 001_HC.png missing", "line 3: ", "line 7: 003_HC.png stands there twice"):
        assert part in words


def test_all_unreadable_files_are_named(tmp_path: Path) -> None:
    write_folder(tmp_path, ["001_HC.png", "002_HC.png", "003_HC.png"])
    (tmp_path / "001_HC.png").write_bytes(b"no image")
    cv2.imwrite(str(tmp_path / "003_HC_Annotation.png"), np.zeros((10, 10), np.uint8))
    with pytest.raises(TrainingDataError) as fault:
        of_each(read_folder(tmp_path), read_truth)
    assert "001_HC.png" in str(fault.value)
    assert "003_HC_Annotation.png" in str(fault.value)
    assert "002" not in str(fault.value)


def test_damaged_and_empty_annotations_are_named(tmp_path: Path) -> None:
    write_folder(tmp_path, ["001_HC.png"])
    image = read_folder(tmp_path)[0]
    cv2.imwrite(str(image.annotation_path), np.zeros(SHAPE, np.uint8))
    with pytest.raises(TrainingDataError, match="001_HC_Annotation.png"):
        read_truth(image)
    image.annotation_path.write_bytes(b"no image")
    with pytest.raises(TrainingDataError, match="001_HC_Annotation.png"):
        read_truth(image)
    cv2.imwrite(str(image.annotation_path), np.zeros((10, 10), np.uint8))
    with pytest.raises(TrainingDataError, match="another size"):
        read_truth(image)
