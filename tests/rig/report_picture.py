"""The picture of a report in README.md: exams of phantoms with their scanners' own reports.

``python -m rig.report_picture docs/report.png`` (in ``tests/``) measures them and takes it.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image
from pydicom import dcmread

from hcmodel.growth import intergrowth_2014_mean_mm
from rig.browser import chromium, open_page
from rig.exam_reports import Head, Maker, day, report, save
from worker.sample_files import SEED, write_samples, write_series

COMMAND = [sys.executable, "-m", "cli.main"]
EXAM_DAY = date(2026, 3, 2)
EXAMS, IMAGES = 12, 3
SERIES = 7
WIDTH, HEIGHT = 1180, 1440
EXCERPT = """
main > section:not(:has(h2#against-the-sonographer, h2#growth, h2#pictures)) { display: none }
section .gallery { display: none }
section:has(h2#pictures) .gallery { display: grid }
main { display: grid; grid-template-columns: 1fr 1fr; gap: 0 1.5rem }
main > :not(section), main > section:has(h2#pictures) { grid-column: 1 / -1 }
main > section .wide { display: none }
"""
"""The sections with plots side by side, and the pictures."""


def write_exams(folder: Path, draw: random.Random) -> None:
    """Write exams of a few images of about one size, with a report of HC and date of delivery."""
    heads = write_series(folder, EXAMS * IMAGES, seed=SERIES)
    sizes_mm = {path: drawn_hc_mm(number) for number, path in enumerate(heads)}
    heads.sort(key=lambda path: sizes_mm[path])
    for number in range(EXAMS):
        paths = heads[IMAGES * number : IMAGES * (number + 1)]
        study = f"1.2.826.0.1.3680043.9.7.{number + 1}"
        for path in paths:
            data = dcmread(path)
            data.StudyInstanceUID, data.StudyDate = study, f"{EXAM_DAY:%Y%m%d}"
            data.Manufacturer, data.ManufacturerModelName = "Maker", "AB"[number % 2]
            data.save_as(path)
        hc_mm = median(sizes_mm[path] for path in paths) + draw.gauss(0, 2)
        weeks = weeks_of(hc_mm) + draw.gauss(0, 0.5)
        due = f"{EXAM_DAY + timedelta(days=round(7 * (40 - weeks))):%Y%m%d}"
        said = report(
            Maker.PER_STUDY,
            [Head(round(hc_mm, 1))],
            extra=[day(("11778-8", "LN", "EDD"), due)],
            study_date=f"{EXAM_DAY:%Y%m%d}",
            study=study,
        )
        save(said, folder / f"report-{number:02}.dcm")


def drawn_hc_mm(number: int) -> float:
    """Return what ``write_series`` draws first of all for each image."""
    return float(np.random.default_rng([SEED, SERIES, number]).uniform(120, 300))


def weeks_of(hc_mm: float) -> float:
    """Return the age at which this is the mean HC, to a tenth of a week."""
    ages = [tenth / 10 for tenth in range(140, 400)]
    return min(ages, key=lambda weeks: abs(intergrowth_2014_mean_mm(weeks) - hc_mm))


def main(target: Path) -> None:
    """Measure, report, and take the picture."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_exams(folder / "exams", random.Random(3))
        write_samples(folder / "exams" / "samples")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HC_")}
        environment = kept | {"HC_DATA_DIR": str(folder / "data"), "TF_CPP_MIN_LOG_LEVEL": "3"}
        page = folder / "report.html"
        for words in (["run", str(folder / "exams")], ["report", "--out", str(page)]):
            subprocess.run([*COMMAND, *words], env=environment, check=False)
        _take(page, target)


def _take(report_page: Path, target: Path) -> None:
    with (
        chromium() as browser,
        open_page(browser, viewport={"width": WIDTH, "height": HEIGHT}) as (page, _),
    ):
        page.goto(report_page.as_uri())
        page.add_style_tag(content=EXCERPT)
        page.screenshot(path=target, clip={"x": 0, "y": 0, "width": WIDTH, "height": HEIGHT})
    picture = Image.open(target).convert("RGB").resize((WIDTH * 2 // 3, HEIGHT * 2 // 3))
    picture.quantize(64, dither=Image.Dither.NONE).save(target, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
