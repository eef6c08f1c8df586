"""Orders of a time are looked for by their ids, which say when they were made."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from tests.placing import first_command
from tests.support import on_connection

from tonne.application.identifiers import new_id, utc_now
from tonne.application.place_orders import place_orders
from tonne.storage.orders import OrderFilter, list_orders

MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def command(database_url):
    return first_command(database_url)


@pytest.mark.parametrize("hours", [-23, 0, 23])
def test_an_order_is_found_by_its_time_though_its_id_was_made_up_to_a_day_before_or_after(
    database_url, command, hours
):
    # The id is of now; the time is what a clock that was set in between would have said.
    at = utc_now() + timedelta(hours=hours)
    placed = replace(command, order_id=new_id(), at=at)

    async def place_and_list(connection):
        await place_orders(connection, [placed])
        wanted = OrderFilter(created_from=at - MINUTE, created_to=at + MINUTE)
        account = placed.caller.account
        return await list_orders(connection, account, wanted=wanted, after=None, limit=10)

    found = on_connection(database_url, place_and_list)
    assert [order.order_id for order in found] == [placed.order_id]


@pytest.mark.parametrize(
    "at",
    [
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
def test_any_time_can_be_asked_for(database_url, command, at):
    placed = replace(command, order_id=new_id(), at=utc_now())

    async def both_ways(connection):
        await place_orders(connection, [placed])
        account = placed.caller.account
        return [
            {
                order.order_id
                for order in await list_orders(connection, account, wanted=wanted, after=None, limit=100)
            }
            for wanted in (OrderFilter(created_from=at), OrderFilter(created_to=at))
        ]

    since, before = on_connection(database_url, both_ways)
    ids: set[UUID] = since if at.year < 2000 else before
    assert placed.order_id in ids
    assert not since & before
