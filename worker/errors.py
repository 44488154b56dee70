"""Every way in which this product says no.

    HcBatchError
    ├── ScanRejected         the file's fault: stored with its code, its neighbours go on
    │   └── one class per code, below
    ├── ScanFailed           this try's fault, perhaps: worth another, then stored with its code
    │   └── one class per code, below
    ├── OperatorError        a person's mistake: stop and say what to fix
    │   └── one class per code, below
    └── ServiceUnavailable   database or broker out of reach: wait, or try again later

A class's docstring is its message: the cause in the first line, then the remedy. ``code`` is
stable: it is stored, counted and documented. Messages hold no name, number or date of a patient.
"""

from __future__ import annotations

import inspect
from functools import cache
from typing import ClassVar


class HcBatchError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "unexpected"

    def __init__(self, detail: str = "") -> None:
        self.detail = detail
        cause, self.remedy = _told(type(self).__doc__ or "")
        self.cause = cause + (f": {detail.rstrip('.')}" if detail else "")
        super().__init__(f"{self.cause}. {self.remedy}".strip())


@cache
def _told(docstring: str) -> tuple[str, str]:
    """Return cause and remedy; every file that is looked at meets an error or two."""
    cause, _, remedy = inspect.cleandoc(docstring).partition("\n\n")
    return cause.rstrip("."), " ".join(remedy.split())


class ScanRejected(HcBatchError):
    """The file cannot be measured.

    Look at the file with a viewer.
    """

    code = "rejected"


class FileMissing(ScanRejected):
    """The file is not there.

    Put it back, or submit the folder again.
    """

    code = "file-missing"


class FileChanged(ScanRejected):
    """The file is no longer the one that was measured.

    Put the measured one back, or submit the folder again to measure what is there now.
    """

    code = "file-changed"


class FileEmpty(ScanRejected):
    """The file is empty.

    Export or copy it again.
    """

    code = "file-empty"


class FileUnreadable(ScanRejected):
    """The file cannot be opened.

    Give the worker's user the right to read it.
    """

    code = "file-unreadable"


class NotAnImage(ScanRejected):
    """The file is neither DICOM nor PNG, JPEG or TIFF.

    Submit images in one of these formats.
    """

    code = "not-an-image"


class FileDamaged(ScanRejected):
    """The file is cut short or damaged.

    Export or copy it again.
    """

    code = "file-damaged"


class NotDicom(ScanRejected):
    """The file is no DICOM image, so that no DICOM report can refer to it.

    Export it as fhir, hc18 or dicom-sc, which need no such image.
    """

    code = "not-dicom"


class NoPixelData(ScanRejected):
    """The DICOM file holds no pixels.

    Export the image itself, not its report or its header.
    """

    code = "no-pixel-data"


class TooLarge(ScanRejected):
    """The image is larger than this worker opens.

    Export it at its original size; the limits are in docs/reading.md.
    """

    code = "too-large"


class SpacingUnknown(ScanRejected):
    """The file does not tell the size of a pixel.

    Give it with --pixel-size, --pixel-sizes or a sidecar, from the scanner's own scale.
    """

    code = "spacing-unknown"


class SidecarInvalid(ScanRejected):
    """The JSON file beside the image gives no usable pixel size.

    Write {"pixel_size_mm": 0.15} or {"row_mm": 0.15, "column_mm": 0.2} into it, or remove it.
    """

    code = "sidecar-invalid"


class NotAFile(ScanRejected):
    """This is no regular file but a folder, a pipe or a device.

    Submit files, or the folder that holds them.
    """

    code = "not-a-file"


class OutsideRoots(ScanRejected):
    """The file lies outside the folders that may be read, or a link leads out of them.

    Put it into one of them, or add its folder to HC_DATA_ROOTS.
    """

    code = "outside-roots"


class RootUnknown(ScanRejected):
    """This worker has no folder of the name under which the file was submitted.

    Add NAME=FOLDER to its HC_DATA_ROOTS, then requeue the batch.
    """

    code = "root-unknown"


