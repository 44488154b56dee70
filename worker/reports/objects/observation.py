"""FHIR R4 Observation: HC with its interval, BPD, OFD and age, its device and what it comes from.

R4B, by whose model it is checked, says the same of an Observation as R4 does.
"""

from __future__ import annotations

import json
from typing import Any

from fhir.resources.R4B.observation import Observation

from worker.reports.objects.keyed_uid import UidMaker
from worker.reports.objects.measurement import (
    DEVICE,
    MANUFACTURER,
    STATEMENT,
    UNKNOWN,
    Measurement,
)

FORM = "fhir"
_LOINC, _UCUM = "http://loinc.org", "http://unitsofmeasure.org"
_OWN = "urn:hc-batch"
_DIGITS = 3


def observation(measurement: Measurement, uids: UidMaker) -> bytes:
    """Return the resource as JSON; checked against the model of its version.

    Needs no source file: what the row knows is enough. There is no patient in it.
    """
    uid = uids.uid("instance", FORM, measurement.identity)
    resource = {
        "resourceType": "Observation",
        "id": uid,
        "meta": {"security": [_RESEARCH]},
        "contained": [_device(measurement)],
        "identifier": [_uid(uid)],
        "status": "preliminary",
        "category": [_concept(_CATEGORY, "imaging", "Imaging")],
        "code": _loinc("11984-2", "Fetal Head Circumference US"),
        "subject": {"type": "Patient", "display": "mother, not known to the instrument"},
        "focus": [{"type": "Patient", "display": "fetus; which one is not known"}],
        "issued": measurement.measured_at.isoformat(timespec="seconds"),
        "valueQuantity": _quantity(measurement.hc_mm, "mm"),
        "interpretation": _interpretation(measurement),
        "note": [{"text": text} for text in _notes(measurement)],
        "method": {"text": "ellipse along the skull's outer border, by a neural network"},
        "device": {"reference": "#device"},
        "derivedFrom": _sources(measurement),
        "component": _components(measurement),
    }
    known = {name: value for name, value in resource.items() if value not in (None, [])}
    checked = Observation.model_validate(known)
    content = json.loads(checked.model_dump_json())
    return (json.dumps(content, indent=1, ensure_ascii=True) + "\n").encode()


_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_RESEARCH = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
    "code": "HRESCH",
    "display": "healthcare research",
}


def _device(measurement: Measurement) -> dict[str, Any]:
    return {
        "resourceType": "Device",
        "id": "device",
        "manufacturer": MANUFACTURER,
        "deviceName": [{"name": DEVICE, "type": "model-name"}],
        "version": [{"value": measurement.model}],
        "note": [{"text": STATEMENT}],
    }


def _interpretation(measurement: Measurement) -> list[dict[str, Any]]:
    """Return the flags: each a reason for a person to look."""
    return [_concept(f"{_OWN}:flags", flag, flag) for flag in measurement.row.ellipse.flags]


def _notes(measurement: Measurement) -> list[str]:
    said = (STATEMENT, measurement.interval, measurement.doubts, UNKNOWN)
    return [text for text in said if text]


def _sources(measurement: Measurement) -> list[dict[str, Any]]:
    """Return image and study by their UIDs, or the file by its hash."""
    file, frame = measurement.row.file, measurement.row.frame
    found = []
    if file.sop_instance_uid is not None:
        image = {"identifier": _uid(file.sop_instance_uid), "type": "ImagingStudy"}
        found.append(image | {"display": f"DICOM image, frame {frame + 1}"})
    if file.study_instance_uid is not None:
        study = {"identifier": _uid(file.study_instance_uid), "type": "ImagingStudy"}
        found.append(study | {"display": "its study"})
    if not found and file.sha256 is not None:
        by_hash = {"system": "urn:ietf:rfc:3986", "value": f"urn:hash::sha256:{file.sha256}"}
        display = f"image file, frame {frame + 1}"
        found.append({"identifier": by_hash, "type": "Media", "display": display})
    return found


def _components(measurement: Measurement) -> list[dict[str, Any]]:
    sizes = measurement.row.sizes
    lengths = (
        (_own("hc-low", "Lower end of the 90 % interval of HC"), sizes.hc_low_mm),
        (_own("hc-high", "Upper end of the 90 % interval of HC"), sizes.hc_high_mm),
        (_loinc("11820-8", "Fetal Head Diameter.biparietal US"), sizes.bpd_mm),
        (_loinc("11851-3", "Fetal Head Diameter.occipitofrontal US"), sizes.ofd_mm),
    )
    found = [
        {"code": code, "valueQuantity": _quantity(value_mm, "mm")}
        for code, value_mm in lengths
        if value_mm is not None
    ]
    if sizes.ga_weeks is not None:
        code = _loinc("18185-9", "Gestational age")
        code["text"] = f"gestational age from this HC alone, by {sizes.ga_formula}"
        found.append({"code": code, "valueQuantity": _quantity(7 * sizes.ga_weeks, "d")})
    return found


def _quantity(value: float, unit: str) -> dict[str, Any]:
    return {"value": round(value, _DIGITS), "unit": unit, "system": _UCUM, "code": unit}


def _uid(uid: str) -> dict[str, str]:
    return {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}


def _loinc(code: str, display: str) -> dict[str, Any]:
    return _concept(_LOINC, code, display)


def _own(code: str, display: str) -> dict[str, Any]:
    return _concept(f"{_OWN}:components", code, display)


def _concept(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}]}
