"""A worker that had to wait began before what it now finds: no order is retired before it was paid."""

from __future__ import annotations

from datetime import date, timedelta

from tests.paying import broken_rules

from tonne.application.identifiers import utc_now
from tonne.application.record_answers import record_answers
from tonne.application.retire_pools import cover_pools, pool_paid_orders
from tonne.domain.accounts import Mode
from tonne.domain.retirement import Confirmed

RULE = "the statuses of an order were reached one after the other"


def test_statuses_follow_each_other_whoever_looked_at_the_clock_first(shop):
    [order_id] = shop.order(2_000_000, mode=Mode.TEST)
    organisation_id = shop.sql("SELECT organisation_id FROM organisations")[0]["organisation_id"]
    before = utc_now() - timedelta(seconds=1)

    async def work(pool):
        await pool_paid_orders(pool, organisation_id, at=utc_now())
        # These two looked at the clock, and then waited for a connection, or for another who was at work.
        await cover_pools(pool, organisation_id, at=before)
        rows = await pool.fetch("SELECT retirement_id FROM retirements")
        answers = {row["retirement_id"]: Confirmed("REG-1", date(2026, 1, 2)) for row in rows}
        await record_answers(pool, organisation_id, answers, at=before)

    shop.run(work)
    assert RULE not in broken_rules(shop.database_url)
    assert shop.statuses([order_id]) == ["complete"]
    assert shop.sql("SELECT retiring_at >= paid_at AND completed_at >= retiring_at FROM orders")[0][0]
