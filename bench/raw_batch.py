"""The ceiling of the write path: our own statement for many orders, and no HTTP.

    python raw_batch.py DATABASE_URL SECONDS

Orders are priced and made before the clock runs; two batches of 256 are in flight. Prints a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import replace
from decimal import Decimal

import uvloop

from tonne.application.identifiers import new_id, utc_now
from tonne.domain.accounts import Mode
from tonne.domain.mass import Mass, MassUnit
from tonne.domain.orders import Order, OrderStatus, OrderType
from tonne.domain.purchase import ByMass, Purchase, price_purchase
from tonne.storage.accounts import load_directory
from tonne.storage.catalogue import load_catalogue
from tonne.storage.database import Connection, open_pool
from tonne.storage.new_orders import NewOrder, insert_orders

BATCH = 256
IN_FLIGHT = 2
# More than any machine inserts in the time: made in pieces, between which the clock stands.
PIECE = 64


async def main(url: str, seconds: float) -> None:
    """Insert for so long."""
    async with await open_pool(url, connections_max=IN_FLIGHT) as pool:
        async with pool.acquire() as connection:
            first = await _an_order(connection)
        inserted, took = 0, 0.0
        while took < seconds:
            batches = [_batch(first) for _ in range(PIECE)]
            began = time.perf_counter()

            async def drain(batches: list[list[NewOrder]] = batches) -> int:
                done = 0
                async with pool.acquire() as connection:
                    while batches:
                        done += len(await insert_orders(connection, batches.pop()))
                return done

            inserted += sum(await asyncio.gather(*(drain() for _ in range(IN_FLIGHT))))
            took += time.perf_counter() - began
    print(json.dumps({"orders": inserted, "seconds": took, "orders_per_second": inserted / took}))


async def _an_order(connection: Connection) -> NewOrder:
    directory = await load_directory(connection)
    key = next(
        key
        for key in directory.keys.values()
        if key.mode is Mode.LIVE and directory.accounts[key.account_id].currency.code == "USD"
    )
    account = directory.accounts[key.account_id]
    catalogue = await load_catalogue(connection, on=utc_now().date())
    quote = price_purchase(
        Purchase(ByMass(Mass(Decimal("12.07"), MassUnit.KG))),
        account=account,
        catalogue=catalogue,
        at=utc_now(),
    )
    now = utc_now()
    order = Order(
        organisation_id=account.organisation_id,
        account_id=account.account_id,
        order_id=new_id(),
        mode=account.mode,
        type=OrderType.QUANTITY,
        currency=quote.currency,
        status=OrderStatus.PLACED,
        quantity_grams=quote.priced.quantity_grams,
        offset_cost_minor=quote.priced.offset_cost_minor,
        total_cost_minor=quote.priced.total_cost_minor,
        lines=quote.priced.lines,
        created_at=now,
        history=((OrderStatus.RECEIVED, now), (OrderStatus.PLACED, now)),
        requested_tonnes=quote.requested_tonnes,
        beneficiary=account.beneficiary,
    )
    return NewOrder(order, key.key_id, account.version, catalogue.version)


def _batch(first: NewOrder) -> list[NewOrder]:
    made = []
    for _ in range(BATCH):
        order_id = new_id()
        order = replace(first.order, order_id=order_id, idempotency_key=f"{order_id.hex}-1")
        made.append(replace(first, order=order))
    return made


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], float(sys.argv[2])))
