"""``hc-batch serve``: pages for people who look at results and review them."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import click

from cli.console import stderr
from worker import log
from worker.extras import extra
from worker.result import NOTICE
from worker.settings import Settings


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen at.")
@click.option(
    "--port", type=click.IntRange(1, 65535), default=8060, show_default=True, help="Its port."
)
@click.option(
    "--allow-review",
    is_flag=True,
    help="Let people accept, reject and correct; without it the pages only show.",
)
@click.option(
    "--tokens",
    "tokens_file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Lines NAME:TOKEN, a line for each person; readable by its owner alone.",
)
@click.option(
    "--proxy-user",
    metavar="HEADER",
    help="The header in which a reverse proxy names who asks, such as X-Remote-User.",
)
@click.option(
    "--trusted-proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="The proxy's address or network; from others that header counts for nothing.",
)
@click.option(
    "--allowed-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="A name under which the pages are reached; others are refused.",
)
@click.option(
    "--reviewer",
    metavar="NAME",
    help="Who reviews on this machine, without tokens or proxy.  [default: your login]",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 32),
    default=1,
    show_default=True,
    help="Processes that answer; more for many people at a time.",
)
def command(
    host: str,
    port: int,
    allow_review: bool,
    tokens_file: Path | None,
    proxy_user: str | None,
    proxies: tuple[str, ...],
    hosts: tuple[str, ...],
    reviewer: str | None,
    processes: int,
) -> None:
    """Show batches, rows and images as pages, and let people review them.

    Listens at this machine's own address, unless --host says otherwise: then only with --tokens,
    or behind a reverse proxy that knows people and speaks TLS. Ctrl-C ends it. Research use only,
    not a medical device.

    Example: hc-batch serve --allow-review
    """
    if (proxy_user is None) != (not proxies):
        raise click.UsageError("--proxy-user and --trusted-proxy go together")
    if tokens_file is not None and proxy_user is not None:
        raise click.UsageError("give --tokens or --proxy-user, not both")
    with extra("pages"):
        # An extra; and nobody who asks for help should wait for it.
        from worker.pages.access import Access, Proxy, parse_networks, read_tokens
        from worker.pages.server import serve
    try:
        networks = parse_networks(proxies)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--trusted-proxy") from error
    settings = Settings.from_environment()
    log.configure(settings.log_level, settings.log_format)
    access = Access(
        local_name=(reviewer or _login()) if not tokens_file and not proxy_user else None,
        tokens={} if tokens_file is None else read_tokens(tokens_file),
        proxy=None if proxy_user is None else Proxy(proxy_user, networks),
    )
    stderr.print(f"http://{host}:{port}/; {NOTICE}; Ctrl-C ends it")
    serve(
        settings,
        access,
        host=host,
        port=port,
        may_review=allow_review,
        hosts=hosts,
        processes=processes,
    )


def _login() -> str:
    """Return this user's name; in a container a user may have a number alone."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"
