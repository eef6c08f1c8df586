"""`tonne serve`: the service, with its own PostgreSQL unless told of another."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import NoReturn

import click
import structlog
import uvicorn

from tonne.certificates.signing import SignerNotUsable, load_signer
from tonne.cli.demo import prepare_demo, show_demo
from tonne.cli.session import console, database_options, on_database, settings_with
from tonne.cli.worker import refuse_unusable_secrets_key
from tonne.cli.workers import BACKLOG, Workers, own_listeners, reserve_port
from tonne.settings import Settings
from tonne.storage.database import Connection
from tonne.storage.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tonne.storage.schema import upgrade_schema

SHUTDOWN_SECONDS = 15
# A common name in a certificate (X.520) may have so many.
OPERATOR_NAME_LENGTH_MAX = 64
WATCH_SECONDS = 1.0

log = structlog.get_logger(__name__)


@click.command()
@click.option("--host", help="The address to serve on. [TONNE_HOST, default: 127.0.0.1]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one. [TONNE_PORT, default: 8080]"
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Server processes; as many as cores take the most orders. [TONNE_WORKERS, default: 1]",
)
@click.option(
    "--demo", is_flag=True, help="Into an empty database, load a demo catalogue, accounts and keys."
)
@database_options
def serve(
    host: str | None,
    port: int | None,
    workers: int | None,
    data_dir: Path | None,
    database_url: str | None,
    *,
    demo: bool,
) -> None:
    """Serve the API until Ctrl-C.

    Without --database-url an embedded PostgreSQL is started below --data-dir, its schema brought up to date, and
    stopped with the service. Elsewhere run `tonne db upgrade` first.
    """
    settings = settings_with(
        host=host, port=port, workers=workers, data_dir=data_dir, database_url=database_url
    )
    _refuse_unusable_signing_key(settings)
    refuse_unusable_secrets_key(settings)
    # Asked to end, end in order; left to their defaults, these signals would skip stopping the database.
    for asked in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, _end)
    try:
        with _listening(settings) as (listener, bound), _database(bound) as url:
            known = replace(bound, database_url=url)
            if demo:
                show_demo(prepare_demo(url, known), known)
            announce = partial(_announce, known, embedded=settings.database_url is None)
            _serve(known, listener, announce)
    except KeyboardInterrupt:
        pass
    except EmbeddedPostgresError as error:
        raise click.ClickException(str(error)) from None


def _refuse_unusable_signing_key(settings: Settings) -> None:
    """Say at the start, not with the first certificate, that a configured key can't sign."""
    if not 1 <= len(settings.operator_name) <= OPERATOR_NAME_LENGTH_MAX:
        msg = f"TONNE_OPERATOR_NAME must have 1 to {OPERATOR_NAME_LENGTH_MAX} characters."
        raise click.ClickException(msg)
    if settings.signing_key_file is None:
        return
    passphrase = settings.signing_key_passphrase
    try:
        load_signer(settings.signing_key_file, None if passphrase is None else passphrase.encode())
    except (SignerNotUsable, OSError) as error:
        msg = f"TONNE_SIGNING_KEY_FILE can't be used: {error}"
        raise click.ClickException(msg) from None


@contextmanager
def _listening(settings: Settings) -> Iterator[tuple[socket.socket, Settings]]:
    # Bound before anything else is started: a port that is taken is said at once.
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=BACKLOG)
        if own_listeners(settings.workers):
            # Nobody else listens there; the processes will, each for itself.
            host, port = listener.getsockname()[:2]
            listener.close()
            listener = reserve_port(family, host, port)
    except OSError as error:
        msg = f"Can't serve on {settings.host} port {settings.port}: {os.strerror(error.errno or 0)}. Choose another --port."
        raise click.ClickException(msg) from None
    listener.set_inheritable(True)
    with listener:
        yield listener, replace(settings, port=listener.getsockname()[1])


@contextmanager
def _database(settings: Settings) -> Iterator[str]:
    if settings.database_url is not None:
        on_database(settings.database_url, _nothing)
        yield settings.database_url
        return
    with EmbeddedPostgres(settings.data_dir.absolute()) as server:
        upgrade_schema(server.url)
        ended = threading.Event()
        watch = threading.Thread(target=_watch, args=(server, ended), daemon=True)
        watch.start()
        try:
            yield server.url
        finally:
            ended.set()
            watch.join()


def _watch(server: EmbeddedPostgres, ended: threading.Event) -> None:
    """Start the database again should it die while the service lives."""
    while not ended.wait(WATCH_SECONDS):
        if server.is_running():
            continue
        log.warning("database_died", action="starting it again")
        try:
            server.start()
        except EmbeddedPostgresError:
            log.exception("database_not_started")


def _serve(settings: Settings, listener: socket.socket, announce: Callable[[], None]) -> None:
    # Workers are processes of their own: the environment is how they learn the settings.
    for name, value in asdict(settings).items():
        if value is not None:
            os.environ[f"TONNE_{name.upper()}"] = str(value)
    config = uvicorn.Config(
        "tonne.main:create_app",
        factory=True,
        http="tonne.http.one_write:OneWriteProtocol",
        workers=settings.workers,
        access_log=False,
        log_level="warning",
        lifespan="on",
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    if settings.workers > 1:
        Workers(config, listener, announce).run()
        return
    announce()
    server = uvicorn.Server(config)
    # As it takes the other two: raised in the middle of anything, an interruption could get lost.
    signal.signal(signal.SIGHUP, server.handle_exit)
    server.run(sockets=[listener])
    if not server.started:
        sys.exit(3)


def _announce(settings: Settings, *, embedded: bool) -> None:
    where = f"PostgreSQL in {settings.data_dir}" if embedded else "the PostgreSQL at --database-url"
    console.print(
        f"Tonne serves on {settings.base_url} from {where}. Documentation: {settings.base_url}/docs"
    )
    console.print("Ctrl-C stops it.")
    sys.stdout.flush()


def _end(*_: object) -> NoReturn:
    raise KeyboardInterrupt


async def _nothing(_: Connection) -> None:
    """Connecting, and a current schema, are all that is asked."""
