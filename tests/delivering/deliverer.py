"""A process that delivers and does nothing else, with short times, to be killed.

python -m tests.delivering.deliverer DATABASE_URL DATA_DIR
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

from tonne.application.deliver_events import EventDelivery
from tonne.application.identifiers import utc_now
from tonne.application.proofs import Links
from tonne.domain.proof import ProofCodes
from tonne.storage.certificates import proof_secret
from tonne.storage.database import open_pool
from tonne.storage.snapshot import SnapshotKeeper
from tonne.webhooks.sealing import Seal
from tonne.webhooks.sending import Sender, SendingRules
from tonne.wire.events import EventWriter

# So many that chance alone does not use them up.
RETRY_DELAYS = (timedelta(milliseconds=50),) * 60
TIMEOUT_SECONDS = 2


async def deliver(database_url: str, data_dir: Path) -> None:
    """Deliver until killed."""
    rules = SendingRules(True, (ip_network("127.0.0.0/8"),), TIMEOUT_SECONDS)
    seal = Seal.configured(key=None, file=None, folder=data_dir)
    async with await open_pool(database_url, connections_max=4) as pool:
        async with pool.acquire() as connection:
            links = Links("http://127.0.0.1", ProofCodes(await proof_secret(connection)))
        snapshots = SnapshotKeeper(pool, database_url, utc_now)
        delivery = EventDelivery(
            pool,
            database_url,
            EventWriter(snapshots, links).write,
            Sender(rules),
            lambda: seal,
            utc_now,
            retry_delays=RETRY_DELAYS,
            lease_more=timedelta(seconds=0.5),
        )
        async with snapshots.running(), delivery.running():
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(deliver(sys.argv[1], Path(sys.argv[2])))
