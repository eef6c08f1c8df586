"""Organisations that sell from the same lots, in several bundles at once."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal

from tests.paying import broken_rules

from tonne.application.identifiers import new_id, utc_now
from tonne.application.open_accounts import create_key, open_account_pair, open_organisation
from tonne.application.place_orders import Placed, PlaceOrder, place_orders
from tonne.application.record_answers import record_answers
from tonne.application.retire_pools import cover_pools, pool_paid_orders
from tonne.domain.accounts import Caller, Mode
from tonne.domain.mass import Mass, MassUnit
from tonne.domain.purchase import ByBundleMasses, Purchase
from tonne.domain.retirement import Confirmed
from tonne.storage.accounts import load_directory
from tonne.storage.catalogue import load_catalogue
from tonne.storage.currencies import find_currency


def test_two_organisations_retire_from_shared_lots_without_standing_in_each_others_way(shop):
    shop.sql("UPDATE accounts SET billing = 'automatic', version = version + 1")

    async def open_other(connection):
        async with connection.transaction():
            other = await open_organisation(connection, "Another", at=utc_now())
            pair = await open_account_pair(
                connection, other, name="Another", currency=find_currency("USD"), at=utc_now()
            )
            await connection.execute("UPDATE accounts SET billing = 'automatic', version = version + 1")
            return await create_key(connection, pair[Mode.LIVE], name="another", at=utc_now())

    keys = [shop.keys["USD", Mode.LIVE], shop.on_connection(open_other)]
    bundles = shop.bundles

    async def order(pool, key):
        async with pool.acquire() as connection:
            directory = await load_directory(connection)
            caller = Caller(key.key, directory.accounts[key.account.account_id])
            catalogue = await load_catalogue(connection, on=utc_now().date())
            masses = tuple((bundle_id, Mass(Decimal(1), MassUnit.T)) for bundle_id in bundles)
            command = PlaceOrder(new_id(), caller, Purchase(ByBundleMasses(masses)), catalogue, utc_now())
            [outcome] = await place_orders(connection, [command])
            assert isinstance(outcome, Placed)

    async def retire(pool, key, rounds):
        organisation_id = key.account.organisation_id
        for _ in range(rounds):
            await order(pool, key)
            await pool_paid_orders(pool, organisation_id, at=utc_now())
            await cover_pools(pool, organisation_id, at=utc_now())
            rows = await pool.fetch(
                "SELECT retirement_id FROM retirements WHERE organisation_id = $1 AND state = 'pending'",
                organisation_id,
            )
            said = {row["retirement_id"]: Confirmed("REF", date(2026, 1, 31)) for row in rows}
            await record_answers(pool, organisation_id, said, at=utc_now())

    async def both(pool):
        await asyncio.gather(*(retire(pool, key, 15) for key in keys))

    shop.run(both)
    assert shop.sql("SELECT DISTINCT status FROM orders")[0]["status"] == "complete"
    assert broken_rules(shop.database_url) == {}
