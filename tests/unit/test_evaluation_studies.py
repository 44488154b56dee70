"""How well one HC per exam does, on exams whose errors are drawn with a known part in common."""

from __future__ import annotations

import random

import pytest

from hcmodel.evaluation.metrics import Case
from hcmodel.evaluation.studies import correlation, exams_of, study_figures
from hcmodel.evaluation.tables import tables_of
from hcmodel.geometry import Ellipse, Spacing

HEAD = Ellipse(50, 50, 40, 30, 0)


def case(exam: str, truth_mm: float, hc_mm: float | None, *flags: str) -> Case:
    low_mm = None if hc_mm is None else hc_mm - 3.3
    high_mm = None if hc_mm is None else hc_mm + 3.3
    return Case(
        *(f"{exam}_{truth_mm}.png", exam, (100, 100), Spacing(1, 1), HEAD, truth_mm),
        *(HEAD, hc_mm, low_mm, high_mm, 0.9, flags, None),
    )


def drawn(exams: int, images: int, shared: float, seed: int = 1) -> list[Case]:
    """Errors of 2 mm deviation, of whose variance ``shared`` is the exam's own."""
    draw = random.Random(seed)
    cases = []
    for exam in range(exams):
        common_mm = draw.gauss(0, 2 * shared**0.5)
        for _ in range(images):
            truth_mm = 200 + draw.uniform(-5, 5)
            own_mm = draw.gauss(0, 2 * (1 - shared) ** 0.5)
            cases.append(case(f"{exam:03}", truth_mm, truth_mm + common_mm + own_mm))
    return cases


def test_exams_are_those_with_two_trusted_images_that_are_no_copies() -> None:
    cases = [
        *(case("1", 200, 201), case("1", 204, 203), case("1", 220, 260, "weak-fit")),
        *(case("2", 200, 201), case("2", 200, 202)),
        *(case("3", 200, 201), case("3", 210, None)),
    ]
    (exam,) = exams_of(cases)
    assert (exam.name, exam.labels_mm, exam.truth_mm) == ("1", (200, 204), 204)
    assert exam.error_mm == pytest.approx(202 - 204)
    assert exam.half_width_mm == pytest.approx(3.3)


@pytest.mark.parametrize("shared", [0.0, 0.3, 0.8])
def test_the_part_in_common_is_found(shared: float) -> None:
    found = correlation(exams_of(drawn(2000, 2, shared)))
    assert found == pytest.approx(shared, abs=0.05)


@pytest.mark.parametrize("shared", [0.0, 0.5])
def test_intervals_hold_nine_tenths_by_folds(shared: float) -> None:
    found = study_figures(drawn(1000, 3, shared))
    assert found is not None
    images, exams = found.lines
    assert (images.count, exams.count) == (3000, 1000)
    assert exams.covered_percent == pytest.approx(91, abs=2.5)
    assert exams.width_mm < images.width_mm
    assert exams.adf_mm < images.adf_mm
    assert len(found.by_fold) == 5


def test_too_few_exams_have_no_figures() -> None:
    assert study_figures(drawn(9, 2, 0.3)) is None
    assert study_figures(drawn(10, 2, 0.3)) is not None


def test_the_table_says_whether_the_weights_have_seen_the_exams() -> None:
    cases = drawn(20, 2, 0.3)
    for seen in (0, 40):
        (found,) = [
            table for table in tables_of(cases, [cases], seen) if table[0].startswith("Exams with")
        ]
        assert ("were trained on" in found[0]) == bool(seen)
        assert [row[:2] for row in found[2]] == [("images alone", "40"), ("their exams", "20")]
