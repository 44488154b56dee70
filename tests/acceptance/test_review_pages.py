"""The pages in a real browser: keyboard alone, dark, narrow, and without a complaint."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from rig.browser import chromium, open_page, serious_findings
from rig.pages import Pages, own_copy, serving
from rig.stored_rows import put_batch, put_row
from worker.settings import Settings
from worker.store.session import open_database


@pytest.fixture(scope="module")
def pages(
    phantoms_measured: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pages]:
    """Pages on which may be reviewed."""
    environment = own_copy(phantoms_measured, tmp_path_factory.mktemp("review"))
    with serving(environment, "--allow-review", "--reviewer", "mary") as pages:
        yield pages


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def page_of_study(
    phantoms_measured: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Address of the first image of a study, among pages on which nothing may be reviewed."""
    environment = own_copy(phantoms_measured, tmp_path_factory.mktemp("study"))
    scan = put_study(environment)
    with serving(environment) as pages:
        yield f"{pages.url}/scans/{scan}"


def put_study(environment: dict[str, str]) -> int:
    """Put a study of four images beside what was measured; return its first scan."""
    ended: list[tuple[str, dict[str, object]]] = [
        ("measured", {"hc_mm": 175.5, "hc_low_mm": 172.0, "hc_high_mm": 179.0}),
        ("measured", {"hc_mm": 176.5, "hc_low_mm": 173.0, "hc_high_mm": 180.0}),
        ("flagged", {"hc_mm": 190.0, "flags": ("low-confidence",)}),
        ("rejected", {"code": "no-head"}),
    ]
    with open_database(Settings.from_environment(environment)) as database:
        batch = put_batch(database, "a-study")
        study = {"study_instance_uid": f"1.2.826.0.1.{'3680043' * 6}", "rows": 540, "columns": 800}
        first, *_ = [
            put_row(database, batch, f"/{number}.dcm", status, **study, **values)
            for number, (status, values) in enumerate(ended)
        ]
    return first


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_hc_of_a_study_stands_beside_the_image(
    page_of_study: str, browser: Browser, scheme: str, width: int
) -> None:
    viewport = {"width": width, "height": 800}
    with open_page(browser, color_scheme=scheme, viewport=viewport) as (page, _):
        page.goto(page_of_study)
        assert serious_findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        told = page.locator("#study + ul").inner_text()
        assert "176.0 mm" in told
        assert "flagged: 1, without HC: 1" in told
        assert page.locator(".siblings li").all_inner_texts()[-1].endswith("no-head")
        study, facts = page.locator("#study"), page.locator("summary").first
        assert study.bounding_box()["y"] < facts.bounding_box()["y"]  # type: ignore[index]
        tallest = "Math.max(...[...document.querySelectorAll('tr')].map(row => row.offsetHeight))"
        assert page.evaluate(tallest) < 160, "no word is broken into letters"


def measured_scans(pages: Pages) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pages.get("/api/results?status=measured").json()["rows"]
    return rows


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_page_can_be_used(pages: Pages, browser: Browser, scheme: str, width: int) -> None:
    refused = pages.get("/api/results?status=rejected").json()["rows"][0]["scan_id"]
    scan = measured_scans(pages)[0]["scan_id"]
    viewport = {"width": width, "height": 800}
    with open_page(browser, color_scheme=scheme, viewport=viewport) as (page, seen):
        for path in (
            "/",
            "/results",
            f"/scans/{scan}",
            f"/scans/{refused}",
            "/api",
            "/results?x=1",
        ):
            page.goto(pages.url + path)
            assert serious_findings(page) == [], path
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{path} is {wide} px wide"
            assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (
                scheme == "dark"
            )
    allowed = "Failed to load resource: the server responded with a status of 400"
    assert [each for each in seen.complaints if allowed not in each] == []
    assert {url for url in seen.asked_for if not url.startswith(pages.url)} == set()


def test_a_batch_is_reviewed_by_keyboard_alone(pages: Pages, browser: Browser) -> None:
    scans = [row["scan_id"] for row in measured_scans(pages)][:3]
    with open_page(browser) as (page, seen):
        page.goto(f"{pages.url}/scans/{scans[0]}?status=measured&unseen=1")
        page.keyboard.press("a")
        page.wait_for_url(f"**/scans/{scans[1]}?**")
        page.locator("select[name=reason]").select_option("poor-image")
        page.locator("h1").click()
        page.keyboard.press("r")
        page.wait_for_url(f"**/scans/{scans[2]}?**")
        page.keyboard.press("e")  # the first handle, the centre, has the focus
        for _ in range(2):
            page.keyboard.press("Tab")
        page.keyboard.press("Tab")  # the end of the second axis
        for _ in range(5):
            page.keyboard.press("Shift+ArrowDown")
        shown = page.locator("#live").inner_text()
        page.keyboard.press("s")
        page.wait_for_url(lambda url: f"/scans/{scans[2]}?" not in url)
    said = [pages.get(f"/api/scans/{scan}").json()["reviews"][-1] for scan in scans]
    assert [each["verdict"] for each in said] == ["accepted", "rejected", "corrected"]
    assert said[1]["reason"] == "poor-image"
    assert shown == f"HC {said[2]['hc_mm']:.1f} mm"
    before = next(row for row in measured_scans(pages) if row["scan_id"] == scans[2])
    assert abs(said[2]["hc_mm"] - float(str(before["hc_mm"]))) > 5
    assert seen.complaints == []


def test_a_handle_can_be_dragged(pages: Pages, browser: Browser) -> None:
    row = measured_scans(pages)[0]
    with open_page(browser, viewport={"width": 1400, "height": 1000}) as (page, _):
        page.goto(f"{pages.url}/scans/{row['scan_id']}")
        page.locator("#edit").click()
        place = page.locator(".handle").first.bounding_box()
        assert place is not None
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 30, y + 20, steps=5)
        page.mouse.up()
        scale = page.evaluate("document.getElementById('picture').getScreenCTM().a")
        moved = float(page.locator("input[name=center_x_px]").input_value())
        assert moved == pytest.approx(float(str(row["center_x_px"])) + 30 / scale, abs=1.5)


def test_a_drawn_outline_lies_on_the_ellipse(pages: Pages, browser: Browser) -> None:
    for row in measured_scans(pages):
        with open_page(browser) as (page, _):
            page.goto(f"{pages.url}/scans/{row['scan_id']}")
            middle = page.evaluate(
                """() => {
                    const picture = document.getElementById("picture");
                    const box = picture.querySelector(".measured ellipse").getBoundingClientRect();
                    const shown = picture.getBoundingClientRect();
                    return [(box.left + box.right) / 2 - shown.left,
                            (box.top + box.bottom) / 2 - shown.top, shown.width, shown.height];
                }"""
            )
        columns, rows = float(str(row["columns"])), float(str(row["rows"]))
        column_mm, row_mm = float(str(row["column_mm"])), float(str(row["row_mm"]))
        x, y = float(str(row["center_x_px"])) + 0.5, float(str(row["center_y_px"])) + 0.5
        assert middle[0] / middle[2] == pytest.approx(x / columns, abs=0.005)
        assert middle[1] / middle[3] == pytest.approx(y / rows, abs=0.005)
        assert middle[2] / middle[3] == pytest.approx(
            columns * column_mm / (rows * row_mm), rel=0.01
        ), "millimetres are as long across as down"
