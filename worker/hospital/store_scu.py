"""C-STORE to an archive, and its word that it keeps what it got (storage commitment)."""

from __future__ import annotations

import io
import logging
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from pynetdicom import AE, _config, evt
from pynetdicom.association import Association
from pynetdicom.events import Event

from worker.errors import AddressTaken, TlsUnusable
from worker.hospital.answers import (
    BUSY,
    CLASS_REFUSED,
    NOT_COMMITTED,
    OBJECT_REFUSED,
    REJECTED,
    UNREACHABLE,
    NotNow,
    Refused,
)
from worker.hospital.destinations import DicomDestination

logger = logging.getLogger(__name__)

_COMMITMENT = UID("1.2.840.10008.1.20.1")
_COMMITMENT_INSTANCE = UID("1.2.840.10008.1.20.1.1")
_CLASSES = (
    UID("1.2.840.10008.5.1.4.1.1.88.33"),  # Comprehensive SR
    UID("1.2.840.10008.5.1.4.1.1.7"),  # Secondary Capture
)
_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_COMMIT_S = 10.0
"""For so long the archive's word is waited for; an object counts as sent without it too."""
_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_BUSY = (0x0213,)
_WARNINGS = (0xB000, 0xB006, 0xB007)


class Commitments:
    """What archives said of transactions; they may call back in any association."""

    def __init__(self) -> None:
        self._guard = threading.Condition()
        self._kept: dict[str, set[str]] = {}
        self._failed: dict[str, set[str]] = {}

    def reported(self, event: Event) -> tuple[int, None]:
        """Take an N-EVENT-REPORT."""
        said = event.event_information
        with self._guard:
            transaction = str(said.get("TransactionUID", ""))
            self._kept[transaction] = _instances(said, "ReferencedSOPSequence")
            self._failed[transaction] = _instances(said, "FailedSOPSequence")
            self._guard.notify_all()
        return 0x0000, None

    def wait(self, transaction: str, instance: str, for_s: float) -> bool | None:
        """Return whether the archive keeps the instance; ``None`` where it says nothing."""
        with self._guard:
            self._guard.wait_for(lambda: transaction in self._kept, for_s)
            if instance in self._failed.get(transaction, ()):
                return False
            return True if instance in self._kept.get(transaction, ()) else None


def _instances(said: Dataset, keyword: str) -> set[str]:
    return {str(item.ReferencedSOPInstanceUID) for item in said.get(keyword, [])}


class StoreScu:
    """Sends objects over an association that is kept as long as it lives."""

    def __init__(self, destination: DicomDestination, commitments: Commitments) -> None:
        self._destination = destination
        self._commitments = commitments
        self._association: Association | None = None

    def send(self, content: bytes) -> bool:
        """Send a DICOM file's object; return whether the archive vouched for it.

        Raises ``Refused`` and ``NotNow``.
        """
        data = dcmread(io.BytesIO(content))
        association = self._associated()
        if data.SOPClassUID not in {cx.abstract_syntax for cx in association.accepted_contexts}:
            raise Refused(CLASS_REFUSED, "the archive does not take this kind of object")
        try:
            answer = association.send_c_store(data)
        except (RuntimeError, ValueError, OSError):
            self.close()
            raise NotNow(UNREACHABLE, "the association ended") from None
        if "Status" not in answer:
            self.close()
            raise NotNow(UNREACHABLE, "the archive ended the association or said nothing")
        _judge(answer.Status)
        return self._is_committed(association, data)

    def close(self) -> None:
        """End the association."""
        association, self._association = self._association, None
        if association is None:
            return
        if association.is_established:
            association.release()
        else:
            association.kill()

    def _associated(self) -> Association:
        if self._association is not None and self._association.is_established:
            return self._association
        self.close()
        to = self._destination
        entity = AE(ae_title=to.calling)
        entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = to.timeout_s
        entity.connection_timeout = to.timeout_s
        for sop_class in _CLASSES:
            entity.add_requested_context(sop_class, _SYNTAXES)
        if to.commitment:
            entity.add_requested_context(_COMMITMENT)
        association = entity.associate(
            to.host,
            to.port,
            ae_title=to.called,
            tls_args=_tls_args(to),
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._commitments.reported)],
        )
        if association.is_rejected:
            raise NotNow(REJECTED, "the archive does not let this title in, or not now")
        if not association.is_established:
            raise NotNow(UNREACHABLE, "no association: it is not there, or does not answer")
        self._association = association
        return association

    def _is_committed(self, association: Association, data: Dataset) -> bool:
        """Ask the archive to vouch for the object, where it offers to. Raises ``NotNow``."""
        accepted = {cx.abstract_syntax for cx in association.accepted_contexts}
        if _COMMITMENT not in accepted:
            return False
        request = Dataset()
        request.TransactionUID = generate_uid(prefix=None)
        item = Dataset()
        item.ReferencedSOPClassUID = data.SOPClassUID
        item.ReferencedSOPInstanceUID = data.SOPInstanceUID
        request.ReferencedSOPSequence = [item]
        try:
            answer, _ = association.send_n_action(request, 1, _COMMITMENT, _COMMITMENT_INSTANCE)
        except (RuntimeError, ValueError, OSError):
            return False
        if answer.get("Status", -1) != 0x0000:
            return False
        instance, transaction = str(data.SOPInstanceUID), str(request.TransactionUID)
        kept = self._commitments.wait(
            transaction, instance, min(_COMMIT_S, self._destination.timeout_s)
        )
        if kept is False:
            raise NotNow(NOT_COMMITTED, "the archive took it and does not keep it")
        return kept is True


def _judge(status: int) -> None:
    if status == 0x0000 or status in _WARNINGS:
        return
    if status in _OUT_OF_RESOURCES or status in _BUSY:
        raise NotNow(BUSY, f"the archive is full or busy: status {status:04X}")
    if status == 0x0122:
        raise Refused(CLASS_REFUSED, "the archive does not take this kind of object")
    raise Refused(OBJECT_REFUSED, f"the archive does not take this object: status {status:04X}")


@contextmanager
def store_scu(destination: DicomDestination) -> Iterator[StoreScu]:
    """Open the way to a destination; listens for its word where it calls back.

    Raises ``AddressTaken`` and ``TlsUnusable``.
    """
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    _config.LOG_HANDLER_LEVEL = "none"
    commitments = Commitments()
    with _listening_for_word(destination, commitments):
        sender = StoreScu(destination, commitments)
        try:
            yield sender
        finally:
            sender.close()


@contextmanager
def _listening_for_word(to: DicomDestination, commitments: Commitments) -> Iterator[None]:
    if not to.commitment or to.commitment_port is None:
        yield
        return
    entity = AE(ae_title=to.calling)
    entity.add_supported_context(_COMMITMENT, scu_role=False, scp_role=True)
    entity.add_supported_context(UID("1.2.840.10008.1.1"))
    handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, commitments.reported)]
    try:
        server = entity.start_server(("", to.commitment_port), block=False, evt_handlers=handlers)
    except OSError as error:
        raise AddressTaken(f"commitment_port {to.commitment_port}: {error.strerror}") from error
    assert server is not None
    try:
        yield
    finally:
        server.shutdown()
        entity.shutdown()


def _tls_args(to: DicomDestination) -> tuple[ssl.SSLContext, str] | None:
    if to.tls_ca is None and to.tls_cert is None:
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=to.tls_ca)
        if to.tls_cert is not None:
            context.load_cert_chain(to.tls_cert, to.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise TlsUnusable(f"[{to.name}]: {error.strerror or type(error).__name__}") from error
    return context, to.host