class NoSuchFrame(ScanRejected):
    """The file has fewer frames than that.

    Submit it again, so that its frames are counted anew.
    """

    code = "no-such-frame"


class UnsupportedTransferSyntax(ScanRejected):
    """The DICOM file is compressed in a way that is not read here.

    Export it as uncompressed, JPEG, JPEG 2000, JPEG-LS or RLE.
    """

    code = "unsupported-transfer-syntax"


class UnsupportedPixels(ScanRejected):
    """The pixels are stored in a form that is not read here.

    Export the image with 8 or 16 bits, as grey, RGB, YBR_FULL or palette.
    """

    code = "unsupported-pixels"


class DecoderMissing(ScanRejected):
    """The decoder for this compression is not installed.

    Install it on the worker, then requeue: pip install 'hc-batch[jpeg-lossless]'
    """

    code = "decoder-missing"


class SizeConflict(ScanRejected):
    """The pixel data has another size than the file's tags say, so its scale is unsure.

    Export it again from the scanner.
    """

    code = "size-conflict"


class EnhancedUsVolume(ScanRejected):
    """The file holds a 3D volume, not an image of one plane.

    Export the measuring plane as an ultrasound image.
    """

    code = "enhanced-us-volume"


class RegionOutsideImage(ScanRejected):
    """A calibrated region leaves the image: it was cropped or resampled, and its scale is wrong.

    Export the original from the scanner, or give the pixel size with --pixel-size.
    """

    code = "region-outside-image"


class NoSpatialRegion(ScanRejected):
    """None of the file's ultrasound regions is a calibrated 2D image.

    Submit a B-mode image, or give the pixel size with --pixel-size.
    """

    code = "no-spatial-region"


class HeadOutsideRegion(ScanRejected):
    """The head does not lie inside one calibrated region.

    Submit an image with the whole head in one pane, or give the pixel size with --pixel-size.
    """

    code = "head-outside-region"


class AmbiguousRegions(ScanRejected):
    """The head lies in several calibrated regions whose scales differ.

    Give the pixel size with --pixel-size, from the scanner's own scale.
    """

    code = "ambiguous-regions"


class SpacingConflict(ScanRejected):
    """PixelSpacing and the ultrasound region tell different scales.

    Export the original from the scanner, or give the pixel size with --pixel-size.
    """

    code = "spacing-conflict"


class Uncalibrated(ScanRejected):
    """PixelSpacing stands in the file, but nothing says that it holds for the anatomy.

    Export an ultrasound image instead of a capture, or give the size with --pixel-size.
    """

    code = "uncalibrated"


class Cancelled(ScanRejected):
    """The batch was cancelled before this scan was measured.

    Requeue the batch to measure it after all.
    """

    code = "cancelled"


class OtherAnatomy(ScanRejected):
    """What is outlined is no fetal head.

    Submit an image of the head; where it is one, --any-plane measures it all the same.
    """

    code = "other-anatomy"


class NoHead(ScanRejected):
    """No fetal head was found.

    Look at the image; submit one in the standard plane for HC.
    """

    code = "no-head"


class ScanFailed(HcBatchError):
    """The file could not be measured this time.

    Try it once more with requeue; if it fails again, look at the file with a viewer.
    """

    code = "failed"


class CrashedWorker(ScanFailed):
    """The process that read this file died of it.

    Export the file again; if another viewer opens it, report it with its code.
    """

    code = "crashed-worker"


class TimeLimit(ScanFailed):
    """Measuring this file takes longer than a worker may.

    Submit fewer frames of it, or raise HC_CHUNK_LIMIT_S.
    """

    code = "time-limit"


class GpuOutOfMemory(ScanFailed):
    """The GPU has not enough memory for the network.

    End what else runs on it, or use one with more memory, then requeue the batch.
    """

    code = "gpu-out-of-memory"


