"""Orders that are paid, on a database of the module's own, and the steps that follow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from tests.support import on_connection

from tonne.application.identifiers import new_id, utc_now
from tonne.application.load_demo import load_demo
from tonne.application.open_accounts import NewKey
from tonne.application.pay_orders import pay_orders
from tonne.application.place_orders import Placed, PlaceOrder, place_orders
from tonne.domain.accounts import Caller, Mode
from tonne.domain.mass import Mass, MassUnit
from tonne.domain.purchase import ByBundleMasses, Purchase
from tonne.storage.accounts import load_directory
from tonne.storage.catalogue import load_catalogue
from tonne.storage.database import open_pool


@dataclass
class Shop:
    """A database with the demo, and what its customers and its operator do."""

    database_url: str
    keys: dict[tuple[str, Mode], NewKey] = field(default_factory=dict)

    def run(self, work: Callable[..., Any]) -> Any:
        """Do something with a pool."""

        async def run() -> Any:
            async with await open_pool(self.database_url, connections_max=4) as pool:
                return await work(pool)

        return asyncio.run(run())

    def on_connection(self, work: Callable[..., Any]) -> Any:
        return on_connection(self.database_url, work)

    def sql(self, statement: str, *arguments: Any) -> Any:
        return self.on_connection(lambda connection: connection.fetch(statement, *arguments))

    @property
    def bundles(self) -> list[UUID]:
        return [row["bundle_id"] for row in self.sql("SELECT bundle_id FROM bundles ORDER BY bundle_id")]

    def order(self, *grams: int, mode: Mode = Mode.LIVE, bundle: int = 0, currency: str = "USD") -> Any:
        """Place orders of so many grams of one bundle, and have them paid."""
        new_key = self.keys[currency, mode]
        bundle_id = self.bundles[bundle]

        async def place(connection: Any) -> list[UUID]:
            directory = await load_directory(connection)
            caller = Caller(new_key.key, directory.accounts[new_key.account.account_id])
            catalogue = await load_catalogue(connection, on=utc_now().date())
            commands = [
                PlaceOrder(
                    new_id(),
                    caller,
                    Purchase(ByBundleMasses(((bundle_id, Mass(Decimal(mass), MassUnit.G)),))),
                    catalogue,
                    utc_now(),
                )
                for mass in grams
            ]
            outcomes = await place_orders(connection, commands)
            assert all(isinstance(outcome, Placed) for outcome in outcomes)
            return [command.order_id for command in commands]

        ids = self.on_connection(place)
        self.run(lambda pool: pay_orders(pool, ids, at=utc_now()))
        return ids

    def statuses(self, order_ids: list[UUID]) -> list[str]:
        rows = self.sql(
            "SELECT order_id, status FROM orders WHERE order_id = ANY($1::uuid[])", list(order_ids)
        )
        found = {row["order_id"]: row["status"] for row in rows}
        return [found[order_id] for order_id in order_ids]


@pytest.fixture
def shop(new_database: Callable[[], str]) -> Shop:
    """A shop of its own for each test."""
    url = new_database()
    keys = on_connection(url, lambda connection: load_demo(connection, at=utc_now()))
    assert keys is not None
    return Shop(url, {(key.account.currency.code, key.account.mode): key for key in keys})
