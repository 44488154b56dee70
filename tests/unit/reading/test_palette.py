"""PALETTE COLOR: indices are not grey until the tables say so."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from worker import errors
from worker.reading import read

ORDERS = {
    "implicit": ImplicitVRLittleEndian,
    "explicit": ExplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
}
MIXED = np.random.default_rng(5).permutation(256)


def words(values, transfer_syntax: str) -> bytes:
    order = ">" if transfer_syntax == ExplicitVRBigEndian else "<"
    return np.asarray(values).astype(f"{order}u2").tobytes()


def paletted(image, transfer_syntax: str, descriptor, tables, *, segmented: bool = False, **tags):
    """``tables``: units of 16 bits for red, green and blue."""
    ds = image(PhotometricInterpretation="PALETTE COLOR", **tags)
    signed = "SS" if ds.PixelRepresentation else "US"
    for colour, table in zip(("Red", "Green", "Blue"), tables, strict=True):
        ds.add_new(f"{colour}PaletteColorLookupTableDescriptor", signed, list(descriptor))
        keyword = f"{colour}PaletteColorLookupTableData"
        raw = table if isinstance(table, bytes) else words(table, transfer_syntax)
        ds.add_new("Segmented" + keyword if segmented else keyword, "OW", raw)
    return ds


@pytest.fixture(params=ORDERS.values(), ids=ORDERS)
def order(request) -> str:
    return request.param


def pixels(save, ds, order: str) -> NDArray[np.uint8]:
    return read(save(ds, transfer_syntax=order)).pixels


def test_16_bit_tables(image, save, ramp, order):
    ds = paletted(image, order, (256, 0, 16), [MIXED << 8] * 3)
    assert np.array_equal(pixels(save, ds, order), MIXED[ramp])


def test_16_bit_tables_that_hold_8_bit_levels(image, save, ramp, order):
    ds = paletted(image, order, (256, 0, 16), [MIXED] * 3)
    assert np.array_equal(pixels(save, ds, order), MIXED[ramp])


def test_8_bit_tables_two_to_a_word(image, save, ramp, order):
    packed = MIXED[::2] | MIXED[1::2] << 8
    ds = paletted(image, order, (256, 0, 8), [packed] * 3)
    assert np.array_equal(pixels(save, ds, order), MIXED[ramp])


def test_colours_become_luma(image, save, ramp, order):
    rgb = np.stack([MIXED, MIXED[::-1], np.arange(256)], axis=-1)
    ds = paletted(image, order, (256, 0, 16), list((rgb << 8).T))
    expected = (rgb @ [0.299, 0.587, 0.114])[ramp]
    assert np.abs(pixels(save, ds, order) - expected).max() <= 1


def test_indices_outside_the_table_take_its_ends(image, save, ramp, order):
    table = np.arange(200, 20, -1)
    ds = paletted(image, order, (180, 30, 16), [table << 8] * 3)
    expected = table[np.clip(ramp.astype(int) - 30, 0, 179)]
    assert np.array_equal(pixels(save, ds, order), expected)


def test_signed_indices(image, save, ramp, order):
    ds = paletted(image, order, (256, -128, 16), [MIXED << 8] * 3, PixelRepresentation=1)
    signed = ramp.view(np.int8).astype(int)
    assert np.array_equal(pixels(save, ds, order), MIXED[signed + 128])


def test_16_bit_indices_and_65536_entries(image, save, ramp, order):
    table = np.arange(65536)[::-1]
    depth = {"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15}
    ds = paletted(image, order, (0, 0, 16), [table] * 3, **depth)
    wide = ramp.astype(np.uint16) * 251
    ds.PixelData = words(wide, order)
    assert np.array_equal(pixels(save, ds, order), (65535 - wide) >> 8)


def test_segmented_16_bit_tables(image, save, ramp, order):
    """Two steps, a ramp from the second on, then all of that again."""
    table = [0, 2, 0, 512, 1, 126, 65024, 2, 2, 0, 0]
    ds = paletted(image, order, (256, 0, 16), [table] * 3, segmented=True)
    half = np.concatenate([[0, 512], np.rint(np.linspace(512, 65024, 127)[1:])]).astype(int)
    expected = np.concatenate([half, half]) >> 8
    assert np.array_equal(pixels(save, ds, order), expected[ramp])


def test_segmented_8_bit_tables(image, save, ramp, order):
    units = bytes([0, 1, 7, 1, 127, 134, 2, 2, 0, 0, 0, 0])
    packed = np.frombuffer(units, "<u2")
    ds = paletted(image, order, (256, 0, 8), [packed] * 3, segmented=True)
    expected = np.concatenate([np.arange(7, 135)] * 2)
    assert np.array_equal(pixels(save, ds, order), expected[ramp])


SEGMENTS = {
    "empty": [],
    "begins with a ramp": [1, 5, 9],
    "unknown segment": [7, 1, 1],
    "cut short": [0, 1, 5, 1, 5],
    "points behind itself": [0, 1, 5, 2, 1, 999, 0],
    "points at itself": [0, 1, 5, 2, 1, 6, 0],
    "points at nothing": [2, 9, 0, 0],
    "repeats without end": [0, 1, 5, 1, 60000, 9, 2, 65535, 0, 0],
}


@pytest.mark.parametrize("segments", SEGMENTS.values(), ids=SEGMENTS)
def test_broken_segments_are_refused(image, save, segments):
    ds = paletted(image, ExplicitVRLittleEndian, (256, 0, 16), [segments] * 3, segmented=True)
    with pytest.raises(errors.FileDamaged, match="palette"):
        read(save(ds))


@pytest.mark.parametrize("descriptor", [(256, 0), (256, 0, 12), (256, 0, 0)])
def test_broken_description_is_refused(image, save, descriptor):
    ds = paletted(image, ExplicitVRLittleEndian, descriptor, [MIXED] * 3)
    with pytest.raises(errors.FileDamaged, match="palette"):
        read(save(ds))


def test_missing_tables_are_refused(image, save):
    with pytest.raises(errors.FileDamaged, match="palette"):
        read(save(image(PhotometricInterpretation="PALETTE COLOR")))
