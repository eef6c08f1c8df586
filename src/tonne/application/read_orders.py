"""Read orders for many callers at once: those who ask while one statement runs share the next."""

from __future__ import annotations

from collections.abc import Sequence

from tonne.domain.orders import Order
from tonne.storage.database import Connection
from tonne.storage.orders import WantedOrder, find_wanted_orders

# Looking up rows by their primary key takes no time: where it does, something is wrong with the database.
TIMEOUT_SECONDS = 5.0


async def read_orders(connection: Connection, wanted: Sequence[WantedOrder]) -> list[Order | None]:
    """Find orders, each of the account that asks for it; None for those that the account has not.

    One statement for all, and a quick one: what could keep others waiting is read by each caller.
    """
    found = await find_wanted_orders(connection, set(wanted), timeout_seconds=TIMEOUT_SECONDS)
    return [found.get(each) for each in wanted]
