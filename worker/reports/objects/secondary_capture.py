"""DICOM secondary capture: the image with what was found drawn on it, for any viewer."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from hcmodel.arrays import ColorImage
from worker.reports.objects.dicom_object import file_bytes, fill_in, series_of, study_of
from worker.reports.objects.keyed_uid import UidMaker
from worker.reports.objects.measurement import Measurement

FORM = "dicom-sc"
_SERIES_NUMBER = 9_101
_MOST_COMMENT = 10_240
"""Letters of VR LT."""


def secondary_capture(measurement: Measurement, picture: ColorImage, uids: UidMaker) -> bytes:
    """Return the file of a picture ``(rows, columns, 3)`` in OpenCV's order of colours.

    It carries no spacing: nobody shall measure in a picture that was enlarged.
    """
    data = Dataset()
    data.SOPClassUID = SecondaryCaptureImageStorage
    data.SOPInstanceUID = uids.uid("instance", FORM, measurement.identity)
    data.StudyInstanceUID = study_of(measurement, uids)
    data.SeriesInstanceUID = series_of(FORM, data.StudyInstanceUID, measurement.model, uids)
    data.Modality = "OT"
    data.SeriesNumber = _SERIES_NUMBER
    data.InstanceNumber = measurement.row.frame + 1
    fill_in(data, measurement)
    data.ConversionType = "WSD"
    data.PatientOrientation = data.Laterality = ""
    data.ImageType = ["DERIVED", "SECONDARY"]
    data.BurnedInAnnotation = "YES"
    data.ImageComments = measurement.comment[:_MOST_COMMENT]
    data.DerivationDescription = "Outline and lengths drawn by an algorithm; research use only"
    if measurement.image is not None:
        source = Dataset()
        source.ReferencedSOPClassUID = measurement.image.sop_class_uid
        source.ReferencedSOPInstanceUID = measurement.image.sop_instance_uid
        if measurement.image.frames > 1:
            source.ReferencedFrameNumber = measurement.row.frame + 1
        data.SourceImageSequence = [source]
    _set_pixels(data, picture)
    return file_bytes(data)


def _set_pixels(data: Dataset, picture: ColorImage) -> None:
    data.Rows, data.Columns = picture.shape[:2]
    data.SamplesPerPixel, data.PhotometricInterpretation = 3, "RGB"
    data.PlanarConfiguration, data.PixelRepresentation = 0, 0
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit = 7
    content = np.ascontiguousarray(picture[..., ::-1]).tobytes()
    data.PixelData = content + b"\0" * (len(content) % 2)
