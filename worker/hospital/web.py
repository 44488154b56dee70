"""DICOMweb: STOW-RS to send, QIDO-RS and WADO-RS to fetch; every way to fail has its name."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread

from worker.hospital.answers import (
    BUSY,
    CLASS_REFUSED,
    NOT_ALLOWED,
    OBJECT_REFUSED,
    UNREACHABLE,
    NotNow,
    Refused,
)
from worker.hospital.destinations import WebDestination

_CLASS_NOT_SUPPORTED = 0x0122
_OUT_OF_RESOURCES = range(0xA700, 0xA800)


def web_client(
    url: str,
    *,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
    ca: Path | None = None,
    timeout_s: float = 30.0,
) -> DICOMwebClient:
    """Return a client that tries once, follows no proxy's login of this user, and logs nothing."""
    for name in ("dicomweb_client", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    session = requests.Session()
    session.trust_env = False
    if ca is not None:
        session.verify = str(ca)
    if user is not None and password is not None:
        session.auth = (user, password)
    headers = None if token is None else {"Authorization": f"Bearer {token}"}
    client = DICOMwebClient(url.rstrip("/"), session=session, headers=headers, timeout=timeout_s)
    client.set_http_retry_params(retry=False)
    return client


@contextmanager
def named_failures() -> Iterator[None]:
    """Turn what went wrong with a request into ``NotNow`` or ``Refused``, without the address."""
    try:
        yield
    except requests.exceptions.SSLError:
        raise NotNow(UNREACHABLE, "its certificate is not trusted here") from None
    except requests.exceptions.Timeout:
        raise NotNow(UNREACHABLE, "it does not answer in time") from None
    except requests.exceptions.ConnectionError:
        raise NotNow(UNREACHABLE, "no connection: it is not there") from None
    except requests.exceptions.HTTPError as error:
        status = 0 if error.response is None else error.response.status_code
        raise _of_status(status) from None
    except requests.exceptions.RequestException as error:
        raise NotNow(UNREACHABLE, f"no answer that is one ({type(error).__name__})") from None
    except ValueError:
        raise NotNow(UNREACHABLE, "its answer is not DICOMweb's") from None


def _of_status(status: int) -> NotNow | Refused:
    if status in (401, 403, 407):
        return NotNow(NOT_ALLOWED, f"it asks for another user, password or token: HTTP {status}")
    if status == 404:
        return NotNow(UNREACHABLE, "nothing of DICOMweb at this address: HTTP 404")
    if status in (400, 409, 415, 422):
        return Refused(OBJECT_REFUSED, f"it does not take this object: HTTP {status}")
    if status in (408, 429, 503, 507):
        return NotNow(BUSY, f"it is full or busy: HTTP {status}")
    return NotNow(UNREACHABLE, f"it fails: HTTP {status}")


class StowSender:
    """Sends objects by STOW-RS, one to a request."""

    def __init__(self, destination: WebDestination) -> None:
        self._client = web_client(
            destination.url,
            user=destination.user,
            password=destination.password,
            token=destination.token,
            ca=destination.ca,
            timeout_s=destination.timeout_s,
        )

    def send(self, content: bytes) -> bool:
        """Send a DICOM file's object; never vouched for. Raises ``Refused`` and ``NotNow``."""
        data = dcmread(io.BytesIO(content))
        with named_failures():
            answer = self._client.store_instances([data])
        for item in answer.get("FailedSOPSequence", []):
            reason = int(item.get("FailureReason", 0))
            if reason in _OUT_OF_RESOURCES:
                raise NotNow(BUSY, f"it is full: reason {reason:04X}")
            code = CLASS_REFUSED if reason == _CLASS_NOT_SUPPORTED else OBJECT_REFUSED
            raise Refused(code, f"it does not take this object: reason {reason:04X}")
        return False

    def close(self) -> None:
        """Do nothing: requests stand alone."""
