"""Measurements as objects that hospitals' systems read: DICOM, FHIR, HC18's table."""
