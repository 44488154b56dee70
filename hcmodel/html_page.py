"""Self-contained HTML pages: text, tables and pictures in one file, for screen and paper."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

import cv2

from hcmodel.arrays import ColorImage, GreyImage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Table = tuple[str, Sequence[str], Sequence[Sequence[str]]]
"""A title, headings, and rows of cells."""

NOTICE = "A research tool, not a medical device: no clinical decision may rest on this."
_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
.notice { border-left: 4px solid #c60; padding: .3rem .8rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .6rem 0 1.2rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #8884; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; max-width: 100%; }
figure img { max-width: 100%; background: #fff; }
figcaption { font-size: .85rem; opacity: .8; max-width: 26rem; }
@media print { body { max-width: none; } figure, tr { break-inside: avoid; } }
"""


class Page:
    """Parts are added from top to bottom."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._parts: list[str] = []

    def heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{escape(text)}</h2>")

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{escape(text)}</p>")

    def table(self, table: Table) -> None:
        """Add a section of its own, with one row of cells per line."""
        title, headings, rows = table
        self.heading(title)
        head = "".join(f"<th>{escape(each)}</th>" for each in headings)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
        )
        self._parts.append(
            f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
        )

    def pictures(self, pictures: Iterable[tuple[str, str]]) -> None:
        """Add pictures side by side where there is room: addresses as made below, and captions."""
        figures = "".join(
            f'<figure><img src="{address}" alt="{escape(caption)}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
            for address, caption in pictures
        )
        self._parts.append(f'<div class="pictures">{figures}</div>')

    def html(self) -> str:
        """Return the whole page."""
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(self._title)}</title><style>{_STYLE}</style></head><body>"
            f'<h1>{escape(self._title)}</h1><p class="notice">{NOTICE}</p>'
            f"{''.join(self._parts)}</body></html>\n"
        )


def picture_of(figure: Figure) -> str:
    """Return a drawing as an address that holds the picture itself."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return _address("png", content.getvalue())


def photograph_of(pixels: GreyImage | ColorImage) -> str:
    """Return ``(H, W)`` grey or ``(H, W, 3)`` blue, green, red uint8, likewise."""
    return _address("jpeg", cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 85])[1])


def _address(kind: str, content: bytes | GreyImage) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(bytes(content)).decode()}"
