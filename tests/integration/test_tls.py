"""Redis over TLS, as its address says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme

from hcmodel.card import SHIPPED
from worker.broker import connect, translated
from worker.errors import BrokerUnreachable
from worker.intake.submit import submit
from worker.samples import write_series
from worker.settings import Settings
from worker.store.progress import wait
from worker.store.session import open_database

COMMAND = Path(sys.executable).with_name("hc-batch")
LIMIT_S = 120

# Takes TLS at a free port, which it prints, and passes all on to another one.
TLS_END = """
import asyncio, ssl, sys

async def main(certificate, port):
    async def pump(source, target):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()

    async def serve(reader, writer):
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Where the certificate of who signed Redis's lies."""
    return tmp_path / "ca.pem"


@pytest.fixture
def tls_url(redis_url: str, authority: Path, tmp_path: Path) -> Iterator[str]:
    """The test's Redis behind an end of TLS, with a certificate for localhost."""
    signer = trustme.CA()
    signer.cert_pem.write_to_path(authority)
    signer.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(
        tmp_path / "localhost.pem"
    )
    plain = urlsplit(redis_url)
    end = subprocess.Popen(
        [sys.executable, "-c", TLS_END, tmp_path / "localhost.pem", str(plain.port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert end.stdout is not None
    yield f"rediss://:{plain.password}@localhost:{end.stdout.readline().strip()}/0"
    end.kill()
    end.communicate()


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.mark.skipif(not SHIPPED.exists(), reason="needs the shipped weights")
def test_a_worker_over_tls(
    tls_url: str, authority: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    environment |= {"HC_BROKER_URL": f"{tls_url}?ssl_ca_certs={authority}"}
    settings = Settings.from_environment(environment)
    write_series(tmp_path / "images", 2, seed=8)
    worker = subprocess.Popen(
        [COMMAND, "worker"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with open_database(settings) as database:
            done = submit(settings, [tmp_path / "images"])
            assert done.published
            assert wait(database, done.batch, LIMIT_S).finished
    finally:
        worker.terminate()
        worker.wait(60)


def test_a_redis_of_unknown_origin_is_refused(tls_url: str) -> None:
    with pytest.raises(BrokerUnreachable, match="CERTIFICATE_VERIFY_FAILED"), translated():
        connect(tls_url).ping()
