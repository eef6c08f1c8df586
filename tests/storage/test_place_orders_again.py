"""Carrying out a batch again, after a commit of which nobody knows whether it went through."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import asyncpg
import pytest
from tests.placing import first_command
from tests.support import on_connection

from tonne.application.identifiers import new_id, utc_now
from tonne.application.place_orders import Placed, PlaceOrder, Refused, place_orders
from tonne.domain.selection import Choice
from tonne.storage.accounts import replace_selection
from tonne.storage.database import open_pool
from tonne.storage.group_commit import GroupCommit


@pytest.fixture(scope="module")
def command(database_url):
    """Makes commands to order for the first demo account."""
    first = first_command(database_url)

    def make(**changes) -> PlaceOrder:
        return replace(first, **{"order_id": new_id(), "at": utc_now(), **changes})

    return make


@pytest.mark.parametrize("idempotency_key", [None, "again"])
def test_an_order_whose_commit_got_lost_is_answered_as_stored_and_stored_once(
    database_url, run_sql, command, idempotency_key
):
    attempts = []

    async def write(connection, commands):
        outcomes = await place_orders(connection, commands)
        attempts.append(outcomes)
        if len(attempts) == 1:
            raise asyncpg.ConnectionDoesNotExistError("lost after the commit")
        return outcomes

    async def run():
        async with await open_pool(database_url, connections_max=2) as pool:
            commits = GroupCommit(pool, write)
            async with commits.running():
                return await commits.submit(command(idempotency_key=idempotency_key))

    outcome = asyncio.run(run())
    assert len(attempts) == 2
    assert isinstance(outcome, Placed)
    stored = run_sql("SELECT total_cost_minor FROM orders WHERE order_id = $1", outcome.order.order_id)
    assert [row["total_cost_minor"] for row in stored] == [outcome.order.total_cost_minor]


def test_two_orders_with_one_key_in_one_batch_are_one_order(database_url, command):
    commands = [command(idempotency_key="same batch") for _ in range(5)]
    outcomes = on_connection(database_url, lambda connection: place_orders(connection, commands))
    assert [type(outcome) for outcome in outcomes].count(Placed) == 1
    placed = next(outcome.order for outcome in outcomes if isinstance(outcome, Placed))
    refused = [outcome.error for outcome in outcomes if isinstance(outcome, Refused)]
    assert {error.headers["Location"] for error in refused} == {f"/v1/orders/{placed.order_id}"}


def test_an_order_buys_the_selection_of_now_where_the_process_still_remembers_an_older_one(
    database_url, run_sql, command
):
    stale = [command(), command(idempotency_key="stale")]
    account = stale[0].caller.account
    chosen = list(stale[0].catalogue.bundles)[2]

    async def select_elsewhere_then_place(connection):
        async with connection.transaction():
            await replace_selection(connection, account, [Choice(chosen, Decimal(100))])
        return await place_orders(connection, stale)

    outcomes = on_connection(database_url, select_elsewhere_then_place)
    bought = [[line.bundle_id for line in outcome.order.lines] for outcome in outcomes]
    assert bought == [[chosen], [chosen]]
    stored = run_sql(
        "SELECT l.bundle_id FROM orders, unnest(lines) l WHERE order_id = ANY($1::uuid[])",
        [outcome.order.order_id for outcome in outcomes],
    )
    assert [row["bundle_id"] for row in stored] == [chosen, chosen]
