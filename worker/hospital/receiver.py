"""A Storage SCP: who may send, how much, and what is answered to each object.

A caller's titles are names and no secrets: who must not reach the port is kept away by TLS with
certificates of callers, or by a firewall. pynetdicom's own log is off: it quotes what was sent.
"""

from __future__ import annotations

import errno
import logging
import os
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydicom.uid import UID
from pynetdicom import AE, _config, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

from worker.errors import AddressTaken, ScanRejected, TlsUnusable
from worker.hospital.classes import IMAGE_SYNTAXES, IMAGES, REPORTS, UNCOMPRESSED
from worker.hospital.landing import Claimed, Landing, ObjectMismatch, is_full
from worker.metrics import ASSOCIATIONS, RECEIVED

logger = logging.getLogger(__name__)

_VERIFICATION = UID("1.2.840.10008.1.1")
SUCCESS, OUT_OF_RESOURCES, MISMATCH, CANNOT_UNDERSTAND = 0x0000, 0xA700, 0xA900, 0xC000
_TRANSIENT, _PRESENTATION, _LOCAL_LIMIT = 0x02, 0x03, 0x02
"""A rejection that means: not now, since a limit is reached here."""
IDLE_S = 60.0
"""After which an association without a word is ended."""
_REQUEST_S = 15.0
_LONGEST_PDU_BYTES = 1024**2
"""Many times what is negotiated for data, and what a request for an association may need."""
_CONNECTIONS_PER_ASSOCIATION = 2
_LOOK_AT_DISK_BYTES = 64 * 1024**2
"""How much of an object arrives before the free space is looked at again."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificate and key of this end; with ``callers`` only theirs are let in."""

    certificate: Path
    key: Path
    callers: Path | None = None


@dataclass(frozen=True, slots=True)
class Listening:
    """Where to listen, for whom, and how much of it; without ``callers`` for everyone."""

    host: str = "127.0.0.1"
    port: int = 11112
    title: str = "HCBATCH"
    callers: tuple[str, ...] = ()
    tls: Tls | None = None
    max_associations: int = 16
    max_object_bytes: int = 2 * 1024**3


