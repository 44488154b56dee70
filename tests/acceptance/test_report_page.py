"""The report in a real browser: one file, offline, by keyboard, narrow, dark, printed, large."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from rig.browser import Seen, chromium, open_page, serious_findings
from rig.command import hc, hc_from_the_start
from rig.pages import own_copy
from rig.report_rows import many_rows
from worker.reference import AgeSource, Reference
from worker.reports.compared import compared
from worker.reports.document.comparisons import (
    agreement_section,
    growth_section,
    placed,
    studies_section,
)
from worker.reports.document.compose import as_page, gather
from worker.reports.exam_facts import Sources
from worker.roots import Roots


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all."""
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def phantoms(phantoms_measured: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the phantoms."""
    folder = tmp_path_factory.mktemp("report")
    environment = own_copy(phantoms_measured, folder)
    path = folder / "report.html"
    done = hc_from_the_start(environment, "report", "last", "--out", path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of 10,000 rows, whose images are nowhere, beside what others say of them."""
    path = tmp_path_factory.mktemp("large") / "report.html"
    found = gather("all batches", many_rows(10_000), Path("nowhere.keras"))
    sources = Sources({study: {None: said(number)} for number, study in enumerate(some_studies())})
    heads = [head for head in sources.heads(found.studies) if head.study in sources.reports]
    sections = (
        studies_section(heads),
        agreement_section(list(compared(heads, sources)), lambda _: []),
        growth_section(list(placed(heads, sources)), sources.chart),
    )
    extra = [section for section in sections if section is not None]
    assert len(extra) == 3
    text, absent = as_page(replace(found, extra=extra), 0, Roots())
    assert absent == []
    path.write_text(text, encoding="utf-8")
    return path


def some_studies() -> list[str]:
    return [f"1.2.{number}" for number in range(1, 60)]


def said(number: int) -> Reference:
    return Reference(hc_mm=150.0 + number, ga_weeks=12.0 + number / 2, ga_source=AgeSource.LMP)


def nothing_asked(seen: Seen) -> None:
    assert seen.complaints == []
    assert [url for url in seen.asked_for if not url.startswith(("file:", "data:"))] == []


def first_cells(page: Page, column: int) -> list[str]:
    return page.locator(f"#rows tbody tr > :nth-child({column})").all_inner_texts()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_phantoms_are_reported_to_everyone(
    phantoms: Path, browser: Browser, scheme: str, width: int
) -> None:
    viewport = {"width": width, "height": 800}
    with open_page(browser, color_scheme=scheme, viewport=viewport) as (page, seen):
        page.goto(phantoms.as_uri())
        assert serious_findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark == ("rgb(18, 25, 28)" if scheme == "dark" else "rgb(255, 255, 255)")
        shown = page.locator(".gallery img").evaluate_all("all => all.map(x => x.naturalWidth)")
        assert len(shown) >= 8
        assert set(shown) == {320}
        assert "Research use only" in page.locator("header").inner_text()
        assert page.locator("svg[role=img]").count() >= 1
        nothing_asked(seen)


def test_names_of_files_stay_text(phantoms: Path, browser: Browser) -> None:
    with open_page(browser) as (page, seen):
        page.goto(phantoms.as_uri())
        page.locator("#find").fill("onerror")
        assert first_cells(page, 11) == ["<img src=x onerror=alert(1)>\\u202eexam [bold].png"]
        assert page.locator("img[src=x]").count() == 0
        nothing_asked(seen)


def test_what_others_say_can_be_seen_by_everyone(large: Path, browser: Browser) -> None:
    viewport = {"width": 360, "height": 800}
    with open_page(browser, color_scheme="dark", viewport=viewport) as (page, seen):
        page.goto(large.as_uri())
        assert page.locator("h2#against-the-sonographer ~ figure svg").count() == 1
        assert page.locator("h2#growth ~ figure svg").count() == 1
        assert serious_findings(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.locator("nav a", has_text="Growth").click()
        assert page.locator("h2#growth").is_visible()
        nothing_asked(seen)


def test_ten_thousand_rows_sort_and_filter_by_keyboard(large: Path, browser: Browser) -> None:
    with open_page(browser) as (page, seen):
        page.goto(large.as_uri())
        said = page.locator("#said")
        assert said.inner_text() == "Rows 1 to 50 of 10000"
        assert set(first_cells(page, 2)) == {"flagged"}
        page.locator("#rows th button", has_text="HC mm").focus()
        page.keyboard.press("Enter")
        sizes = list(map(float, first_cells(page, 3)))
        assert sizes == sorted(sizes)
        assert page.locator("th[aria-sort=ascending]").inner_text().startswith("HC mm")
        page.keyboard.press("Enter")
        falling = list(map(float, first_cells(page, 3)))
        assert falling == sorted(falling, reverse=True)
        assert falling[0] > sizes[-1]
        page.locator("#next").focus()
        page.keyboard.press("Enter")
        assert said.inner_text() == "Rows 51 to 100 of 10000"
        page.locator("#status").select_option("rejected")
        assert said.inner_text() == "Rows 1 to 50 of 1000"
        page.locator("#find").fill("image-00010.")
        assert said.inner_text() == "Rows 1 to 1 of 1"
        page.locator("#find").fill("no such file")
        assert said.inner_text() == "No row fits; clear the filter"
        page.locator("#status").select_option("")
        page.locator("#find").fill("image")
        assert said.inner_text() == "Rows 1 to 50 of 10000"
        nothing_asked(seen)


def test_on_paper_controls_are_gone(phantoms: Path, browser: Browser) -> None:
    a4_px = {"width": 794, "height": 1123}
    with open_page(browser, color_scheme="dark", viewport=a4_px) as (page, _):
        page.goto(phantoms.as_uri())
        page.emulate_media(media="print")
        assert page.evaluate("document.documentElement.scrollWidth") <= 794
        assert not page.locator(".controls").is_visible()
        assert page.locator("#rows").is_visible()
        assert page.locator("#said").inner_text().startswith("Rows 1 to ")
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb(255, 255, 255)"
        assert page.pdf().startswith(b"%PDF")


def test_images_that_are_gone_cost_their_pictures_alone(
    phantoms_measured: dict[str, str], tmp_path: Path
) -> None:
    rows = many_rows(6)
    gone = [replace(row, source=str(tmp_path / f"{row.scan_id}.png")) for row in rows]
    text, absent = as_page(gather("gone", gone, Path("x.keras")), 3, Roots())
    assert len(absent) == 3
    assert text.count("No picture: The file is not there.") == 3
    assert "3 pictures are missing" in text
    target = tmp_path / "plain.html"
    done = hc(phantoms_measured, "report", "--no-images", "--out", target)
    assert done.returncode == 0, done.stderr
    assert "<img" not in target.read_text(encoding="utf-8")


def test_a_paragraph_for_a_paper(phantoms_measured: dict[str, str], tmp_path: Path) -> None:
    target = tmp_path / "methods.md"
    done = hc(phantoms_measured, "report", "--out", target)
    assert done.returncode == 0, done.stderr
    text = target.read_text(encoding="utf-8")
    assert re.search(r"weights SHA-256 `[0-9a-f]{64}`", text)
    assert "hc-batch 0.1.0" in text
    assert "Hadlock et al. 1984" in text
    rows = json.loads(hc(phantoms_measured, "results", "--format", "json").stdout)
    measured = sum(row["status"] == "measured" for row in rows)
    assert f"{len(rows)} images" in text
    assert f"measured {measured}" in text
    assert text.endswith("Research use only, not a medical device.\n")


def test_nothing_to_report_is_said(phantoms_measured: dict[str, str], tmp_path: Path) -> None:
    target = tmp_path / "empty.html"
    done = hc(phantoms_measured, "report", "--source", "no such file", "--out", target)
    assert done.returncode == 0
    assert "no row fits" in done.stderr
    assert "No row fits." in target.read_text(encoding="utf-8")
