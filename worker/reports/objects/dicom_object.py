"""What all DICOM objects of this product share: whose they are, where they belong, their bytes."""

from __future__ import annotations

import io
from datetime import datetime

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from worker.reports.objects.keyed_uid import UidMaker
from worker.reports.objects.measurement import DEVICE, MANUFACTURER, Measurement

# 2.25 and a UUID drawn once for this product: it names the program that wrote the file.
IMPLEMENTATION = UID("2.25.212862949246713541817462932407195843029")
_UTF8 = "ISO_IR 192"
_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
_STUDY = ("StudyDate", "StudyTime", "AccessionNumber", "StudyID", "ReferringPhysicianName")
_OPTIONAL = ("IssuerOfPatientID", "StudyDescription")
_NOTICE = "Research use only: unverified HC"
"""A series description takes 64 letters."""


def study_of(measurement: Measurement, uids: UidMaker) -> str:
    """Return the UID of the image's study; one of our own where the image knows none."""
    file = measurement.row.file
    image = measurement.image
    known = file.study_instance_uid if image is None else image.study_instance_uid
    return known or uids.uid("study", file.sha256)


def series_of(form: str, study: str, model: str, uids: UidMaker) -> str:
    """Return the UID of the series in which a study's objects of one form and instrument lie."""
    return uids.uid("series", form, study, model)


def fill_in(data: Dataset, measurement: Measurement) -> None:
    """Set what every object says: patient and study where asked for, instrument, times, notice.

    Without the source's patient module the tags are there and empty. Times are those of the
    measurement, in UTC: an object made again is the same.
    """
    patient = measurement.patient
    data.SpecificCharacterSet = _UTF8
    for keyword in (*_PATIENT, *_STUDY):
        setattr(data, keyword, patient.get(keyword, ""))
    for keyword in _OPTIONAL:
        if keyword in patient:
            setattr(data, keyword, patient[keyword])
    data.SeriesDescription = _NOTICE
    data.Manufacturer = MANUFACTURER
    data.ManufacturerModelName = DEVICE
    data.SoftwareVersions = measurement.model[:64]
    data.DeviceSerialNumber = "1"
    stamp(data, measurement.measured_at)


def stamp(data: Dataset, moment: datetime) -> None:
    """Set the object's dates and times."""
    date, time = moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")
    data.InstanceCreationDate, data.InstanceCreationTime = date, time
    data.SeriesDate, data.SeriesTime = date, time
    data.ContentDate, data.ContentTime = date, time


def file_bytes(data: Dataset) -> bytes:
    """Return the object as a DICOM file, explicit VR little endian."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    meta.ImplementationClassUID = IMPLEMENTATION
    meta.ImplementationVersionName = "HCBATCH"
    data.file_meta = meta
    out = io.BytesIO()
    data.save_as(out, enforce_file_format=True)
    return out.getvalue()
