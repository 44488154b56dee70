"""Redis and PostgreSQL over TLS, as their addresses say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from sqlalchemy import make_url

from hcmodel.model_card import SHIPPED
from worker.errors import BrokerUnreachable, DatabaseUnreachable
from worker.intake.submit import submit
from worker.queue.redis_client import connect, translated
from worker.sample_files import write_series
from worker.settings import Settings
from worker.store.progress import counts, wait
from worker.store.session import open_database

COMMAND = Path(sys.executable).with_name("hc-batch")
LIMIT_S = 120

# Takes TLS at a free port, which it prints, and passes all on to another port or socket. Clients of
# PostgreSQL ask for TLS first, in eight bytes, and want a yes.
TLS_END = """
import asyncio, ssl, sys

async def main(certificate, behind):
    async def pump(source, target):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
        target.close()

    async def serve(reader, writer):
        if behind.isdecimal():
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", int(behind))
        else:
            assert await reader.readexactly(8) == bytes.fromhex("0000000804d2162f")
            writer.write(b"S")
            await writer.start_tls(context)
            up_reader, up_writer = await asyncio.open_unix_connection(behind)
        await asyncio.gather(pump(reader, up_writer), pump(up_reader, writer))

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    at_once = context if behind.isdecimal() else None
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=at_once)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """Where the certificate of who signed the servers' lies."""
    return tmp_path / "ca.pem"


@pytest.fixture
def port_before(authority: Path, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Starts an end of TLS before a server, with a certificate for localhost; returns its port."""
    signer = trustme.CA()
    signer.cert_pem.write_to_path(authority)
    certificate = tmp_path / "localhost.pem"
    signer.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    started: list[subprocess.Popen[str]] = []

    def start(behind: str) -> str:
        end = subprocess.Popen(
            [sys.executable, "-c", TLS_END, certificate, behind], stdout=subprocess.PIPE, text=True
        )
        started.append(end)
        assert end.stdout is not None
        return end.stdout.readline().strip()

    yield start
    for end in started:
        end.kill()
        end.communicate()


@pytest.fixture
def tls_url(redis_url: str, port_before: Callable[[str], str]) -> str:
    """The test's Redis behind an end of TLS."""
    plain = urlsplit(redis_url)
    return f"rediss://:{plain.password}@localhost:{port_before(str(plain.port))}/0"


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


@pytest.fixture
def postgresql_tls_url(postgresql_url: str, port_before: Callable[[str], str]) -> str:
    """The test's PostgreSQL behind an end of TLS."""
    plain = make_url(postgresql_url)
    port = port_before(f"{plain.query['host']}/.s.PGSQL.5432")
    address = plain.set(host="localhost", port=int(port), password="geheim", query={})
    return address.render_as_string(hide_password=False)


def test_a_ledger_over_tls(postgresql_tls_url: str, authority: Path, tmp_path: Path) -> None:
    url = f"{postgresql_tls_url}?sslmode=verify-full&sslrootcert={authority}"
    environment = {"HC_DATABASE_URL": url, "HC_DATA_DIR": str(tmp_path / "data")}
    with open_database(Settings.from_environment(environment)) as database:
        assert not sum(counts(database).values())
        connection = database.engine.raw_connection()
        assert connection.driver_connection.pgconn.ssl_in_use
        connection.close()


@pytest.mark.skipif(not SHIPPED.exists(), reason="needs the shipped weights")
def test_a_ledger_over_tls_beside_the_network(
    postgresql_tls_url: str, authority: Path, environment: dict[str, str]
) -> None:
    url = f"{postgresql_tls_url}?sslmode=verify-full&sslrootcert={authority}"
    script = (
        "from worker.measuring.instrument import open_instrument\n"
        "from worker.settings import Settings\n"
        "settings = Settings.from_environment()\n"
        "with open_instrument(settings):\n"
        "    from worker.store.session import open_database\n"
        "    with open_database(settings):\n"
        "        print('both')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment | {"HC_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "both\n"), done.stderr


def test_a_postgresql_of_unknown_origin_is_refused(postgresql_tls_url: str, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(other)
    url = f"{postgresql_tls_url}?sslmode=verify-full&sslrootcert={other}"
    environment = {"HC_DATABASE_URL": url, "HC_DATA_DIR": str(tmp_path / "data")}
    with (
        pytest.raises(DatabaseUnreachable, match="certificate verify failed") as error,
        open_database(Settings.from_environment(environment)),
    ):
        pass
    assert "geheim" not in str(error.value)
