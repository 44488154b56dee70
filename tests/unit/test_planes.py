from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from hcmodel.dataset.hc18 import TrainingDataError
from hcmodel.dataset.planes import (
    PLANES,
    PlaneImage,
    check_divided,
    folds_by_patient,
    read_planes,
)

HEADINGS = "filename,plane,patient,machine"


def write_folder(folder: Path, lines: list[str]) -> None:
    """Write a table of these lines, and the images that they name."""
    (folder / "images").mkdir()
    (folder / "planes.csv").write_text("\n".join([HEADINGS, *lines, ""]))
    for line in lines:
        path = folder / "images" / line.split(",")[0]
        cv2.imwrite(str(path), np.full((20, 30), 50, np.uint8))


def of_each_plane() -> list[str]:
    return [f"{number}.jpg,{plane},P{number},Scanner" for number, plane in enumerate(PLANES)]


def images_of(patients: dict[str, list[str]]) -> list[PlaneImage]:
    """One image per plane that a patient is given, on no disk."""
    return [
        PlaneImage(Path(f"{patient}-{number}.jpg"), plane, patient, "Scanner")
        for patient, planes in patients.items()
        for number, plane in enumerate(planes)
    ]


def test_reads_the_form(tmp_path: Path) -> None:
    write_folder(tmp_path, of_each_plane())
    images = read_planes(tmp_path)
    assert [image.plane for image in images] == list(PLANES)
    first = tmp_path / "images" / "0.jpg"
    assert images[0] == PlaneImage(first, "trans-thalamic", "P0", "Scanner")
    assert images[0].name == "0.jpg"


def test_all_faults_of_a_folder_are_told_at_once(tmp_path: Path) -> None:
    lines = of_each_plane()[:6]
    lines[1] = "1.jpg,liver,,Scanner"
    write_folder(tmp_path, [*lines, "0.jpg,abdomen,P0,Scanner"])
    (tmp_path / "images" / "2.jpg").unlink()
    table = tmp_path / "planes.csv"
    table.write_text(
        table.read_text() + "\n../planes.csv,abdomen,P9,Scanner\n,abdomen,P9\nshort.jpg\n"
    )
    with pytest.raises(TrainingDataError) as fault:
        read_planes(tmp_path)
    assert str(fault.value).replace(f", none of {' '.join(PLANES)}", "").splitlines() == [
        "planes.csv:",
        "  line 3: unknown plane 'liver', no patient",
        "  line 4: 2.jpg missing",
        "  line 8: 0.jpg stands there twice",
        "  line 10: '../planes.csv' is no file name",
        "  line 11: '' is no file name",
        "  line 12: short.jpg missing, unknown plane '', no patient",
        "  no image of plane trans-ventricular",
        "  no image of plane femur",
    ]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (None, "no planes.csv"),
        ("", "needs the columns filename, plane, patient, machine"),
        ("filename,plane\na.jpg,femur\n", "needs the columns"),
        (f"{HEADINGS}\n", "lists no image"),
        (f"{HEADINGS}\n\xff".encode("latin-1"), "is no table"),
    ],
)
def test_an_unfit_table_is_named(tmp_path: Path, table: str | bytes | None, words: str) -> None:
    if table is not None:
        content = table if isinstance(table, bytes) else table.encode()
        (tmp_path / "planes.csv").write_bytes(content)
    with pytest.raises(TrainingDataError, match=words) as fault:
        read_planes(tmp_path)
    assert "planes.csv" in str(fault.value)


def test_no_patient_stands_in_two_folds_and_all_have_a_like_mix() -> None:
    rng = np.random.default_rng(5)
    common = [plane for plane in PLANES if plane != "other-head"]
    patients = {
        f"P{number:03}": list(rng.choice(common, size=rng.integers(1, 5))) for number in range(200)
    }
    for number in range(10):
        patients[f"P{number:03}"].append("other-head")
    images = images_of(patients)
    folds = folds_by_patient(images, 5)
    assert sorted(index for fold in folds for index in fold) == list(range(len(images)))
    check_divided([[images[index] for index in fold] for fold in folds])
    total = Counter(image.plane for image in images)
    for fold in folds:
        held = Counter(images[index].plane for index in fold)
        assert held["other-head"] == 2
        assert all(abs(held[plane] - total[plane] / 5) < 2 for plane in common)
    assert folds == folds_by_patient(images, 5)


def test_too_few_patients_fill_no_folds() -> None:
    with pytest.raises(TrainingDataError, match="4 patients"):
        folds_by_patient(images_of({f"P{number}": ["femur"] * 3 for number in range(4)}), 5)


def test_a_patient_in_two_parts_is_named() -> None:
    one, other, third = (images_of({patient: ["femur", "thorax"]}) for patient in "ABC")
    check_divided([one, other + third])
    with pytest.raises(TrainingDataError) as fault:
        check_divided([[*one, other[0]], third, [other[1], third[0]]])
    assert str(fault.value).splitlines() == [
        "planes.csv:",
        "  patient B stands in two parts: B-0.jpg in 0, B-1.jpg in 2",
        "  patient C stands in two parts: C-0.jpg in 1, C-0.jpg in 2",
    ]
