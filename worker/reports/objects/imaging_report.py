"""DICOM SR by TID 1500, as IHE AI Results asks for: the outline, HC, BPD and OFD of one head."""

from __future__ import annotations

from highdicom.sr import (
    CodedConcept,
    FindingSite,
    MeasurementReport,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    QualitativeEvaluation,
    TrackingIdentifier,
)
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from worker.reports.objects.dicom_object import file_bytes
from worker.reports.objects.keyed_uid import UidMaker
from worker.reports.objects.measurement import SCHEME, Measurement
from worker.reports.objects.report_content import (
    algorithm,
    comment,
    document,
    length_item,
    lengths,
    observation_context,
    outline,
)

FORM = "dicom-sr"
_PROCEDURE = CodedConcept("11525-3", "LN", "US Pelvis Fetus for pregnancy")
_STATUS = CodedConcept("STATUS", SCHEME, "Status of the measurement")
_MEASURED = CodedConcept("MEASURED", SCHEME, "Measured")
_FLAGGED = CodedConcept("FLAGGED", SCHEME, "Measured; a person must look")


def imaging_report(measurement: Measurement, uids: UidMaker) -> bytes:
    """Return the file of a report about one image, to which ``measurement.image`` refers."""
    assert measurement.image is not None
    tracking = UID(uids.uid("tracking", measurement.identity))
    group = PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(tracking, "Fetal head outline"),
        referenced_region=outline(measurement, measurement.image),
        finding_type=CodedConcept("69536005", "SCT", "Head"),
        finding_sites=[FindingSite(CodedConcept("69536005", "SCT", "Head"))],
        algorithm_id=algorithm(measurement),
        measurements=[length_item(*length) for length in lengths(measurement)],
        qualitative_evaluations=[_evaluation(measurement)],
    )
    group[0].ContentSequence.append(comment(measurement.comment))
    report = MeasurementReport(
        observation_context=observation_context(measurement, uids),
        procedure_reported=_PROCEDURE,
        imaging_measurements=[group],
        title=codes.DCM.ImagingMeasurementReport,
    )
    return file_bytes(document(FORM, report[0], [measurement], uids))


def _evaluation(measurement: Measurement) -> QualitativeEvaluation:
    return QualitativeEvaluation(_STATUS, _FLAGGED if measurement.doubts else _MEASURED)
