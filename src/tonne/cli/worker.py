"""`tonne worker`: the work behind the API, in a process of its own."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import click

from tonne.application.deliver_events import EventDelivery
from tonne.application.identifiers import utc_now
from tonne.application.proofs import Links
from tonne.application.worker import working
from tonne.cli.session import console, database, database_options, settings_with, with_pool
from tonne.domain.proof import ProofCodes
from tonne.logs import configure_logging
from tonne.settings import Settings
from tonne.storage.certificates import proof_secret
from tonne.storage.database import Pool, open_pool
from tonne.storage.snapshot import SnapshotKeeper
from tonne.webhooks.sealing import KeyNotUsable, Seal
from tonne.webhooks.sending import Sender, SendingRules
from tonne.wire.events import EventWriter


@click.command()
@database_options
def worker(data_dir: Path | None, database_url: str | None) -> None:
    """Work in the background until Ctrl-C: pool paid orders, allocate credits, retire, deliver events.

    `tonne serve` does this by itself; run workers apart where serving must not be disturbed (TONNE_BACKGROUND_WORK=off
    for the service). Any number may run. Give them the service's TONNE_PUBLIC_URL, which links in events begin with, and
    its key for secrets (TONNE_SECRETS_KEY), or its --data-dir.
    """
    settings = settings_with(data_dir=data_dir, database_url=database_url)
    refuse_unusable_secrets_key(settings)
    configure_logging(settings.log_format)

    async def work(pool: Pool) -> None:
        stopped = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        async with working(pool, utc_now), _delivering(known, pool):
            console.print("Working; Ctrl-C stops it.")
            await stopped.wait()

    with database(settings) as url:
        known = replace(settings, database_url=url)
        with_pool(known, work)


def refuse_unusable_secrets_key(settings: Settings) -> None:
    """Say at the start, not with the first webhook, that a configured key for secrets is none."""
    if settings.secrets_key is None and settings.secrets_key_file is None:
        return
    try:
        _load_seal(settings)
    except KeyNotUsable as error:
        raise click.ClickException(f"TONNE_SECRETS_KEY: {error}") from None


@asynccontextmanager
async def _delivering(settings: Settings, pool: Pool) -> AsyncIterator[None]:
    assert settings.database_url is not None
    async with pool.acquire() as connection:
        links = Links(settings.base_url, ProofCodes(await proof_secret(connection)))
    rules = SendingRules(
        settings.webhook_allow_http == "on", settings.webhook_networks, settings.webhook_timeout_seconds
    )
    load_seal = cache(partial(_load_seal, settings))
    # Of its own: whoever writes a body has a connection, and may need the snapshot to be read.
    async with await open_pool(settings.database_url, connections_max=2) as reading:
        snapshots = SnapshotKeeper(reading, settings.database_url, utc_now)
        write = EventWriter(snapshots, links).write
        delivery = EventDelivery(pool, settings.database_url, write, Sender(rules), load_seal, utc_now)
        async with snapshots.running(), delivery.running():
            yield


def _load_seal(settings: Settings) -> Seal:
    return Seal.configured(key=settings.secrets_key, file=settings.secrets_key_file, folder=settings.data_dir)