class DecodeTimeout(ScanFailed):
    """Reading the file took too long.

    Requeue it when the machine or the network drive is less busy, or export it again.
    """

    code = "decode-timeout"


class OperatorError(HcBatchError):
    """The command cannot be carried out.

    Read the message, mend it, and type the command again.
    """

    code = "usage"


class SettingInvalid(OperatorError):
    """A setting has a value that cannot be used.

    Correct or unset this environment variable.
    """

    code = "setting-invalid"


class SettingMissing(OperatorError):
    """A setting is needed here.

    Set this environment variable.
    """

    code = "setting-missing"


class FolderUnusable(OperatorError):
    """A folder for this product's own files cannot be used.

    Give this user the right to write there, or name another: HC_DATA_DIR, HC_DATABASE_URL, TMPDIR.
    """

    code = "folder-unusable"


class SocketFolderUnsafe(OperatorError):
    """The folder of the private Redis' socket is not this user's alone: it may be a stranger's.

    Find out who made it, remove it, and start again; or set HC_BROKER_URL.
    """

    code = "socket-folder-unsafe"


class PortUnusable(OperatorError):
    """Metrics cannot be served at this port.

    Give a free one with --metrics-port, and an address of this machine with --metrics-host.
    """

    code = "port-unusable"


class PathMissing(OperatorError):
    """A given path does not exist.

    Correct the path; nothing was submitted.
    """

    code = "path-missing"


class PathOutsideRoots(OperatorError):
    """A given path lies outside the folders that may be read.

    Add its folder to HC_DATA_ROOTS; nothing was submitted.
    """

    code = "path-outside-roots"


class FoldersNested(OperatorError):
    """A folder to watch lies in another one, so that its files would be taken twice.

    Name the outer one only: all below it is watched.
    """

    code = "folders-nested"


class PixelSizesInvalid(OperatorError):
    """The table of pixel sizes cannot be used.

    It needs the columns filename and 'pixel size(mm)', or filename, row_mm and column_mm.
    """

    code = "pixel-sizes-invalid"


class ReferenceInvalid(OperatorError):
    """The table of reference values cannot be used.

    It needs filename, study_instance_uid or accession_number, and hc_mm or hc_cm.
    """

    code = "reference-invalid"


class AgesInvalid(OperatorError):
    """The table of gestational ages cannot be used.

    It needs filename, study_instance_uid or accession_number, and ga_weeks (20.4 or 20+3) or
    due_date (2026-01-31).
    """

    code = "ages-invalid"


class BatchUnknown(OperatorError):
    """There is no such batch.

    See the batches with hc-batch status.
    """

    code = "batch-unknown"


class BatchAmbiguous(OperatorError):
    """Several batches have names that begin so.

    Give more of the name; see the batches with hc-batch status.
    """

    code = "batch-ambiguous"


class BatchUnfinished(OperatorError):
    """The batch has not ended.

    Wait for its end with hc-batch status --follow, or end it with hc-batch cancel.
    """

    code = "batch-unfinished"


class NothingToMeasure(OperatorError):
    """There is no image in what was given.

    Correct the path; hc-batch inspect shows what becomes of each file.
    """

    code = "nothing-to-measure"


class OutputUnwritable(OperatorError):
    """The output cannot be written.

    Make the folder, mend its rights, or give another path; no file was replaced.
    """

    code = "output-unwritable"


class SchemaOutdated(OperatorError):
    """The database's tables do not belong to this version.

    Older tables: run hc-batch db upgrade. Newer ones: install the version that made them.
    """

    code = "schema-outdated"


class DatabaseRefused(OperatorError):
    """The database refuses this role or cannot hold what is stored.

    Give it the right that is named, or a database of its own in UTF-8.
    """

    code = "database-refused"


class ServiceUnavailable(HcBatchError):
    """A service is out of reach.

    Start it, or correct its address.
    """

    code = "service-unavailable"


class DatabaseUnreachable(ServiceUnavailable):
    """The database does not answer.

    Start it, or correct HC_DATABASE_URL.
    """

    code = "database-unreachable"


