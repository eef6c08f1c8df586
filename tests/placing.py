"""A command to order, of an account of the demo: what tests of placing orders begin with."""

from __future__ import annotations

from decimal import Decimal

import asyncpg
from tests.support import on_connection

from tonne.application.identifiers import new_id, utc_now
from tonne.application.load_demo import load_demo
from tonne.application.place_orders import PlaceOrder
from tonne.domain.accounts import Caller
from tonne.domain.mass import Mass, MassUnit
from tonne.domain.purchase import ByMass, Purchase
from tonne.storage.accounts import load_directory
from tonne.storage.catalogue import load_catalogue


def first_command(database_url: str) -> PlaceOrder:
    """Load the demo; returns a command to order 12.07 kg for its first account."""

    async def load(connection: asyncpg.Connection) -> PlaceOrder:
        keys = await load_demo(connection, at=utc_now())
        assert keys is not None
        directory = await load_directory(connection)
        caller = Caller(keys[0].key, directory.accounts[keys[0].account.account_id])
        catalogue = await load_catalogue(connection, on=utc_now().date())
        purchase = Purchase(ByMass(Mass(Decimal("12.07"), MassUnit.KG)))
        return PlaceOrder(new_id(), caller, purchase, catalogue, utc_now())

    return on_connection(database_url, load)
