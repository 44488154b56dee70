import pytest

from hcmodel.gestational_age import hadlock_1984_weeks, intergrowth_2016_weeks, trimester

CHECK = [
    (68, 12.726, 11.528),
    (100, 14.660, 14.188),
    (150, 18.073, 18.181),
    (200, 22.160, 22.355),
    (250, 27.148, 27.115),
    (300, 33.260, 32.956),
    (346.4, 40.135, 39.952),
]


@pytest.mark.parametrize(("hc_mm", "hadlock", "intergrowth"), CHECK)
def test_published_values(hc_mm: float, hadlock: float, intergrowth: float) -> None:
    assert hadlock_1984_weeks(hc_mm) == pytest.approx(hadlock, abs=1e-3)
    assert intergrowth_2016_weeks(hc_mm) == pytest.approx(intergrowth, abs=1e-3)


def test_no_age_outside_the_formulas_range() -> None:
    assert hadlock_1984_weeks(60) is None
    assert hadlock_1984_weeks(361) is None
    assert intergrowth_2016_weeks(40) is None


def test_trimesters() -> None:
    assert [trimester(hc_mm) for hc_mm in (60, 180, 320)] == [
        "below 14 weeks",
        "14-28 weeks",
        "above 28 weeks",
    ]
