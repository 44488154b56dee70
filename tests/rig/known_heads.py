"""A ledger whose rows say where phantoms' heads really are: no network is needed to draw them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from pydicom import dcmread

from hcmodel.arrays import GreyImage
from hcmodel.flags import Flag
from hcmodel.geometry import Ellipse, Spacing
from hcmodel.phantom import draw_phantom, random_head
from rig.ending import finish
from worker.result import (
    FileIdentity,
    HeadEllipse,
    HeadPlane,
    HeadSizes,
    PixelOrigin,
    Result,
    Scale,
    Status,
)
from worker.sample_files import write_series
from worker.store.batches import BatchKind, NewScan, finish_intake, insert_scans, open_batch
from worker.store.claims import claim
from worker.store.session import Database

MODEL = "hc18-known-heads"


@dataclass(frozen=True, slots=True)
class Known:
    """A phantom's file and what its row says."""

    path: Path
    pixels: GreyImage
    ellipse: Ellipse
    spacing: Spacing


def random_phantom(rng: np.random.Generator) -> tuple[GreyImage, Ellipse, Spacing]:
    """Return an image of any size with pixels of any shape, and its head."""
    shape = (int(rng.integers(120, 900)), int(rng.integers(260, 1200)))
    while shape[1] < shape[0]:
        shape = (shape[0] // 2 + 60, shape[1] + 100)
    head = random_head(shape, rng)
    spacing = Spacing(*rng.uniform(0.08, 0.4, 2))
    return draw_phantom(shape, head, rng), head, spacing


def write_known(
    database: Database, folder: Path, names: Sequence[str], rng: np.random.Generator
) -> list[Known]:
    """Write a phantom under each name and a row for it, as if it had been measured."""
    folder.mkdir(parents=True, exist_ok=True)
    known = []
    for name in names:
        pixels, head, spacing = random_phantom(rng)
        path = folder / name
        path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
        known.append(Known(path, pixels, head, spacing))
    store(database, [(str(each.path), result_of(each, rng)) for each in known])
    return known


def result_of(known: Known, rng: np.random.Generator) -> Result:
    """Return what a perfect instrument would say."""
    head, spacing = known.ellipse, known.spacing
    hc_mm = head.circumference_mm(spacing)
    major_mm, minor_mm = head.semi_axes_mm(spacing)
    flags = (Flag.LOW_CONFIDENCE.value,) if rng.random() < 0.3 else ()
    rows, columns = known.pixels.shape
    return Result(
        Status.FLAGGED if flags else Status.MEASURED,
        MODEL,
        sizes=HeadSizes(hc_mm, hc_mm - 3, hc_mm + 3, 2 * minor_mm, 2 * major_mm),
        scale=Scale(spacing.row_mm, spacing.column_mm, "manual"),
        ellipse=HeadEllipse(
            head.center_x_px,
            head.center_y_px,
            head.semi_axis_a_px,
            head.semi_axis_b_px,
            head.angle_rad,
            float(rng.uniform(0.3, 0.99)),
            flags,
        ),
        file=FileIdentity(sha256=hashlib.sha256(known.path.read_bytes()).hexdigest()),
        origin=PixelOrigin("pillow", rows=rows, columns=columns),
        head_plane=HeadPlane("trans-thalamic", 0.97, "gate"),
    )


def store(database: Database, results: Sequence[tuple[str, Result]], label: str = "known") -> str:
    """Store rows as workers do; return their batch."""
    batch = open_batch(database, BatchKind.SUBMIT, label, label)
    scans = [NewScan(source) for source, _ in results]
    ids = insert_scans(database, batch, scans, published=False)
    finish_intake(database, batch)
    claims = claim(database, ids, "here", lease_s=60)
    by_source = dict(results)
    for each in claims:
        finish(database, each, by_source[each.source])
    return batch


def known_dicom(
    database: Database, folder: Path, *, frame: int = 0, **tags: object
) -> tuple[Path, Ellipse]:
    """A DICOM phantom with a row that says where its head is."""
    (sample,) = write_series(folder / "samples", 1, seed=5)
    data = dcmread(sample)
    for keyword, value in tags.items():
        setattr(data, keyword, value)
    path = folder / "known.dcm"
    if "NumberOfFrames" in tags:
        data.PixelData *= 2
    pixels = data.pixel_array if data.get("NumberOfFrames") is None else data.pixel_array[0]
    data.save_as(path, enforce_file_format=True)
    head = Ellipse(400.0, 260.0, 170.0, 130.0, 0.3)
    known = Known(path, pixels, head, Spacing(0.18, 0.18))
    result = result_of(known, np.random.default_rng(1))
    identity = replace(
        result.file,
        sop_instance_uid=str(data.SOPInstanceUID),
        study_instance_uid=str(data.StudyInstanceUID),
    )
    store(database, [(str(path), replace(result, file=identity))])
    return path, head
