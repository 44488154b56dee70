"""What both structured reports say in the same way: codes, the outline, the observer, lengths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    CodedConcept,
    ComprehensiveSR,
    DeviceObserverIdentifyingAttributes,
    ImageRegion,
    MeasurementProperties,
    ObservationContext,
    ObserverContext,
    SourceImageForRegion,
    SubjectContext,
    SubjectContextFetus,
    TextContentItem,
)
from highdicom.sr import (
    Measurement as SrMeasurement,
)
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from hcmodel.arrays import FloatArray
from worker.reports.objects.dicom_object import fill_in, series_of
from worker.reports.objects.keyed_uid import UidMaker
from worker.reports.objects.measurement import DEVICE, MANUFACTURER, Measurement
from worker.scan import ImageReference

HC = CodedConcept("11984-2", "LN", "Head Circumference")
BPD = CodedConcept("11820-8", "LN", "Biparietal Diameter")
OFD = CodedConcept("11851-3", "LN", "Occipital-Frontal Diameter")
MILLIMETRE = CodedConcept("mm", "UCUM", "millimeter")
COMMENT = CodedConcept("121106", "DCM", "Comment")
NOT_KNOWN = "not known"
_SERIES_NUMBER = 9_100
"""Behind what scanners number."""
_DIGITS = 3


def outline(measurement: Measurement, image: ImageReference) -> ImageRegion:
    """Return the ellipse on its image, major axis first, in the image's own pixels."""
    return ImageRegion(
        graphic_type="ELLIPSE",
        graphic_data=ellipse_points(measurement),
        source_image=SourceImageForRegion(
            image.sop_class_uid,
            image.sop_instance_uid,
            [measurement.row.frame + 1] if image.frames > 1 else None,
        ),
    )


def ellipse_points(measurement: Measurement) -> FloatArray:
    """Return ``(4, 2)`` ends of the major, then of the minor axis, x and y.

    DICOM counts from the corner of the first pixel, this product from its centre.
    """
    center, axes = measurement.ellipse.center_px + 0.5, measurement.ellipse.matrix.T
    ends = [center - axes[0], center + axes[0], center - axes[1], center + axes[1]]
    return np.asarray(ends)


def algorithm(measurement: Measurement) -> AlgorithmIdentification:
    """Return which instrument measured, and with which sizes of a pixel."""
    spacing, scale = measurement.spacing, measurement.row.scale
    return AlgorithmIdentification(
        name=DEVICE,
        version=measurement.model,
        parameters=[
            f"row_mm={spacing.row_mm!r}",
            f"column_mm={spacing.column_mm!r}",
            f"spacing_source={scale.spacing_source}",
        ],
    )


def observation_context(measurement: Measurement, uids: UidMaker) -> ObservationContext:
    """Return who observed, and whom: a device, and a fetus of whom it does not know which."""
    device = DeviceObserverIdentifyingAttributes(
        uid=UID(uids.uid("device", measurement.model)),
        name=DEVICE,
        manufacturer_name=MANUFACTURER,
        model_name=measurement.model,
    )
    return ObservationContext(
        observer_device_context=ObserverContext(codes.DCM.Device, device),
        subject_context=SubjectContext(codes.DCM.Fetus, SubjectContextFetus(NOT_KNOWN)),
    )


Length = tuple[CodedConcept, float, float | None, float | None]
"""A code, a value in mm, and how much less and more it may be."""


def lengths(measurement: Measurement) -> list[Length]:
    """Return each length in mm with its code, and how much less and more it may be."""
    sizes = measurement.row.sizes
    hc_mm = measurement.hc_mm
    less_mm = None if sizes.hc_low_mm is None else hc_mm - sizes.hc_low_mm
    more_mm = None if sizes.hc_high_mm is None else sizes.hc_high_mm - hc_mm
    others = [(BPD, sizes.bpd_mm), (OFD, sizes.ofd_mm)]
    return [
        (HC, hc_mm, less_mm, more_mm),
        *((code, value, None, None) for code, value in others if value is not None),
    ]


def length_item(
    code: CodedConcept, value_mm: float, less_mm: float | None, more_mm: float | None
) -> SrMeasurement:
    """Return a length as TID 300 has it, with its range of uncertainty."""
    properties = None
    if less_mm is not None and more_mm is not None:
        properties = MeasurementProperties(
            upper_measurement_uncertainty=round(more_mm, _DIGITS),
            lower_measurement_uncertainty=round(less_mm, _DIGITS),
        )
        for item in properties:
            item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = [MILLIMETRE]
    return SrMeasurement(code, round(value_mm, _DIGITS), MILLIMETRE, properties=properties)


def comment(text: str) -> TextContentItem:
    """Return a remark."""
    return TextContentItem(COMMENT, text, relationship_type="CONTAINS")


def document(
    form: str, content: Dataset, measurements: Sequence[Measurement], uids: UidMaker
) -> ComprehensiveSR:
    """Return the report as an object of its images' study: preliminary, unverified, partial."""
    first = max(measurements, key=lambda measurement: measurement.measured_at)
    images = [measurement.image for measurement in measurements if measurement.image is not None]
    study = images[0].study_instance_uid
    identities = sorted(measurement.identity for measurement in measurements)
    report = ComprehensiveSR(
        evidence=[_evidence(image) for image in unique(images)],
        content=content,
        series_instance_uid=series_of(form, study, first.model, uids),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=uids.uid("instance", form, *identities),
        instance_number=1,
        manufacturer=MANUFACTURER,
    )
    del report.ContributingEquipmentSequence  # it holds the time at which the object was made
    fill_in(report, first)
    report.CompletionFlagDescription = "Research use only; nobody has confirmed it"
    return report


def unique(images: Sequence[ImageReference]) -> list[ImageReference]:
    """Return each image once: several frames of a loop are one object."""
    return list({image.sop_instance_uid: image for image in images}.values())


def _evidence(image: ImageReference) -> Dataset:
    """Return what highdicom asks of an image to which a report refers; no patient is in it."""
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID = image.sop_class_uid, image.sop_instance_uid
    data.SeriesInstanceUID = image.series_instance_uid
    data.StudyInstanceUID = image.study_instance_uid
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex"):
        setattr(data, keyword, "")
    for keyword in ("AccessionNumber", "StudyID", "StudyDate", "StudyTime"):
        setattr(data, keyword, "")
    return data
