"""The forms of objects by name: what each needs, and how its bytes are made.

Nothing heavy is imported until a form is used, so that its name can be asked for at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.extras import extra

if TYPE_CHECKING:
    from hcmodel.arrays import ColorImage
    from worker.reports.objects.keyed_uid import UidMaker
    from worker.reports.objects.measurement import Measurement


@dataclass(frozen=True, slots=True)
class Form:
    """A kind of object.

    ``needs_image``: it refers to a DICOM image, which must be there; ``draws``: it holds a picture;
    ``by_study``: one object holds all of a study; ``is_table``: one object holds all rows.
    """

    name: str
    suffix: str
    needs_image: bool = False
    draws: bool = False
    by_study: bool = False
    is_table: bool = False

    @property
    def is_dicom(self) -> bool:
        """Whether it is a DICOM object, which may carry the source's patient module."""
        return self.suffix == ".dcm"


SR = Form("dicom-sr", ".dcm", needs_image=True)
OBGYN = Form("dicom-sr-obgyn", ".dcm", needs_image=True, by_study=True)
CAPTURE = Form("dicom-sc", ".dcm", draws=True)
FHIR = Form("fhir", ".json")
HC18 = Form("hc18", ".csv", is_table=True)

OBJECT_FORMS = {form.name: form for form in (SR, OBGYN, CAPTURE, FHIR, HC18)}


def content_of(
    form: Form,
    measurements: list[Measurement],
    uids: UidMaker,
    picture: ColorImage | None = None,
) -> bytes:
    """Return the object's bytes: of one measurement, or of all of a study or table.

    Raises ``ExtraMissing`` where the libraries for it are not installed.
    """
    with extra("hospital"):
        if form is SR:
            from worker.reports.objects.imaging_report import imaging_report

            return imaging_report(measurements[0], uids)
        if form is OBGYN:
            from worker.reports.objects.obgyn_report import obgyn_report

            return obgyn_report(measurements, uids)
        if form is FHIR:
            from worker.reports.objects.observation import observation

            return observation(measurements[0], uids)
    if form is CAPTURE:
        from worker.reports.objects.secondary_capture import secondary_capture

        assert picture is not None
        return secondary_capture(measurements[0], picture, uids)
    from worker.reports.objects.hc18_table import table, table_line

    return table(map(table_line, measurements))