class DatabaseReadOnly(ServiceUnavailable):
    """The database takes no changes at present.

    Wait for the end of its fail-over, or point HC_DATABASE_URL at the primary server.
    """

    code = "database-read-only"


class DatabaseCrowded(ServiceUnavailable):
    """The database takes no more connections.

    Run fewer workers, or raise its max_connections.
    """

    code = "database-crowded"


class BrokerUnreachable(ServiceUnavailable):
    """Redis does not answer.

    Start it, or correct HC_BROKER_URL; without that variable a private one is started.
    """

    code = "broker-unreachable"


class DiskFull(ServiceUnavailable):
    """The disk is full.

    Free some space, or write to another disk; no file was replaced.
    """

    code = "disk-full"


class SystemRefused(ServiceUnavailable):
    """The operating system refuses what the command needs.

    Mend what it names, such as rights, space or limits, and type the command again.
    """

    code = "system-refused"


class ExtraMissing(OperatorError):
    """A library is not installed that this needs.

    Install the extra that it names, with the constraints of this version.
    """

    code = "extra-missing"


class TooManyRows(OperatorError):
    """The form that was asked for has no room for so many rows.

    Narrow the filter, or write CSV or Parquet; no file was replaced.
    """

    code = "too-many-rows"


class FilterInvalid(OperatorError):
    """A filter cannot be read.

    Correct it, or leave it out.
    """

    code = "filter-invalid"


class ReviewInvalid(OperatorError):
    """A review cannot be stored.

    Correct what it names, and send it again.
    """

    code = "review-invalid"


class TokensUnusable(OperatorError):
    """The file of tokens cannot be used.

    Write a line NAME:TOKEN for each person, and let only its owner read it (chmod 600).
    """

    code = "tokens-unusable"


class PagesUnprotected(OperatorError):
    """Pages with patients' images would be open to everyone who reaches this address.

    Give --tokens FILE, or --proxy-user HEADER with --trusted-proxy ADDRESS; or leave --host out.
    """

    code = "pages-unprotected"


class ArchiveUnreachable(ServiceUnavailable):
    """The archive does not answer as a DICOMweb service.

    Start it, or correct its address, which ends before /studies.
    """

    code = "archive-unreachable"


class ArchiveRefused(OperatorError):
    """The archive refuses the question.

    Give user, password or token in the file of destinations, or other filters.
    """

    code = "archive-refused"


class NothingFound(OperatorError):
    """The archive has nothing that fits.

    Widen the filters; --modality is US unless it is given.
    """

    code = "nothing-found"


class DestinationsUnusable(OperatorError):
    """The file of destinations cannot be used.

    Write a table [NAME] with kind = "dicom" or "stow" for each; docs/hospital.md has an example.
    """

    code = "destinations-unusable"


class DestinationUnknown(OperatorError):
    """There is no such destination.

    Give a name that the file of destinations has, or add it there.
    """

    code = "destination-unknown"


class TlsUnusable(OperatorError):
    """A certificate or key for TLS cannot be used.

    Give PEM files that belong together and that this user may read.
    """

    code = "tls-unusable"


class AddressTaken(OperatorError):
    """The address cannot be listened at.

    Choose another --port or --host, or end what listens there.
    """

    code = "address-taken"


class ModelMismatch(OperatorError):
    """The network's weights cannot be trusted.

    Install the package again, or point HC_WEIGHTS at weights with their own card.
    """

    code = "model-mismatch"


class TrainingDataUnusable(OperatorError):
    """The training folder cannot be used.

    Mend the files named, or give another folder.
    """

    code = "training-data-unusable"


def codes_of(kind: type[HcBatchError]) -> dict[str, type[HcBatchError]]:
    """Return the errors of a kind by code, itself among them."""
    codes = {kind.code: kind}
    for child in kind.__subclasses__():
        codes |= codes_of(child)
    return codes
