"""`tonne check` finds sound pools, lots and retirements sound, and names what is damaged."""

from __future__ import annotations

from datetime import date
from uuid import UUID

import pytest

from tonne.application.identifiers import utc_now
from tonne.application.record_answers import record_answers
from tonne.application.worker import retire_all
from tonne.domain.accounts import Mode
from tonne.domain.retirement import Confirmed, RegistryAnswer, Rejected
from tonne.storage.checks import run_checks

T = 1_000_000
SUMS = "the orders' parts of a retirement add up to its tonnes"
COMPLETE = "an order is complete exactly when all its grams are retired"
RETIRING = "an order is retiring from its first allocated gram on"
POOLED = "a pooled order has each of its grams in a pool, once"
IN_LINE = "the entries of a pool stand gram after gram"
COVERED = "every gram of a pool is covered by one retirement at most"
WAITING = "a pool waits with less than a tonne, or its bundle is out of stock"
SERIALS = "no serial number is in two retirements"
COUNTS = "a lot counts what retirements took of it"
STOCK = "a lot has in stock, or set aside, the serial numbers that it counts"
TAKEN = "a retirement's serial numbers are of its lot, and were taken"
WHOSE = "a retirement is for the account, bundle and beneficiary of its pool"
TOLD = "every status that an order has reached was told, once"
TIMES = "the statuses of an order were reached one after the other"


ONE = "(SELECT retirement_id FROM retirements WHERE state = 'confirmed' AND mode = 'live' LIMIT 1)"
OPEN = "(SELECT retirement_id FROM retirements WHERE state = 'pending' AND mode = 'live' LIMIT 1)"


@pytest.fixture
def busy(shop):
    """A shop with retirements in every state: confirmed, rejected, pending, and orders that wait for a tonne."""

    def work():
        shop.run(lambda pool: retire_all(pool, utc_now))

    shop.order(2 * T, 500_000, mode=Mode.TEST)
    shop.order(3 * T, 200_000)
    shop.order(2 * T, bundle=1)
    work()
    organisation_id = shop.sql("SELECT organisation_id FROM organisations")[0]["organisation_id"]
    first, second = (row["retirement_id"] for row in shop.sql(
        "SELECT retirement_id FROM retirements WHERE mode = 'live' ORDER BY created_at, retirement_id LIMIT 2"
    ))  # fmt: skip
    said: dict[UUID, RegistryAnswer] = {
        first: Confirmed("REG-1", date(2026, 1, 31)),
        second: Rejected("frozen"),
    }
    shop.run(lambda pool: record_answers(pool, organisation_id, said, at=utc_now()))
    work()
    shop.order(4 * T)
    work()
    return shop


def broken(shop):
    async def check(connection):
        return {result.rule async for result in run_checks(connection) if result.findings}

    return shop.on_connection(check)


def test_a_busy_shop_is_sound(busy):
    assert broken(busy) == set()
    states = {row["state"] for row in busy.sql("SELECT DISTINCT state FROM retirements")}
    assert states == {"confirmed", "rejected", "pending"}


@pytest.mark.parametrize(
    ("damage", "rules"),
    [
        (f"DELETE FROM allocations WHERE retirement_id = {OPEN}", {SUMS}),
        (f"UPDATE allocations SET quantity_grams = quantity_grams + 1 WHERE retirement_id = {OPEN}", {SUMS}),
        (
            "UPDATE orders SET status = 'retiring' WHERE status = 'complete' AND billing = 'invoice'",
            {COMPLETE},
        ),
        ("UPDATE orders SET status = 'paid' WHERE status = 'retiring'", {RETIRING}),
        ("DELETE FROM pool_entries WHERE gram_first = 0 AND quantity_grams = 3000000", {POOLED, IN_LINE}),
        ("UPDATE pool_entries SET gram_first = gram_first + 1 WHERE gram_first > 0", {IN_LINE}),
        (
            (
                "INSERT INTO pool_gaps (organisation_id, pool_id, gram_first, tonnes) SELECT organisation_id, pool_id, "
                f"gram_first, tonnes FROM retirements WHERE retirement_id = {OPEN}"
            ),
            {COVERED},
        ),
        ("UPDATE pools SET entered_grams = entered_grams + 1", {IN_LINE}),
        (
            (
                "UPDATE pools SET entered_grams = entered_grams + 1000000, due_since = now() - interval '2 hours' "
                "WHERE mode = 'live' AND covered_grams > 6000000"
            ),
            {IN_LINE, WAITING},
        ),
        (
            (
                "UPDATE retirements r SET serial_first = o.serial_last, serial_last = o.serial_last + r.tonnes - 1, "
                f"lot_id = o.lot_id, project_id = o.project_id FROM retirements o WHERE o.retirement_id = {ONE} "
                f"AND r.retirement_id = {OPEN}"
            ),
            {SERIALS, COUNTS, TAKEN},
        ),
        (
            (
                "UPDATE lots SET retired_tonnes = retired_tonnes - 1, cancelled_tonnes = cancelled_tonnes + 1 "
                "WHERE retired_tonnes > 0 AND mode = 'live'"
            ),
            {COUNTS},
        ),
        (
            (
                "UPDATE lots SET available_tonnes = available_tonnes - 1, set_aside_tonnes = set_aside_tonnes + 1 "
                "WHERE available_tonnes > 1 AND mode = 'live'"
            ),
            {STOCK},
        ),
        (f"UPDATE retirements SET serial_prefix = 'TEST-X' WHERE retirement_id = {OPEN}", {TAKEN}),
        (f"UPDATE retirements SET beneficiary = 'Somebody else' WHERE retirement_id = {OPEN}", {WHOSE}),
        ("DELETE FROM event_chunks WHERE event_types = ARRAY['order.completed']", {TOLD}),
        ("UPDATE event_chunks SET order_ids = order_ids || order_ids WHERE event_types[1] = 'order.paid'", {TOLD}),
        ("UPDATE orders SET retiring_at = paid_at - interval '1 s' WHERE status = 'retiring'", {TIMES}),
    ],
)  # fmt: skip
def test_what_is_damaged_is_named(busy, damage, rules):
    busy.sql(damage)
    assert broken(busy) >= rules
