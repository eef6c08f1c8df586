"""From paid to retired, on a real database."""

from __future__ import annotations

from datetime import date

from tonne.application.identifiers import utc_now
from tonne.application.record_answers import record_answers
from tonne.application.worker import retire_all
from tonne.domain.accounts import Mode
from tonne.domain.retirement import Confirmed, Rejected

KG = 1000
T = 1_000_000


def work(shop):
    return shop.run(lambda pool: retire_all(pool, utc_now))


def answer(shop, answers):
    organisation_id = shop.sql("SELECT organisation_id FROM organisations")[0]["organisation_id"]
    return shop.run(lambda pool: record_answers(pool, organisation_id, answers, at=utc_now()))


def open_retirements(shop):
    return shop.sql(
        "SELECT * FROM retirements WHERE state <> 'confirmed' AND state <> 'rejected' ORDER BY gram_first"
    )


def confirm_all(shop):
    return answer(
        shop,
        {row["retirement_id"]: Confirmed("REG-1", date(2026, 1, 2)) for row in open_retirements(shop)},
    )


def test_test_orders_are_retired_as_soon_as_they_fill_a_tonne(shop):
    first = shop.order(600 * KG, mode=Mode.TEST)
    work(shop)
    assert shop.statuses(first) == ["paid"]
    second = shop.order(600 * KG, mode=Mode.TEST)
    work(shop)
    assert shop.statuses(first + second) == ["complete", "retiring"]
    third = shop.order(800 * KG, mode=Mode.TEST)
    work(shop)
    assert shop.statuses(first + second + third) == ["complete"] * 3


def test_live_orders_wait_for_the_registry(shop):
    orders = shop.order(2 * T, 500 * KG)
    work(shop)
    assert shop.statuses(orders) == ["retiring", "paid"]
    confirm_all(shop)
    assert shop.statuses(orders) == ["complete", "paid"]


def test_what_a_registry_rejects_is_retired_with_other_credits(shop):
    orders = shop.order(3 * T)
    work(shop)
    [rejected] = open_retirements(shop)
    answer(shop, {rejected["retirement_id"]: Rejected("blocked")})
    work(shop)
    [again] = open_retirements(shop)
    assert again["replaces_rejected"]
    assert (again["gram_first"], again["tonnes"]) == (rejected["gram_first"], rejected["tonnes"])
    assert again["serial_first"] > rejected["serial_last"]
    confirm_all(shop)
    assert shop.statuses(orders) == ["complete"]
