"""The rule for the size of a pixel, row by row."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    EnhancedUSVolumeStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
    UltrasoundMultiFrameImageStorage,
)

from hcmodel.geometry import Spacing
from worker import errors
from worker.reading import read
from worker.reading.head_region import region_of_head
from worker.reading.spacing import candidate_regions, whole_raster
from worker.scan import Box, Region

US_RETIRED = "1.2.840.10008.5.1.4.1.1.6"
US_MULTI_RETIRED = "1.2.840.10008.5.1.4.1.1.3"
REGIONS_TAG = struct.pack("<HH", 0x0018, 0x6011)
WHOLE = Box(0, 0, 80, 60)
BOX = Box(4, 5, 74, 56)


def the_region(scan) -> Region:
    (only,) = scan.regions
    return only


def mm(row_mm: float, column_mm: float):
    return pytest.approx((row_mm, column_mm), rel=1e-9)


def scale(found: Region) -> tuple[float, float]:
    assert found.spacing is not None
    return found.spacing.row_mm, found.spacing.column_mm


@pytest.mark.parametrize(
    "sop_class", [None, UltrasoundMultiFrameImageStorage, US_RETIRED, US_MULTI_RETIRED]
)
def test_region_gives_the_scale_in_every_ultrasound_class(image, region, save, sop_class):
    ds = image(region())
    if sop_class:
        ds.SOPClassUID = sop_class
    found = the_region(read(save(ds)))
    assert scale(found) == mm(0.2, 0.25)
    assert found.box == BOX
    assert (found.index, found.spacing_source) == (0, "us-region")
    assert (found.delta_x_cm, found.delta_y_cm) == (0.025, 0.02)


def test_enhanced_volume_is_refused_even_with_a_manual_scale(image, region, save):
    path = save(image(region(), SOPClassUID=EnhancedUSVolumeStorage))
    with pytest.raises(errors.EnhancedUsVolume):
        read(path)
    with pytest.raises(errors.EnhancedUsVolume):
        read(path, manual=Spacing(0.1, 0.1))


@pytest.mark.parametrize("manual", [None, Spacing(0.1, 0.1)])
def test_a_volume_has_no_regions_whoever_asks(manual):
    with pytest.raises(errors.EnhancedUsVolume):
        candidate_regions(Dataset(), EnhancedUSVolumeStorage, (60, 80), manual)


NOT_SPATIAL = {
    "screen with units 0": {"PhysicalUnitsXDirection": 0, "PhysicalUnitsYDirection": 0},
    "M-mode": {"RegionSpatialFormat": 2, "PhysicalUnitsXDirection": 4},
    "spectral": {"RegionSpatialFormat": 3, "RegionDataType": 3},
    "ECG": {"RegionSpatialFormat": 4, "RegionDataType": 10, "PhysicalUnitsXDirection": 4},
    "grey bar": {"RegionSpatialFormat": 0, "RegionDataType": 13},
    "colour bar": {"RegionSpatialFormat": 5, "RegionDataType": 12},
    "only X in cm": {"PhysicalUnitsYDirection": 0},
    "only Y in cm": {"PhysicalUnitsXDirection": 4},
    "delta 0": {"PhysicalDeltaX": 0.0},
    "delta not a number": {"PhysicalDeltaY": float("nan")},
    "delta without end": {"PhysicalDeltaY": float("inf")},
    "delta of metres": {"PhysicalDeltaX": 10.1},
    "delta of nothing": {"PhysicalDeltaX": 5e-324},
    "delta beyond HC's numbers": {"PhysicalDeltaX": 1e300, "PhysicalDeltaY": 1e300},
    "box turned round": {"RegionLocationMinX0": 73, "RegionLocationMaxX1": 4},
    "box of no height": {"RegionLocationMinY0": 55},
}


@pytest.mark.parametrize("changes", NOT_SPATIAL.values(), ids=NOT_SPATIAL)
def test_other_regions_are_passed_over(image, region, save, changes):
    found = the_region(read(save(image(region(**changes), region()))))
    assert found.index == 1
    with pytest.raises(errors.NoSpatialRegion):
        read(save(image(region(**changes))))


@pytest.mark.parametrize("missing", ["PhysicalDeltaX", "RegionLocationMaxY1", "RegionDataType"])
def test_region_without_a_value_is_passed_over(image, region, save, missing):
    item = region()
    delattr(item, missing)
    with pytest.raises(errors.NoSpatialRegion):
        read(save(image(item)))


def test_empty_sequence_is_no_way_back_to_pixel_spacing(image, save):
    ds = image(PixelSpacing=[0.3, 0.3])
    ds.SequenceOfUltrasoundRegions = []
    with pytest.raises(errors.NoSpatialRegion):
        read(save(ds))


def test_colour_flow_and_negative_deltas_count(image, region, save):
    item = region(RegionDataType=2, PhysicalDeltaX=-0.025, PhysicalDeltaY=-0.02)
    found = the_region(read(save(image(item))))
    assert scale(found) == mm(0.2, 0.25)
    assert found.delta_x_cm == -0.025


@pytest.mark.parametrize(
    ("corner", "inside", "outside"),
    [("RegionLocationMaxX1", 80, 81), ("RegionLocationMaxY1", 60, 61)],
)
def test_box_may_leave_the_raster_by_one_pixel(image, region, save, corner, inside, outside):
    box = the_region(read(save(image(region(**{corner: inside}))))).box
    assert (box.right, box.bottom) in [(80, 56), (74, 60)]
    with pytest.raises(errors.RegionOutsideImage):
        read(save(image(region(**{corner: outside}))))


def test_one_region_outside_spoils_the_file(image, region, save):
    with pytest.raises(errors.RegionOutsideImage):
        read(save(image(region(), region(RegionLocationMaxX1=200))))


def test_two_panes_are_two_candidates_and_doubles_are_one(image, region, save):
    left = region(RegionLocationMaxX1=39)
    right = region(RegionLocationMinX0=40, RegionLocationMaxX1=79)
    bar = region(RegionSpatialFormat=0)
    scan = read(save(image(left, left, bar, right)))
    assert [found.index for found in scan.regions] == [0, 3]
    assert [found.box.left for found in scan.regions] == [4, 40]


def test_pixel_spacing_must_agree_with_the_region(image, region, save):
    agreeing = image(region(), PixelSpacing=[0.2 * 1.019, 0.25 * 0.99])
    assert scale(the_region(read(save(agreeing)))) == mm(0.2, 0.25)
    for wrong in ([0.2 * 1.021, 0.25], [0.25, 0.2], [0.2, 0.25 * 0.97]):
        with pytest.raises(errors.SpacingConflict):
            read(save(image(region(), PixelSpacing=wrong)))


def test_region_that_pixel_spacing_contradicts_holds_no_head(image, region, save):
    good = region(RegionLocationMaxX1=39)
    bad = region(RegionLocationMinX0=40, RegionLocationMaxX1=79, PhysicalDeltaX=0.05)
    regions = read(save(image(good, bad, PixelSpacing=[0.2, 0.25]))).regions
    assert region_of_head(regions, (10, 10, 30, 30)).index == 0
    with pytest.raises(errors.SpacingConflict):
        region_of_head(regions, (45, 10, 70, 30))


def test_pixel_spacing_alone_is_taken_rows_first(image, save):
    found = the_region(read(save(image(PixelSpacing=[0.2, 0.25]))))
    assert scale(found) == mm(0.2, 0.25)
    assert (found.box, found.index, found.spacing_source) == (WHOLE, None, "pixel-spacing")


@pytest.mark.parametrize(
    "text", ["0,2\\0,2", "nan\\nan", "-0.2\\0.2", "0.2", "0\\0.2", "0.2\\0.2\\0.2", "inf\\0.2", ""]
)
def test_unreadable_pixel_spacing_is_refused_with_its_text(image, region, save, text):
    alone, beside = image(), image(region())
    for ds in (alone, beside):
        ds.add_new("PixelSpacing", "LO", text)  # pydicom writes no such DS; implicit VR hides it
    with pytest.raises(errors.SpacingUnknown) as refusal:
        read(save(alone, transfer_syntax=ImplicitVRLittleEndian))
    assert (text or "(empty)") in str(refusal.value)
    path = save(beside, transfer_syntax=ImplicitVRLittleEndian)
    if text:
        with pytest.raises(errors.SpacingConflict):
            read(path)
    else:
        assert scale(the_region(read(path))) == mm(0.2, 0.25)


@pytest.mark.parametrize("sop_class", [SecondaryCaptureImageStorage, "1.2.840.10008.5.1.4.1.1.2"])
def test_other_classes_need_a_calibration(image, region, save, sop_class):
    capture = image(SOPClassUID=sop_class)
    assert the_region(read(save(capture))).spacing is None
    capture.PixelSpacing = [0.2, 0.25]
    with pytest.raises(errors.Uncalibrated):
        read(save(capture))
    capture.PixelSpacingCalibrationType = "FIDUCIAL"
    found = the_region(read(save(capture)))
    assert (scale(found), found.spacing_source) == (mm(0.2, 0.25), "pixel-spacing")


@pytest.mark.parametrize("sop_class", [SecondaryCaptureImageStorage, "1.2.840.10008.5.1.4.1.1.2"])
def test_a_region_is_a_calibration_in_every_class(image, region, save, sop_class):
    capture = image(region(), SOPClassUID=sop_class)
    found = the_region(read(save(capture)))
    assert (scale(found), found.spacing_source) == (mm(0.2, 0.25), "us-region")
    capture.PixelSpacing = [0.3, 0.3]
    with pytest.raises(errors.SpacingConflict, match="0.3 x 0.3 mm .* 0.2 x 0.25 mm"):
        read(save(capture))


@pytest.mark.parametrize(
    "tag",
    [
        {"ImagerPixelSpacing": [0.2, 0.2]},
        {"NominalScannedPixelSpacing": [0.2, 0.2]},
        {"PixelAspectRatio": [1, 1]},
    ],
)
def test_other_tags_are_no_scale(image, save, tag):
    found = the_region(read(save(image(**tag))))
    assert (found.spacing, found.spacing_source, found.box) == (None, None, WHOLE)


@pytest.mark.parametrize(
    ("changes", "flags"),
    [
        ({}, ("region-height-implausible",)),  # 51 rows of 0.2 mm: 10 mm
        ({"PhysicalDeltaY": 0.0024}, ("spacing-implausible", "region-height-implausible")),
        ({"PhysicalDeltaX": 0.0029, "PhysicalDeltaY": 0.05}, ()),
        ({"PhysicalDeltaX": 0.061, "PhysicalDeltaY": 0.05}, ("spacing-implausible",)),
        ({"PhysicalDeltaY": 0.9}, ("spacing-implausible", "region-height-implausible")),
        ({"PhysicalDeltaX": 0.05, "PhysicalDeltaY": 0.05}, ()),
    ],
)
def test_the_implausible_is_flagged_not_refused(image, region, save, changes, flags):
    assert the_region(read(save(image(region(**changes))))).flags == flags


@pytest.mark.parametrize(("ratio", "differs"), [([4, 5], False), ([5, 4], True), ([1, 1], True)])
def test_pixel_aspect_ratio_is_vertical_first(image, region, save, ratio, differs):
    found = the_region(read(save(image(region(), PixelAspectRatio=ratio))))
    assert ("pixel-aspect-differs" in found.flags) is differs


MANUAL = Spacing(0.3, 0.4)


@pytest.mark.parametrize(
    ("regions", "box", "index"),
    [
        ([{}], BOX, 0),
        ([{"RegionSpatialFormat": 2}, {}], BOX, 1),
        ([{"RegionLocationMaxX1": 200}], WHOLE, None),
        ([{"RegionSpatialFormat": 2}], WHOLE, None),
        ([], WHOLE, None),
    ],
)
def test_a_person_overrides_every_scale(image, region, save, regions, box, index):
    ds = image(*(region(**changes) for changes in regions), PixelSpacing=[9, 9])
    found = the_region(read(save(ds), manual=MANUAL))
    assert (found.box, found.index) == (box, index)
    assert (found.spacing, found.spacing_source) == (MANUAL, "manual")


@pytest.mark.parametrize("bad", [{"RegionLocationMaxX1": 200}, {"RegionLocationMaxY1": 61}])
@pytest.mark.parametrize("order", [1, -1])
def test_one_box_outside_spoils_the_others_for_a_person_too(image, region, save, bad, order):
    """They were measured on another image: the head may lie anywhere in this one."""
    items = [region(), region(**bad)][::order]
    found = the_region(read(save(image(*items)), manual=MANUAL))
    assert (found.box, found.index, found.spacing) == (WHOLE, None, MANUAL)


def test_a_persons_scale_holds_in_every_box_and_is_doubted_there(image, region, save):
    left, right = region(RegionLocationMaxX1=39), region(RegionLocationMinX0=40)
    found = read(save(image(left, left, right)), manual=Spacing(0.7, 0.3)).regions
    assert [each.index for each in found] == [0, 2], "the same box once, by its first item"
    assert [each.box for each in found] == [Box(4, 5, 40, 56), Box(40, 5, 74, 56)]
    doubts = ("spacing-implausible",)  # 51 rows of 0.7 mm are 35.7 mm
    assert [each.flags for each in found] == [doubts, doubts]
    whole = the_region(read(save(image()), manual=Spacing(0.3, 0.7)))
    assert (whole.box, whole.flags) == (WHOLE, ("spacing-implausible", "region-height-implausible"))
    assert {(each.spacing_source, each.contradicted_by) for each in (*found, whole)} == {
        ("manual", None)
    }


def test_a_person_calibrates_a_capture(image, save):
    capture = image(SOPClassUID=SecondaryCaptureImageStorage, PixelSpacing=[9, 9])
    assert the_region(read(save(capture), manual=MANUAL)).spacing == MANUAL


LEFT = Region(Box(0, 0, 40, 60), Spacing(0.2, 0.2), "us-region", 0)
RIGHT = Region(Box(40, 0, 80, 60), Spacing(0.2, 0.2), "us-region", 1)
LARGE = Region(Box(0, 0, 80, 60), Spacing(0.2001, 0.2), "us-region", 2)
LARGE_OTHER = Region(Box(0, 0, 80, 60), Spacing(0.2003, 0.2), "us-region", 3)


def test_head_belongs_to_the_pane_around_it():
    assert region_of_head([LEFT, RIGHT], (5, 5, 30, 50)) is LEFT
    assert region_of_head([LEFT, RIGHT], (45, 5, 70, 50)) is RIGHT


def test_head_across_both_panes_is_refused():
    with pytest.raises(errors.HeadOutsideRegion):
        region_of_head([LEFT, RIGHT], (30, 5, 50, 50))


@pytest.mark.parametrize(
    ("head", "inside"),
    [
        ((-1, -1, 40, 60), True),
        ((-1.1, 0, 30, 30), False),
        ((0, -1.1, 30, 30), False),
        ((0, 0, 40.1, 30), False),
        ((0, 0, 30, 60.1), False),
    ],
)
def test_head_may_leave_its_region_by_one_pixel(head, inside):
    if inside:
        assert region_of_head([LEFT], head) is LEFT
    else:
        with pytest.raises(errors.HeadOutsideRegion):
            region_of_head([LEFT], head)


def test_regions_around_the_head_must_agree():
    head = (5, 5, 30, 50)
    assert region_of_head([LEFT, LARGE], head) is LEFT
    with pytest.raises(errors.AmbiguousRegions):
        region_of_head([LEFT, LARGE_OTHER], head)
    assert region_of_head([RIGHT, LARGE_OTHER], head) is LARGE_OTHER


def test_whole_raster_takes_a_head_that_the_border_cuts():
    whole = Region(WHOLE, None, None)
    assert region_of_head([whole], (-20, 5, 30, 90)) is whole


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_regions_of_open_length(image, region, save, syntax):
    ds = image(region(RegionSpatialFormat=0), region())
    ds["SequenceOfUltrasoundRegions"].is_undefined_length = True
    for item in ds.SequenceOfUltrasoundRegions:
        item.is_undefined_length_sequence_item = True
    assert the_region(read(save(ds, transfer_syntax=syntax))).index == 1


def test_regions_whose_type_the_writer_did_not_know(image, region, save):
    """VR UN holds implicit little endian, of known length here."""
    implicit = save(image(region()), transfer_syntax=ImplicitVRLittleEndian).read_bytes()
    start = implicit.index(REGIONS_TAG)
    (length,) = struct.unpack("<L", implicit[start + 4 : start + 8])
    value = implicit[start + 8 : start + 8 + length]
    path = save(image())
    explicit = path.read_bytes()
    rows = explicit.index(struct.pack("<HH", 0x0028, 0x0002))
    unknown = REGIONS_TAG + b"UN\0\0" + struct.pack("<L", length) + value
    path.write_bytes(explicit[:rows] + unknown + explicit[rows:])
    assert scale(the_region(read(path))) == mm(0.2, 0.25)


PHILIPS_MM, EPIQ_MM, ALOKA_MM = 0.262288, 0.254767, 0.382653
REAL = {
    "01_philips_cx50_obstetrical_palette.dcm": [PHILIPS_MM],
    "02_philips_cx50_obstetrical_rle_2frame.dcm": [PHILIPS_MM],
    "03_philips_cx50_cropped350_region_outside.dcm": errors.RegionOutsideImage,
    "04_sonosite_turbo_resampled240_region_outside.dcm": errors.RegionOutsideImage,
    "05_philips_epiq7c_mono_jpegll.dcm": [EPIQ_MM],
    "06_aloka_ssd4000_dualpane_palette16.dcm": [ALOKA_MM, ALOKA_MM],
    "08_ge_logiq700_j2k_lossy_nospacing.dcm": [None],
}


@pytest.mark.parametrize("name", REAL)
def test_real_files(us_dicom, name):
    expected = REAL[name]
    if name.startswith("05"):
        pytest.importorskip("gdcm", reason="JPEG lossless needs the jpeg-lossless extra")
    if isinstance(expected, type):
        with pytest.raises(expected):
            read(us_dicom / name)
        return
    regions = read(us_dicom / name).regions
    indices = [None] if expected == [None] else list(range(len(expected)))
    assert [found.index for found in regions] == indices
    for found, each_mm in zip(regions, expected, strict=True):
        if each_mm is None:
            assert found.spacing is None
        else:
            assert scale(found) == pytest.approx((each_mm, each_mm), abs=5e-7)
            assert found.flags == ()


def test_calipers_on_the_screen_agree_with_the_region(us_dicom):
    """File 01 shows a measured distance: 1.06 cm between two marks that were located by eye."""
    row_mm, column_mm = scale(
        the_region(read(us_dicom / "01_philips_cx50_obstetrical_palette.dcm"))
    )
    across_mm, down_mm = (498.5 - 459.5) * column_mm, (301.5 - 290.5) * row_mm
    assert (across_mm**2 + down_mm**2) ** 0.5 == pytest.approx(10.6, abs=0.05)


@pytest.mark.parametrize("corner", ["RegionLocationMinX0", "RegionLocationMinY0"])
def test_box_may_begin_one_pixel_before_the_raster(image, region, save, corner):
    """Corners are unsigned by the standard; writers that subtract one pixel too many sign them."""

    def with_corner(value: int):
        item = region()
        item.add_new(corner, "SL", value)
        return save(image(item), transfer_syntax=ExplicitVRLittleEndian)

    box = the_region(read(with_corner(-1))).box
    assert (box.left, box.top) == ((0, 5) if "X" in corner else (4, 0))
    with pytest.raises(errors.RegionOutsideImage):
        read(with_corner(-2))


@pytest.mark.parametrize(
    "missing",
    [
        *("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1"),
        *("RegionLocationMaxY1", "PhysicalDeltaX", "PhysicalDeltaY", "RegionSpatialFormat"),
        *("PhysicalUnitsXDirection", "PhysicalUnitsYDirection"),
    ],
)
def test_every_value_of_a_region_is_needed(image, region, save, missing):
    item = region()
    delattr(item, missing)
    with pytest.raises(errors.NoSpatialRegion):
        read(save(image(item)))


@pytest.mark.parametrize(
    ("inclusive", "box"),
    [((79, 59), (80, 60)), ((80, 60), (80, 60)), ((78, 58), (79, 59))],
)
def test_the_last_pixel_is_inside(image, region, save, inclusive, box):
    item = region(RegionLocationMaxX1=inclusive[0], RegionLocationMaxY1=inclusive[1])
    found = the_region(read(save(image(item)))).box
    assert (found.left, found.top, found.right, found.bottom) == (4, 5, *box)


@pytest.mark.parametrize(
    ("sop_class", "is_ultrasound"),
    [
        ("1.2.840.10008.5.1.4.1.1.6.1", True),
        ("1.2.840.10008.5.1.4.1.1.3.1", True),
        ("1.2.840.10008.5.1.4.1.1.6", True),
        ("1.2.840.10008.5.1.4.1.1.3", True),
        ("1.2.840.10008.5.1.4.1.1.7", False),
        ("1.2.840.10008.5.1.4.1.1.2", False),
    ],
)
def test_pixel_spacing_alone_is_a_scale_only_of_ultrasound(image, save, sop_class, is_ultrasound):
    path = save(image(SOPClassUID=sop_class, PixelSpacing=[0.2, 0.25]))
    if is_ultrasound:
        assert scale(the_region(read(path))) == mm(0.2, 0.25)
    else:
        with pytest.raises(errors.Uncalibrated):
            read(path)


def flags_of(shape: tuple[int, int], row_mm: float, column_mm: float, aspect=None):
    return whole_raster(shape, Spacing(row_mm, column_mm), "pixel-spacing", aspect).flags


@pytest.mark.parametrize(
    ("shape", "row_mm", "column_mm", "flags"),
    [
        ((200, 100), 0.1, 0.1, ()),  # 20 mm high
        ((199, 100), 0.1, 0.1, ("region-height-implausible",)),
        ((1000, 100), 0.4, 0.4, ()),  # 400 mm
        ((1001, 100), 0.4, 0.4, ("region-height-implausible",)),
        ((1000, 100), 0.025, 0.025, ()),
        ((1000, 100), 0.0249, 0.025, ("spacing-implausible",)),
        ((1000, 100), 0.025, 0.0249, ("spacing-implausible",)),
        ((500, 100), 0.6, 0.6, ()),
        ((500, 100), 0.601, 0.6, ("spacing-implausible",)),
        ((500, 100), 0.6, 0.601, ("spacing-implausible",)),
    ],
)
def test_each_doubt_has_its_bounds(shape, row_mm, column_mm, flags):
    assert flags_of(shape, row_mm, column_mm) == flags


def test_a_region_is_as_high_as_its_own_box(image, region, save):
    """Rows 20 to 59 of 0.5 mm: 20 mm, wherever they lie."""
    for top, flags in ((20, ()), (21, ("region-height-implausible",))):
        item = region(RegionLocationMinY0=top, RegionLocationMaxY1=59, PhysicalDeltaY=0.05)
        assert the_region(read(save(image(item)))).flags == flags


@pytest.mark.parametrize(
    ("aspect", "differs"),
    [(0.8, False), (0.8158, False), (0.8162, True), (0.7842, False), (0.7838, True)],
)
def test_the_aspect_may_be_off_by_two_percent(aspect, differs):
    flags = flags_of((540, 800), 0.2, 0.25, aspect)
    assert flags == (("pixel-aspect-differs",) if differs else ())


@pytest.mark.parametrize("ratio", [[0, 5], [5, 0], [-5, 4], [5, -4], ["5"], ["5", "4", "1"], None])
def test_an_aspect_that_is_none_says_nothing(image, region, save, ratio):
    ds = image(region())
    if ratio is not None:
        ds.add_new("PixelAspectRatio", "IS", ratio)
    assert "pixel-aspect-differs" not in the_region(read(save(ds))).flags


@pytest.mark.parametrize("text", [" 0.2\\0.25", "0.2 \\ 0.25 ", "2E-1\\.25", "+0.2\\0.250"])
def test_a_decimal_string_may_be_written_in_many_ways(image, save, text):
    ds = image()
    ds.add_new("PixelSpacing", "LO", text)
    path = save(ds, transfer_syntax=ImplicitVRLittleEndian)
    assert scale(the_region(read(path))) == mm(0.2, 0.25)


@pytest.mark.parametrize("text", ["1_0\\0.2", "0x1\\0.2", "0.2\\0.2e", "0.2\\", "\u00a00.2\\0.2"])
def test_what_is_no_decimal_string_is_no_scale(image, save, text):
    ds = image(SpecificCharacterSet="ISO_IR 100")
    ds.add_new("PixelSpacing", "LO", text)
    with pytest.raises(errors.SpacingUnknown):
        read(save(ds, transfer_syntax=ImplicitVRLittleEndian))


@pytest.mark.parametrize("which", ["row_mm", "column_mm"])
def test_panes_may_differ_by_a_thousandth_along_each_axis(which):
    head = (5, 5, 30, 50)
    for factor, agree in ((1.0009, True), (1.0011, False), (0.9992, True), (0.9989, False)):
        spacing = replace(LEFT.spacing, **{which: 0.2 * factor})
        other = Region(Box(0, 0, 80, 60), spacing, "us-region", 2)
        if agree:
            assert region_of_head([LEFT, other], head) is LEFT
        else:
            with pytest.raises(errors.AmbiguousRegions):
                region_of_head([LEFT, other], head)


@pytest.mark.parametrize("which", [0, 1])
def test_pixel_spacing_may_differ_by_two_percent_along_each_axis(image, region, save, which):
    for factor, agrees in ((1.0199, True), (1.0201, False), (0.9805, True), (0.9802, False)):
        stated = [0.2, 0.25]
        stated[which] *= factor
        path = save(image(region(), PixelSpacing=[f"{value:.6f}" for value in stated]))
        if agrees:
            assert scale(the_region(read(path))) == mm(0.2, 0.25)
        else:
            with pytest.raises(errors.SpacingConflict, match="by PixelSpacing, 0.2 x 0.25 mm by"):
                read(path)


def test_a_conflict_names_both_scales():
    told = replace(LEFT, contradicted_by=Spacing(0.31234567, 0.3))
    with pytest.raises(errors.SpacingConflict, match="0.3123 x 0.3 mm by PixelSpacing, 0.2 x 0.2"):
        region_of_head([told], (5, 5, 30, 50))


def test_a_region_beyond_the_raster_is_told_with_its_end(image, region, save):
    bad = region(RegionLocationMaxX1=99, RegionLocationMaxY1=88)
    with pytest.raises(errors.RegionOutsideImage, match="region 1 ends at column 99, row 88 of 80"):
        read(save(image(region(), bad)))
