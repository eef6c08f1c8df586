"""Orders read for many callers in one statement: each finds those of its own account, and nobody else's."""

from __future__ import annotations

from decimal import Decimal

import pytest
from tests.support import on_connection

from tonne.application.identifiers import new_id, utc_now
from tonne.application.load_demo import load_demo
from tonne.application.open_accounts import create_key, open_account_pair, open_organisation
from tonne.application.place_orders import PlaceOrder, place_orders
from tonne.application.read_orders import read_orders
from tonne.domain.accounts import Caller, Mode
from tonne.domain.mass import Mass, MassUnit
from tonne.domain.purchase import ByMass, Purchase
from tonne.storage.accounts import load_directory
from tonne.storage.catalogue import load_catalogue
from tonne.storage.currencies import find_currency
from tonne.storage.orders import WantedOrder


@pytest.fixture(scope="module")
def placed(database_url):
    """The account and id of an order of every account: of the demo's, live and test, and of another organisation."""

    async def place(connection):
        assert await load_demo(connection, at=utc_now()) is not None
        other = await open_organisation(connection, "Example Freight", at=utc_now())
        pair = await open_account_pair(
            connection, other, name="Example Freight", currency=find_currency("USD"), at=utc_now()
        )
        for account in pair.values():
            await create_key(connection, account, name="freight", at=utc_now())
        directory = await load_directory(connection)
        catalogue = await load_catalogue(connection, on=utc_now().date())
        purchase = Purchase(ByMass(Mass(Decimal("12.07"), MassUnit.KG)))
        callers = {
            key.account_id: Caller(key, directory.accounts[key.account_id]) for key in directory.keys.values()
        }
        commands = [
            PlaceOrder(new_id(), caller, purchase, catalogue, utc_now()) for caller in callers.values()
        ]
        await place_orders(connection, commands)
        return [(command.caller.account, command.order_id) for command in commands]

    found = on_connection(database_url, place)
    assert {account.mode for account, _ in found} == set(Mode)
    assert len({account.organisation_id for account, _ in found}) == 2
    return found


def test_of_all_that_are_asked_for_at_once_each_account_finds_its_own_only(database_url, placed):
    wanted = [WantedOrder(account, order_id) for account, _ in placed for _, order_id in placed]
    found = on_connection(database_url, lambda connection: read_orders(connection, wanted))
    own = set(placed)
    for asked, order in zip(wanted, found, strict=True):
        if (asked.account, asked.order_id) in own:
            assert order is not None
            assert (order.organisation_id, order.account_id, order.order_id) == (
                asked.account.organisation_id,
                asked.account.account_id,
                asked.order_id,
            )
            assert order.mode is asked.account.mode
        else:
            assert order is None
    assert sum(order is not None for order in found) == len(placed)


def test_whoever_asks_for_the_same_is_answered_the_same_and_in_order(database_url, placed):
    (account, order_id), (other, other_id) = placed[:2]
    wanted = [
        WantedOrder(account, order_id),
        WantedOrder(account, new_id()),
        WantedOrder(other, other_id),
        WantedOrder(account, order_id),
    ]
    found = on_connection(database_url, lambda connection: read_orders(connection, wanted))
    assert [order and order.order_id for order in found] == [order_id, None, other_id, order_id]


def test_nobody_is_answered_nothing(database_url):
    assert on_connection(database_url, lambda connection: read_orders(connection, [])) == []
