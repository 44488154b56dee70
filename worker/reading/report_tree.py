"""The tree of a structured report, walked within bounds: items, codes, numbers, images.

Reports come from strangers: nothing here recurses, and a tree too large or too deep is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from worker.errors import NotAnImage, TooLarge
from worker.reading import dicom_structure, tags
from worker.reading.dicom import open_dataset
from worker.reading.library_errors import refusing_damage
from worker.reading.limits import MAX_DEPTH, MAX_REPORT_BYTES, MAX_REPORT_ITEMS
from worker.reading.source import Source


class Code(NamedTuple):
    """A concept: its value, and the scheme in which it has a meaning."""

    value: str
    scheme: str


_FETUS = {Code("11951-1", "LN"), Code("121030", "DCM"), Code("121037", "DCM")}
"""Fetus ID, Subject ID and fetus number: TID 1008."""
_LABEL = re.compile(r"(?:fetus|foetus)?[\s_#-]*([A-Za-z]|[0-9]{1,2})(?:\.0*)?", re.IGNORECASE)
_MAX_IMAGES = 32


@dataclass(frozen=True, slots=True)
class Node:
    """A content item with what stands above it, and the fetus that it is about, where told."""

    item: Dataset
    code: Code
    kind: str
    above: tuple[Node, ...]
    fetus: str | None

    def children(self) -> list[Dataset]:
        """Return the content items right below it."""
        return tags.items(self.item, "ContentSequence")


def parsed(source: Source) -> Dataset:
    """Return the report's root item; raises a ``ScanRejected`` where it is damaged or too large."""
    if source.size_bytes > MAX_REPORT_BYTES:
        raise TooLarge(f"a report of {source.size_bytes} bytes")
    meta = dicom_structure.read_meta(source.file, source.size_bytes)
    file, start, size_bytes = open_dataset(source, meta)
    if size_bytes - start > MAX_REPORT_BYTES:
        raise TooLarge(f"a report of {size_bytes} bytes")
    for _ in dicom_structure.walk(file, start, size_bytes, meta.transfer_syntax):
        pass  # it refuses what nests too deep, before a parser recurses into it
    file.seek(start)
    with refusing_damage("its content"):
        root = read_dataset(
            file,
            is_implicit_VR=dicom_structure.is_implicit(file, start, meta.transfer_syntax),
            is_little_endian=meta.transfer_syntax != dicom_structure.EXPLICIT_BIG,
        )
    if "PixelData" in root:
        raise NotAnImage("it is an image, not a report")
    return root


def nodes_of(root: Dataset) -> Iterator[Node]:
    """Yield the content items from the top down, in the order in which they stand.

    Raises ``TooLarge`` where there are too many, or too many levels.
    """
    stack = [_node(root, (), None)]
    budget = MAX_REPORT_ITEMS
    while stack:
        node = stack.pop()
        yield node
        children = node.children()
        budget -= len(children)
        if budget < 0:
            raise TooLarge(f"a report of more than {MAX_REPORT_ITEMS} items")
        if children and len(node.above) >= MAX_DEPTH:
            raise TooLarge(f"a report of more than {MAX_DEPTH} levels")
        above = (*node.above, node)
        stack.extend(_node(child, above, node.fetus) for child in reversed(children))


def _node(item: Dataset, above: tuple[Node, ...], fetus: str | None) -> Node:
    for child in tags.items(item, "ContentSequence"):
        if code_of(child, "ConceptNameCodeSequence") in _FETUS:
            fetus = _label(child) or fetus
    code = code_of(item, "ConceptNameCodeSequence")
    return Node(item, code, tags.code(item, "ValueType"), above, fetus)


def quantity(item: Dataset, units: dict[str, float]) -> float | None:
    """Return a numeric item's value in the unit whose factor is 1; ``None`` in other units."""
    for measured in tags.items(item, "MeasuredValueSequence")[:1]:
        value = tags.number(measured, "NumericValue")
        unit = code_of(measured, "MeasurementUnitsCodeSequence")
        factor = units.get(unit.value)
        if value is not None and factor is not None and unit.scheme in ("UCUM", ""):
            return value * factor
    return None


def images_of(root: Dataset, node: Node) -> tuple[str, ...]:
    """Return the UIDs of the images that a value names: below it, or else beside it."""
    named = _images_below(root, node.item, whole_tree=True)
    if not named and node.above:
        named = _images_below(root, node.above[-1].item, whole_tree=False)
    return tuple(dict.fromkeys(named))[:_MAX_IMAGES]


def _images_below(root: Dataset, item: Dataset, *, whole_tree: bool) -> list[str]:
    uids: list[str] = []
    ahead = [(child, 0) for child in tags.items(item, "ContentSequence")]
    while ahead:
        child, depth = ahead.pop(0)
        target = _pointed_at(root, child) or child
        for reference in tags.items(target, "ReferencedSOPSequence")[:1]:
            uid = tags.uid(reference, "ReferencedSOPInstanceUID")
            if uid is not None:
                uids.append(uid)
        if whole_tree and depth < 3 and len(uids) < _MAX_IMAGES:
            ahead += [(each, depth + 1) for each in tags.items(child, "ContentSequence")]
    return uids


def _pointed_at(root: Dataset, item: Dataset) -> Dataset | None:
    """Return the item of the image library that a relationship by reference points at."""
    places = tags.numbers(item, "ReferencedContentItemIdentifier")
    if not places or len(places) > MAX_DEPTH:
        return None
    target = root
    for place in places[1:]:
        children = tags.items(target, "ContentSequence")
        if not 1 <= place <= len(children):
            return None
        target = children[int(place) - 1]
    return target


def code_of(item: Dataset, keyword: str) -> Code:
    """Return the first code of a sequence; an empty one where there is none."""
    for code in tags.items(item, keyword)[:1]:
        value = tags.raw_text(code, "CodeValue") or tags.raw_text(code, "LongCodeValue") or ""
        scheme = tags.raw_text(code, "CodingSchemeDesignator") or ""
        return Code(value.strip(), scheme.strip())
    return Code("", "")


def _label(item: Dataset) -> str | None:
    """Return a fetus's letter or number; what else stands there may be a name, and is dropped."""
    number = quantity(item, {"1": 1.0, "{1}": 1.0, "": 1.0})
    text = f"{number:g}" if number is not None else tags.raw_text(item, "TextValue") or ""
    label = _LABEL.fullmatch(text.strip())
    return label[1].upper() if label else None
