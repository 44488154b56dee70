"""``hc-batch receive``: a DICOM storage service; what arrives is queued."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.console import stderr
from cli.options import GivenPath, Number, input_options, metrics_options
from worker import log
from worker.extras import extra
from worker.multiprocess_metrics import Address, shared_metrics
from worker.settings import Settings
from worker.watching.stability import WatchOptions

if TYPE_CHECKING:
    from worker.intake.discover import Options

_MIB = 1024**2


_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument(
    "folder", required=False, type=GivenPath(path_type=Path, file_okay=False), metavar="[DIR]"
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=11112, show_default=True, help="Its port."
)
@click.option(
    "--aet", "title", default="HCBATCH", show_default=True, help="The title that callers must call."
)
@click.option(
    "--caller",
    "callers",
    multiple=True,
    metavar="AET",
    help="A title that may call; may be given several times.  [default: any]",
)
@click.option("--tls-cert", type=_FILE, metavar="FILE", help="Speak TLS, with this certificate.")
@click.option("--tls-key", type=_FILE, metavar="FILE", help="The certificate's key.")
@click.option(
    "--tls-callers",
    type=_FILE,
    metavar="FILE",
    help="Let in callers alone whose certificates these authorities signed.",
)
@click.option(
    "--max-associations",
    type=click.IntRange(1, 1000),
    default=16,
    show_default=True,
    help="Associations at once; more are rejected for the moment.",
)
@click.option(
    "--max-object-mib",
    type=click.IntRange(1, 4096),
    default=2048,
    show_default=True,
    metavar="MIB",
    help="An association that sends a larger object is aborted.",
)
@click.option(
    "--least-free-mib",
    type=click.IntRange(min=1),
    default=1024,
    show_default=True,
    metavar="MIB",
    help="With less free space on the disk nothing is received.",
)
@click.option(
    "--quiet",
    "quiet_s",
    type=Number(min=0.1),
    default=10.0,
    show_default=True,
    metavar="S",
    help="Seconds without an object after which a study is queued.",
)
@click.option(
    "--after",
    type=click.Choice(["keep", "move"]),
    default="keep",
    show_default=True,
    help="Leave ended files, or move them to done/ and failed/CODE/ in DIR.",
)
@input_options
@metrics_options
def command(
    folder: Path | None,
    host: str,
    port: int,
    title: str,
    callers: tuple[str, ...],
    tls_cert: Path | None,
    tls_key: Path | None,
    tls_callers: Path | None,
    max_associations: int,
    max_object_mib: int,
    least_free_mib: int,
    quiet_s: float,
    after: str,
    options: Options,
    metrics: Address | None,
) -> None:
    """Receive ultrasound images and reports (DICOM C-STORE) into DIR and queue them, until stopped.

    Success is answered when an object lies safely on the disk. Without DIR that is received/ in
    HC_DATA_DIR. Callers' titles are no secrets: elsewhere than at 127.0.0.1 speak TLS with
    --tls-callers, or keep strangers away from the port.

    Example: hc-batch receive --host 0.0.0.0 --aet HCBATCH --caller SCANNER1 /srv/received
    """
    if (tls_cert is None) != (tls_key is None) or (tls_callers is not None and tls_cert is None):
        raise click.UsageError("--tls-cert and --tls-key go together, and --tls-callers with them")
    settings = Settings.from_environment()
    log.configure(settings.log_level, settings.log_format)
    with shared_metrics(metrics):
        with extra("hospital"):
            # An extra; it loads SQLAlchemy and Celery too, not for those who only ask for help.
            from worker.hospital.receive import receive
            from worker.hospital.receiver import Listening, Tls
            from worker.hospital.titles import title_of
        try:
            called, calling = title_of(title), tuple(map(title_of, callers))
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        tls = None
        if tls_cert is not None and tls_key is not None:
            tls = Tls(tls_cert, tls_key, tls_callers)
        how = Listening(host, port, called, calling, tls, max_associations, max_object_mib * _MIB)
        stderr.print(f"receiving as {called} at {host}:{port}; Ctrl-C ends")
        receive(
            settings,
            folder or settings.data_dir / "received",
            how,
            options,
            WatchOptions(move=after == "move"),
            quiet_s=quiet_s,
            least_free_bytes=least_free_mib * _MIB,
            metrics=metrics,
        )
