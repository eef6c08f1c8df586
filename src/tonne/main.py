"""Read settings once and assemble everything."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import cache, partial
from threading import Thread

from litestar.types import ASGIApp

from tonne.application.deliver_events import EventDelivery
from tonne.application.housekeeping import housekeeping
from tonne.application.identifiers import new_id, utc_now
from tonne.application.manage_webhooks import WebhookDesk
from tonne.application.order_desk import OrderDesk
from tonne.application.place_orders import Outcome, PlaceOrder, place_orders
from tonne.application.proofs import Links, ProofDesk, SigningKey
from tonne.application.read_orders import read_orders
from tonne.application.worker import working
from tonne.domain.orders import Order
from tonne.domain.proof import ProofCodes
from tonne.http.app import create_api
from tonne.http.rate_limits import RateLimiter
from tonne.http.request import Services
from tonne.logs import configure_logging
from tonne.settings import Settings, read_settings
from tonne.storage.certificates import proof_secret
from tonne.storage.changes import EventBell
from tonne.storage.database import Pool, open_pool
from tonne.storage.group_commit import GroupCommit
from tonne.storage.orders import WantedOrder
from tonne.storage.snapshot import SnapshotKeeper
from tonne.web.images import IMAGES
from tonne.web.proof import PROOF_PAGES
from tonne.webhooks.sealing import Seal
from tonne.webhooks.sending import Sender, SendingRules
from tonne.wire.events import EventWriter

BATCHES_IN_FLIGHT = 4
READS_IN_FLIGHT = 2
DELIVERY_CONNECTIONS = 4


def create_app(settings: Settings | None = None) -> ASGIApp:
    """The service as an ASGI application; `database_url` must be set by now.

    Called without arguments by each worker process, which finds the settings in its environment.
    """
    chosen = settings or read_settings()
    assert chosen.database_url is not None, "a worker is told its database"

    @asynccontextmanager
    async def services_running() -> AsyncIterator[Services]:
        async with _services(chosen) as services:
            yield services

    configure_logging(chosen.log_format)
    if settings is None and chosen.workers > 1:
        Thread(target=_end_with_parent, daemon=True).start()
    limiter = RateLimiter(chosen.rate_limit_per_second)
    proxies = chosen.trusted_networks
    return create_api(services_running, limiter, trusted_proxies=proxies, pages=[PROOF_PAGES, IMAGES])


def _end_with_parent() -> None:
    """End this worker when the process that started it is gone: killed, it could not say goodbye.

    It may be gone before this begins, while a worker is still being loaded: the parent's pid would tell of another then.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def _collect_garbage_seldom() -> None:
    # What is there by now stays; what a request makes is freed as the request ends. Looking through all of it every 700
    # objects, as Python does unasked, is work that frees next to nothing.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@asynccontextmanager
async def _services(settings: Settings) -> AsyncIterator[Services]:
    assert settings.database_url is not None
    url = settings.database_url
    async with (
        await open_pool(url, connections_max=settings.database_connections) as pool,
        # Of their own, so that no number of slow reads keeps an order waiting, or a quick read.
        await open_pool(url, connections_max=BATCHES_IN_FLIGHT) as writing,
        await open_pool(url, connections_max=READS_IN_FLIGHT) as reading,
        await open_pool(url, connections_max=DELIVERY_CONNECTIONS) as delivering,
    ):
        snapshots = SnapshotKeeper(pool, url, utc_now, process_id=new_id())
        commits: GroupCommit[PlaceOrder, Outcome] = GroupCommit(
            writing, place_orders, batches_in_flight=BATCHES_IN_FLIGHT
        )
        # Reads share statements as orders share commits.
        reads: GroupCommit[WantedOrder, Order | None] = GroupCommit(
            reading, read_orders, batches_in_flight=READS_IN_FLIGHT, attempts_max=2
        )
        bell = EventBell(pool)
        keep_house = housekeeping(pool, utc_now, events_kept=timedelta(days=settings.events_kept_days))
        async with snapshots.running(), commits.running(), reads.running(), bell.running(), keep_house:
            proofs = await _proof_desk(settings, pool, snapshots)
            sender = Sender(_sending_rules(settings))
            load_seal = cache(partial(_load_seal, settings))
            delivery = EventDelivery(
                delivering, url, EventWriter(snapshots, proofs.links).write, sender, load_seal, utc_now
            )
            async with _background_work(settings, pool, delivery):
                _collect_garbage_seldom()
                yield Services(
                    pool,
                    OrderDesk(commits, bell.ring),
                    snapshots,
                    proofs,
                    WebhookDesk(pool, sender, load_seal),
                    reads,
                )


@asynccontextmanager
async def _background_work(settings: Settings, pool: Pool, delivery: EventDelivery) -> AsyncIterator[None]:
    if settings.background_work == "off":
        yield
        return
    async with working(pool, utc_now), delivery.running():
        yield


def _sending_rules(settings: Settings) -> SendingRules:
    return SendingRules(
        settings.webhook_allow_http == "on", settings.webhook_networks, settings.webhook_timeout_seconds
    )


def _load_seal(settings: Settings) -> Seal:
    return Seal.configured(key=settings.secrets_key, file=settings.secrets_key_file, folder=settings.data_dir)


async def _proof_desk(settings: Settings, pool: Pool, snapshots: SnapshotKeeper) -> ProofDesk:
    async with pool.acquire(timeout=5) as connection:
        codes = ProofCodes(await proof_secret(connection))
    passphrase = settings.signing_key_passphrase
    signing_key = SigningKey(
        settings.data_dir / "signing",
        settings.signing_key_file,
        None if passphrase is None else passphrase.encode(),
        settings.operator_name,
    )
    return ProofDesk(pool, snapshots, Links(settings.base_url, codes), signing_key, utc_now)
