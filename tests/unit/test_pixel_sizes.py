"""Tables of pixel sizes as people and spreadsheets write them, and what is said of the others."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hcmodel.spacing import Spacing
from worker.errors import PixelSizesInvalid
from worker.intake.discover import Options, Request
from worker.intake.pixel_sizes import read_table


def test_tables_of_pixel_sizes(tmp_path: Path) -> None:
    table = tmp_path / "sizes.csv"
    table.write_text("filename,pixel size(mm),head circumference (mm)\na.png,.1,4\nx/b.png,.2,1\n")
    assert read_table(table) == {"a.png": Spacing(0.1, 0.1), "x/b.png": Spacing(0.2, 0.2)}
    options = Options(pixel_sizes=table)
    sizes = Request.of([tmp_path], options).sizes
    assert sizes.of(Path("/data/x/b.png")) == Spacing(0.2, 0.2)
    assert sizes.of(Path("/data/y/b.png")) is None
    table.write_text("filename,row_mm,column_mm\na.png,0.1,0.3\n")
    assert read_table(table) == {"a.png": Spacing(0.1, 0.3)}
    for bad, message in {
        "name,size\na,1\n": "columns name, size",
        "filename,row_mm\na,1\n": "columns filename, row_mm",
        "filename,pixel_size_mm\na,-1\n": "line 2: .* positive number",
        "filename,pixel_size_mm\na,0\n": "line 2: .* positive number",
        "filename,pixel_size_mm\na,1_0\n": "line 2: .* positive number",
        f"filename,pixel_size_mm\na,{'1' * 400}\n": "line 2: .* positive number",
        "filename,pixel_size_mm\na,1,5\n": "line 2: more cells than columns",
    }.items():
        table.write_text(bad)
        with pytest.raises(PixelSizesInvalid, match=message):
            read_table(table)
    table.write_text("filename,pixel_size_mm\na,1\na,2\n")
    with pytest.raises(PixelSizesInvalid, match="two sizes"):
        read_table(table)


HEADERS = (
    "filename{d}pixel size(mm)",
    "Filename{d}Pixel size (mm){d}remark",
    "remark{d}filename{d}pixel_size_mm",
    "filename{d}row_mm{d}column_mm",
)


@pytest.mark.parametrize("seed", range(40))
def test_tables_as_spreadsheets_write_them(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    delimiter, header = rng.choice(",;\t"), rng.choice(HEADERS)
    comma = delimiter != "," and rng.random() < 0.7
    columns = header.format(d=delimiter).split(delimiter)
    sizes, lines = {}, [delimiter.join(columns)]
    for number in range(rng.randrange(1, 6)):
        row_mm = round(rng.uniform(0.03, 0.6), rng.randrange(2, 13))
        column_mm = row_mm if "row_mm" not in columns else round(rng.uniform(0.03, 0.6), 6)
        name = f"exam {seed}/ä{number}.png"
        sizes[name] = Spacing(row_mm, column_mm)
        cells = {"filename": name, "remark": "x", "column_mm": str(column_mm)}
        texts = [cells.get(column.lower(), str(row_mm)) for column in columns]
        if comma:
            texts = [text if text == name else text.replace(".", ",") for text in texts]
        lines.append(delimiter.join(texts))
    if rng.random() < 0.3:
        lines.append(delimiter * (len(columns) - 1))
    text = rng.choice(("\n", "\r\n")).join([*lines, ""])
    encoding = rng.choice(("utf-8", "utf-8-sig", "utf-16", "latin-1"))
    (tmp_path / "sizes.csv").write_bytes(text.encode(encoding))
    assert read_table(tmp_path / "sizes.csv") == sizes


@pytest.mark.parametrize("preface", ["sep=;", "\n \n", "\nsep=;\n", "SEP=;\n\n"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1"])
def test_what_comes_before_a_tables_headings(
    tmp_path: Path, preface: str, end: str, encoding: str
) -> None:
    table = tmp_path / "sizes.csv"
    text = f"{preface}\nfilename;pixel size(mm);;\né.png;0,2\nb.png;0,3;;\n;\n".replace("\n", end)
    table.write_bytes(text.encode(encoding))
    assert read_table(table) == {"é.png": Spacing(0.2, 0.2), "b.png": Spacing(0.3, 0.3)}
    table.write_bytes((text + f"c.png;x{end}").encode(encoding))
    with pytest.raises(PixelSizesInvalid, match=f"line {text.count(end) + 1}: "):
        read_table(table)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"filename,pixel size(mm),pixel size(mm)\na.png,0.2,0.3\n", "two columns have"),
        (b"filename,pixel size(mm),row_mm,column_mm\na.png,0.2,0.3,0.3\n", "keep one"),
        (b"PK\3\4\0\0\0\0\0\0x", "is no text: export it as CSV"),
        (b"", "columns none at all"),
        (b"x" * 5000, "sizes.csv has the columns"),
    ],
)
def test_tables_that_cannot_be_meant(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "sizes.csv").write_bytes(content)
    with pytest.raises(PixelSizesInvalid, match=told) as refusal:
        read_table(tmp_path / "sizes.csv")
    assert len(refusal.value.detail) < 300 + len(str(tmp_path))