class _Traffic:
    """Bytes of each association for which nothing was answered yet."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._bytes: dict[int, int] = {}

    def add(self, association: object, count: int) -> int:
        """Return how many there are now."""
        with self._guard:
            self._bytes[id(association)] = self._bytes.get(id(association), 0) + count
            return self._bytes[id(association)]

    def forget(self, association: object) -> None:
        """Begin anew: an object was answered, or the association is over."""
        with self._guard:
            self._bytes.pop(id(association), None)


class Receiver:
    """What happens at each event of an association."""

    def __init__(self, landing: Landing, how: Listening) -> None:
        self._landing = landing
        self._how = how
        self._traffic = _Traffic()

    def handlers(self) -> list[Any]:
        """Return what pynetdicom is to call."""
        return [
            (evt.EVT_CONN_OPEN, _opened),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_ACCEPTED, self._accepted),
            (evt.EVT_REJECTED, self._rejected),
            (evt.EVT_ABORTED, self._aborted),
            (evt.EVT_CONN_CLOSE, self._closed),
            (evt.EVT_PDU_RECV, self._heard),
            (evt.EVT_C_ECHO, _echoed),
            (evt.EVT_C_STORE, self._stored),
        ]

    def _requested(self, event: Event) -> None:
        """Turn callers away at once while the disk is full, rather than in mid-object."""
        if self._landing.has_room():
            return
        logger.warning("rejected: %s: the disk is full", _caller(event))
        ASSOCIATIONS.labels("rejected").inc()
        event.assoc.acse.send_reject(_TRANSIENT, _PRESENTATION, _LOCAL_LIMIT)
        event.assoc.kill()

    def _accepted(self, event: Event) -> None:
        logger.info("association: %s", _caller(event))
        ASSOCIATIONS.labels("accepted").inc()

    def _rejected(self, event: Event) -> None:
        logger.warning("rejected: %s: it may not call, or too many do", _caller(event))
        ASSOCIATIONS.labels("rejected").inc()

    def _aborted(self, event: Event) -> None:
        level = logging.WARNING if event.assoc.requestor.ae_title else logging.DEBUG
        logger.log(level, "aborted: %s", _caller(event))
        ASSOCIATIONS.labels("aborted").inc()

    def _closed(self, event: Event) -> None:
        """Drop what was received of an object that never ended."""
        self._traffic.forget(event.assoc)
        part = getattr(event.assoc.dimse.message, "_data_set_file", None)
        if part is not None:
            part.close()
            Path(part.name).unlink(missing_ok=True)

    def _heard(self, event: Event) -> None:
        """End an association whose object is too large, or fills the disk."""
        count = event.pdu.pdu_length
        waiting = self._traffic.add(event.assoc, count)
        reached = waiting // _LOOK_AT_DISK_BYTES > (waiting - count) // _LOOK_AT_DISK_BYTES
        if waiting > self._how.max_object_bytes >= waiting - count:
            logger.warning("too large: an object of %s", _caller(event))
        elif reached and not self._landing.has_room():
            logger.warning("the disk is full: an object of %s is not taken", _caller(event))
        else:
            return
        RECEIVED.labels("refused").inc()
        event.assoc.abort()

    def _stored(self, event: Event) -> int:
        """Return Success only for what lies safely on the disk."""
        self._traffic.forget(event.assoc)
        status, said = self._landed(event)
        RECEIVED.labels(said if status == SUCCESS else "refused").inc()
        if status != SUCCESS:
            logger.warning("refused: an object of %s: %s", _caller(event), said)
        return status

    def _landed(self, event: Event) -> tuple[int, str]:
        request = cast(C_STORE, event.request)
        claimed = Claimed(str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
        try:
            if not self._landing.has_room():
                return OUT_OF_RESOURCES, "the disk is full"
            return SUCCESS, self._landing.land(event.dataset_path, claimed).value
        except ObjectMismatch:
            return MISMATCH, "it is another one than its request says"
        except ScanRejected as error:
            return CANNOT_UNDERSTAND, error.code
        except OSError as error:
            status = OUT_OF_RESOURCES if is_full(error) else CANNOT_UNDERSTAND
            return status, error.strerror or "it cannot be written"


@contextmanager
def listening(landing: Landing, how: Listening) -> Iterator[None]:
    """Receive into the landing during the block, in threads.

    Raises ``AddressTaken`` and ``TlsUnusable``.
    """
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    _config.LOG_HANDLER_LEVEL = "none"
    _config.STORE_RECV_CHUNKED_DATASET = True
    entity = _entity(how)
    context = None if how.tls is None else _tls_context(how.tls)
    receiver = Receiver(landing, how)
    try:
        server = entity.start_server(
            (how.host, how.port),
            block=False,
            ssl_context=context,
            evt_handlers=receiver.handlers(),
        )
    except OSError as error:
        raise AddressTaken(f"{how.host}:{how.port}: {error.strerror or error}") from error
    assert server is not None
    _bound(server, _CONNECTIONS_PER_ASSOCIATION * how.max_associations)
    try:
        with _plain_ends():
            yield
    finally:
        server.shutdown()
        entity.shutdown()


@contextmanager
def _plain_ends() -> Iterator[None]:
    """Tell in a line what ends a thread of the library, such as a full disk in mid-object."""
    before = threading.excepthook

    def told(ended: threading.ExceptHookArgs) -> None:
        name = "" if ended.thread is None else ended.thread.name
        if "run_reactor" in name or "AcceptorThread" in name:
            logger.warning("an association ended: %s", ended.exc_type.__name__)
        else:
            before(ended)

    threading.excepthook = told
    try:
        yield
    finally:
        threading.excepthook = before


def _bound(server: ThreadedAssociationServer, most: int) -> None:
    """Close connections beyond ``most`` unheard: each would cost a thread that asks all the time.

    Between ``max_associations`` and ``most`` a caller is told that it is not let in now.
    """

    def has_room(_request: object, _address: object) -> bool:
        return len(server.active_associations) < most

    server.verify_request = has_room  # type: ignore[assignment, method-assign]


def _entity(how: Listening) -> AE:
    entity = AE(ae_title=how.title)
    entity.add_supported_context(_VERIFICATION)
    for sop_class in IMAGES:
        entity.add_supported_context(sop_class, list(IMAGE_SYNTAXES))
    for sop_class in REPORTS:
        entity.add_supported_context(sop_class, list(UNCOMPRESSED))
    entity.require_called_aet = True
    entity.require_calling_aet = list(how.callers)
    entity.maximum_associations = how.max_associations
    entity.network_timeout = IDLE_S
    entity.acse_timeout = _REQUEST_S
    entity.dimse_timeout = IDLE_S
    return entity


def _tls_context(tls: Tls) -> ssl.SSLContext:
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(tls.certificate, tls.key)
        if tls.callers is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(tls.callers)
    except (OSError, ssl.SSLError) as error:
        raise TlsUnusable(f"{tls.certificate}: {error.strerror or type(error).__name__}") from error
    return context


def _caller(event: Event) -> str:
    """Return who calls: its title and its address, for the log."""
    requestor = event.assoc.requestor
    asked = getattr(requestor.primitive, "calling_ae_title", None)
    title = (requestor.ae_title or asked or "").strip()
    return f"{title or 'an unnamed caller'} at {requestor.address}"


def _opened(event: Event) -> None:
    """Close a connection that announces a longer message than any that is allowed.

    The library would wait for all of it, and keep it in memory.
    """
    connection = event.assoc.dul.socket
    assert connection is not None
    receive = connection.recv

    def bounded(count: int) -> bytearray:
        if count > _LONGEST_PDU_BYTES:
            logger.warning("closed: %s announces too long a message", cast(Any, event).address[0])
            connection.close()
            raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
        return receive(count)

    connection.recv = bounded  # type: ignore[assignment, method-assign]


def _echoed(_: Event) -> int:
    return SUCCESS
