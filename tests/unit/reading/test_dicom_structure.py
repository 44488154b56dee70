"""The walk over a DICOM file's elements, byte by byte: what it finds where, and what it refuses."""

from __future__ import annotations

import io
import struct

import pytest
from pydicom.datadict import tag_for_keyword

from worker.errors import FileDamaged, NotAnImage, TooLarge
from worker.reading import dicom_structure
from worker.reading.dicom_structure import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    Element,
    Meta,
    begins_dicom,
    is_implicit,
    read_meta,
    value_text,
    walk,
)

OPEN = 0xFFFFFFFF
SHORT = [
    "AE",
    "AS",
    "AT",
    "CS",
    "DA",
    "DS",
    "DT",
    "FL",
    "FD",
    "IS",
    "LO",
    "LT",
    "PN",
    "SH",
    "SL",
    "SS",
    "ST",
    "TM",
    "UI",
    "UL",
    "US",
]
LONG = ["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]
US_IMAGE = "1.2.840.10008.5.1.4.1.1.6.1"


def explicit(
    tag: int, vr: str, value: bytes = b"", length: int | None = None, order: str = "<"
) -> bytes:
    size = len(value) if length is None else length
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    if vr in LONG:
        return head + b"\0\0" + struct.pack(order + "L", size) + value
    return head + struct.pack(order + "H", size) + value


def implicit(tag: int, value: bytes = b"", length: int | None = None, order: str = "<") -> bytes:
    size = len(value) if length is None else length
    return struct.pack(order + "HHL", tag >> 16, tag & 0xFFFF, size) + value


ITEM, ITEM_END, SEQUENCE_END = (implicit(tag) for tag in (0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD))
OPEN_ITEM = implicit(0xFFFEE000, length=OPEN)
MODALITY = explicit(0x00080060, "CS", b"US")


def walked(data: bytes, syntax: str = EXPLICIT_LITTLE, *, start: int = 0) -> list[Element]:
    return list(walk(io.BytesIO(data), start, len(data), syntax))


def met(data: bytes) -> Meta:
    return read_meta(io.BytesIO(data), len(data))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("vr", [*SHORT, *LONG])
def test_each_type_has_its_header(vr: str, order: str) -> None:
    """Eight bytes before the value, or twelve."""
    syntax = EXPLICIT_LITTLE if order == "<" else EXPLICIT_BIG
    first = explicit(0x00080060, vr, b"four", order=order)
    data = first + explicit(0x00080061, "CS", b"US", order=order)
    begin = 12 if vr in LONG else 8
    assert walked(data, syntax) == [
        Element(0x00080060, vr, begin, 4),
        Element(0x00080061, "CS", begin + 4 + 8, 2),
    ]


def test_implicit_elements_have_no_type() -> None:
    data = b"xyz" + implicit(0x00080060, b"US") + implicit(0x00280010, b"\1\0\0\0")
    assert walked(data, IMPLICIT_LITTLE, start=3) == [
        Element(0x00080060, "UN", 11, 2),
        Element(0x00280010, "UN", 21, 4),
    ]


@pytest.mark.parametrize("tag", [0x7FE00008, 0x7FE00009, 0x7FE00010])
def test_the_walk_ends_with_the_pixels(tag: int) -> None:
    data = MODALITY + explicit(tag, "OW", b"\1\2") + explicit(0x7FE10010, "LO", b"xx")
    assert [each.tag for each in walked(data)] == [0x00080060, tag]
    other = MODALITY + explicit(0x7FE00007, "OW", b"\1\2") + explicit(0x7FE10010, "LO", b"xx")
    assert [each.tag for each in walked(other)] == [0x00080060, 0x7FE00007, 0x7FE10010]


def test_pixels_of_open_length_have_none() -> None:
    (pixels,) = walked(explicit(0x7FE00010, "OB", length=OPEN) + ITEM + SEQUENCE_END)
    assert pixels == Element(0x7FE00010, "OB", 12, None)


def test_a_value_may_end_with_the_file_and_not_beyond() -> None:
    assert walked(MODALITY)[0].length == 2
    with pytest.raises(FileDamaged, match=r"\(0008,0060\) reaches past"):
        walked(MODALITY[:-1])
    with pytest.raises(FileDamaged, match=r"\(0008,0060\) reaches past"):
        walked(explicit(0x00080060, "CS", b"US", length=3))
    assert [each.tag for each in walked(MODALITY + b"\x08\0\x61\0CS\0")] == [0x00080060]


def test_what_stands_within_sequences_is_not_told() -> None:
    inner = OPEN_ITEM + explicit(0x00080016, "UI", b"1.2\0") + ITEM_END
    data = explicit(0x00081115, "SQ", length=OPEN) + inner * 2 + SEQUENCE_END + MODALITY
    assert [each.tag for each in walked(data)] == [0x00081115, 0x00080060]
    known = explicit(0x00081115, "SQ", inner) + MODALITY
    assert walked(known)[1] == Element(0x00080060, "CS", 12 + len(inner) + 8, 2)


def test_values_of_unknown_type_and_open_length_hold_implicit_elements() -> None:
    """And what follows them is explicit again (PS3.5 6.2.2)."""
    inner = OPEN_ITEM + implicit(0x00090010, b"hi") + ITEM_END
    for vr in ("UN", "SQ"):  # writers put such items into sequences too
        data = explicit(0x00091001, vr, length=OPEN) + inner + SEQUENCE_END + MODALITY
        assert [each.tag for each in walked(data)] == [0x00091001, 0x00080060]
        assert walked(data)[1].vr == "CS"
    two_items = explicit(0x00091001, "SQ", length=OPEN) + inner
    two_items += OPEN_ITEM + explicit(0x00090010, "LO", b"ho") + ITEM_END + SEQUENCE_END
    assert [each.vr for each in walked(two_items + MODALITY)] == ["SQ", "CS"]


def test_an_item_in_an_item_shows_its_own_types() -> None:
    """No standard has them; what stands in the inner one is told from itself."""
    inner = OPEN_ITEM + OPEN_ITEM + explicit(0x00081150, "UI", b"1.2\0") + ITEM_END + ITEM_END
    data = explicit(0x00081115, "SQ", length=OPEN) + inner + SEQUENCE_END + MODALITY
    assert [each.tag for each in walked(data)] == [0x00081115, 0x00080060]


def test_within_an_unknown_type_a_length_is_not_taken_for_a_type() -> None:
    """A length of 0x5353 bytes reads SS."""
    inner = OPEN_ITEM + implicit(0x00090010, bytes(0x5353)) + ITEM_END + SEQUENCE_END
    found = walked(explicit(0x00091001, "UN", length=OPEN) + inner + MODALITY)
    assert [each.tag for each in found] == [0x00091001, 0x00080060]


@pytest.mark.parametrize("left", [9, 10, 11])
def test_a_header_that_is_cut_within_its_length(left: int) -> None:
    with pytest.raises(FileDamaged, match=r"\(0009,0010\) reaches past"):
        walked(MODALITY + explicit(0x00090010, "OB")[:left])


def test_tags_are_those_of_the_dictionary() -> None:
    for keyword, tag in {
        "MediaStorageSOPClassUID": dicom_structure.MEDIA_SOP_CLASS,
        "TransferSyntaxUID": dicom_structure.TRANSFER_SYNTAX,
        "SOPClassUID": dicom_structure.SOP_CLASS,
        "NumberOfFrames": dicom_structure.NUMBER_OF_FRAMES,
        "PixelData": dicom_structure.PIXEL_DATA,
        "FloatPixelData": dicom_structure.FLOAT_PIXEL_DATA[0],
        "DoubleFloatPixelData": dicom_structure.FLOAT_PIXEL_DATA[1],
    }.items():
        assert tag == tag_for_keyword(keyword)


def test_sequences_that_do_not_end_or_did_not_begin() -> None:
    opened = explicit(0x00081115, "SQ", length=OPEN)
    with pytest.raises(FileDamaged, match="does not end"):
        walked(opened + OPEN_ITEM + ITEM_END)
    for end in (ITEM_END, SEQUENCE_END):
        with pytest.raises(FileDamaged, match="did not begin"):
            walked(MODALITY + end)
    with pytest.raises(FileDamaged, match=r"\(0009,0010\) is of an unknown type"):
        walked(MODALITY + explicit(0x00090010, "ZZ", b"xx"))


def test_sequences_lie_sixty_four_deep_at_most() -> None:
    def nested(depth: int) -> bytes:
        data = b""
        for _ in range(depth // 2):
            data = explicit(0x00081115, "SQ", length=OPEN) + OPEN_ITEM + data
            data += ITEM_END + SEQUENCE_END
        return data

    assert [each.tag for each in walked(nested(64) + MODALITY)] == [0x00081115, 0x00080060]
    with pytest.raises(FileDamaged, match="too deep"):
        walked(nested(66) + MODALITY)
    one_more = nested(64).replace(OPEN_ITEM + ITEM_END, OPEN_ITEM + nested(0) + ITEM_END)
    assert len(walked(one_more)) == 1


def test_a_header_has_a_hundred_thousand_elements_at_most() -> None:
    empty = explicit(0x00090010, "LO")
    assert len(walked(empty * 99_999)) == 99_999
    with pytest.raises(TooLarge, match="more than 100000 elements"):
        walked(empty * 100_000)


def test_a_caller_may_read_while_it_walks() -> None:
    data = MODALITY + explicit(0x00080070, "LO", b"name")
    file = io.BytesIO(data)
    found = []
    for each in walk(file, 0, len(data), EXPLICIT_LITTLE):
        file.seek(0)
        found.append(value_text(file, each))
    assert found == ["US", "name"]


def test_a_caller_may_read_while_a_sequence_is_open() -> None:
    """Where the walk goes on is its own matter: at the value, with the types that stand there."""
    inner = OPEN_ITEM + implicit(0x00090010, b"hi") + ITEM_END + SEQUENCE_END
    data = explicit(0x00091001, "SQ", length=OPEN) + inner + MODALITY
    for place in (0, 5, len(data)):
        file = io.BytesIO(data)
        found = []
        for each in walk(file, 0, len(data), EXPLICIT_LITTLE):
            found.append(each.tag)
            file.seek(place)
        assert found == [0x00091001, 0x00080060]


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_first_element_shows_the_syntax_wherever_the_file_stands(order: str) -> None:
    data = b"xx" + explicit(0x00080060, "CS", b"US", order=order)
    for place in (0, 2, len(data)):
        file = io.BytesIO(data)
        file.seek(place)
        expected = EXPLICIT_LITTLE if order == "<" else EXPLICIT_BIG
        assert dicom_structure._shown_syntax(file, 2) == expected
        file.seek(place)
        assert is_implicit(file, 2, EXPLICIT_LITTLE) is False


def test_a_short_value_is_text_and_a_long_one_is_none() -> None:
    file = io.BytesIO(b"ab" + b" x\xe9 y \0" + b"z" * 300)
    file.seek(1)
    assert value_text(file, Element(0x00080060, "LO", 2, 7)) == "x\xe9 y"
    assert file.tell() == 1
    assert value_text(file, Element(0x00080060, "LO", 9, 256)) == "z" * 256
    marks = io.BytesIO(b" \0Xy X\0 ")
    assert value_text(marks, Element(0x00080060, "LO", 0, 8)) == "Xy X"
    for length in (257, None):
        with pytest.raises(FileDamaged, match=r"\(0008,0060\) is too long"):
            value_text(file, Element(0x00080060, "LO", 9, length))


@pytest.mark.parametrize(
    ("data", "syntax", "expected"),
    [
        (MODALITY, IMPLICIT_LITTLE, False),
        (MODALITY, EXPLICIT_LITTLE, False),
        (implicit(0x00080060, b"US"), EXPLICIT_LITTLE, True),
        (explicit(0x00080060, "cs", b"US"), EXPLICIT_LITTLE, True),
        (explicit(0x00080060, "C1", b"US"), EXPLICIT_LITTLE, True),
        (explicit(0x00080060, "1S", b"US"), EXPLICIT_LITTLE, True),
        (explicit(0x00080060, "Cs", b"US"), EXPLICIT_LITTLE, True),
        (explicit(0x00080060, "cS", b"US"), EXPLICIT_LITTLE, True),
        (explicit(0x00086161, "CS", b"US"), IMPLICIT_LITTLE, False),  # a tag that reads as letters
        (explicit(0x00080060, "CS", b"us"), EXPLICIT_LITTLE, False),
        (MODALITY[:6], IMPLICIT_LITTLE, False),
        (MODALITY[:5], IMPLICIT_LITTLE, True),
        (MODALITY[:5], EXPLICIT_LITTLE, False),
        (b"", IMPLICIT_LITTLE, True),
        (b"\xfe\xff\0\xe0AB", IMPLICIT_LITTLE, True),
        (b"\xff\xfe\xe0\0\0\0", EXPLICIT_LITTLE, False),
    ],
)
def test_elements_show_whether_they_have_types(data: bytes, syntax: str, expected: bool) -> None:
    assert is_implicit(io.BytesIO(b"xx" + data), 2, syntax) is expected


def pair(first: int, second: int, form: str = "explicit") -> bytes:
    order = ">" if form == "big" else "<"
    if form == "implicit":
        return implicit(first, b"ab") + implicit(second, b"cd")
    return explicit(first, "LO", b"ab", order=order) + explicit(second, "LO", b"cd", order=order)


@pytest.mark.parametrize("form", ["explicit", "implicit", "big"])
@pytest.mark.parametrize(
    ("first", "second", "is_dicom"),
    [
        (0x00080005, 0x00080008, True),
        (0x00020010, 0x00080005, True),
        (0x00020010, 0x00020012, True),
        (0x00080005, 0x00080005, False),
        (0x00080008, 0x00080005, False),
        (0x00080005, 0x00100010, False),
        (0x00040005, 0x00080005, False),
        (0x00100010, 0x00100020, False),
    ],
)
def test_two_elements_in_order_begin_a_dataset(
    first: int, second: int, is_dicom: bool, form: str
) -> None:
    data = pair(first, second, form)
    assert begins_dicom(data) is is_dicom
    assert not begins_dicom(data[:10])  # the first alone


def test_what_begins_dicom_by_its_prefix() -> None:
    assert begins_dicom(bytes(128) + b"DICM")
    assert begins_dicom(b"DICM")
    for data in (b"", bytes(127) + b"DICM", bytes(129) + b"DICM", bytes(128) + b"DICN", b" DICM"):
        assert not begins_dicom(data)
    open_first = explicit(0x00080005, "SQ", length=OPEN) + explicit(0x00080008, "LO", b"ab")
    assert not begins_dicom(open_first)
    with pytest.raises(NotAnImage):
        met(b"GIF89a" + bytes(600))


def test_the_second_element_stands_within_512_bytes() -> None:
    for size, is_dicom in ((496, True), (497, False)):  # 8 + 496 + 8
        data = explicit(0x00080005, "LO", bytes(size)) + explicit(0x00080008, "LO", b"")
        if is_dicom:
            assert met(data) == Meta("", EXPLICIT_LITTLE, 0)
        else:
            with pytest.raises(NotAnImage):
                met(data)


META = explicit(0x00020002, "UI", US_IMAGE.encode() + b"\0") + explicit(
    0x00020010, "UI", JPEG_LS := b"1.2.840.10008.1.2.4.80"
)


@pytest.mark.parametrize("begin", [bytes(128) + b"DICM", b"DICM", b""])
def test_the_meta_information_and_where_it_ends(begin: bytes) -> None:
    data = begin + META + MODALITY
    assert met(data) == Meta(US_IMAGE, JPEG_LS.decode(), len(begin + META))
    file = io.BytesIO(data)
    for place in (3, len(data)):  # wherever the file stands
        file.seek(place)
        assert read_meta(file, len(data)) == met(data)
    assert met(begin + META) == Meta(US_IMAGE, JPEG_LS.decode(), len(begin + META))
    for cut in (1, 5):
        with pytest.raises(FileDamaged, match="meta information does not end"):
            met((begin + META)[:-cut])
    unending = begin + META + explicit(0x00020102, "OB", length=OPEN)
    with pytest.raises(FileDamaged, match="meta information does not end"):
        met(unending)


def test_meta_information_may_be_implicit() -> None:
    meta = implicit(0x00020002, b"1.2.3\0") + implicit(0x00020010, b"1.2.4\0")
    assert met(b"DICM" + meta + MODALITY) == Meta("1.2.3", "1.2.4", 4 + len(meta))


def test_a_hundred_meta_elements_are_read() -> None:
    other = explicit(0x00020016, "AE", b"xx")
    last = explicit(0x00020010, "UI", b"1.2.4\0")
    assert met(b"DICM" + other * 99 + last).transfer_syntax == "1.2.4"
    begin = b"DICM" + other * 100
    assert met(begin + last) == Meta("", EXPLICIT_LITTLE, len(begin))


@pytest.mark.parametrize(
    ("form", "syntax"),
    [("explicit", EXPLICIT_LITTLE), ("implicit", IMPLICIT_LITTLE), ("big", EXPLICIT_BIG)],
)
def test_what_the_meta_information_leaves_open_the_dataset_tells(form: str, syntax: str) -> None:
    def dataset(*tags: int) -> bytes:
        order = ">" if form == "big" else "<"
        return b"".join(
            implicit(tag, b"1.7\0")
            if form == "implicit"
            else explicit(tag, "UI", b"1.7\0", order=order)
            for tag in tags
        )

    assert met(dataset(0x00080005, 0x00080016)) == Meta("1.7", syntax, 0)
    assert met(b"DICM" + dataset(0x00080005, 0x00080016)) == Meta("1.7", syntax, 4)
    # In order of their tags: behind the next one it is not searched for.
    assert met(dataset(0x00080005, 0x00080017, 0x00080016)) == Meta("", syntax, 0)


def test_a_deflated_dataset_is_not_walked() -> None:
    meta = b"DICM" + explicit(0x00020010, "UI", DEFLATED.encode())
    assert met(meta + b"\x08\0ZZZZZZ") == Meta("", DEFLATED, len(meta))
