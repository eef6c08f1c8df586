"""The lifecycle of orders: contract, sections 4 and 8."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tonne.domain.accounts import Mode
from tonne.domain.money import Currency
from tonne.domain.orders import NEXT, Order, OrderStatus, OrderType

PICTURE = """
received -> placed -> paid -> retiring -> complete
received -> failed          received, placed -> cancelled
"""
FINAL = {"complete", "cancelled", "failed"}


def drawn_moves() -> set[tuple[str, str]]:
    """Every arrow of the contract's picture."""
    moves = set()
    chains = [chain for line in PICTURE.strip().splitlines() for chain in line.split("   ") if chain.strip()]
    for chain in chains:
        stations = [[name.strip() for name in station.split(",")] for station in chain.split("->")]
        for starts, ends in itertools.pairwise(stations):
            moves |= set(itertools.product(starts, ends))
    return moves


def test_the_picture_is_read_right() -> None:
    assert drawn_moves() == {
        ("received", "placed"),
        ("received", "failed"),
        ("received", "cancelled"),
        ("placed", "paid"),
        ("placed", "cancelled"),
        ("paid", "retiring"),
        ("retiring", "complete"),
    }


def test_the_table_of_moves_is_the_contracts_picture() -> None:
    moves = {(status.value, after.value) for status, afters in NEXT.items() for after in afters}
    assert moves == drawn_moves()


def test_every_status_has_a_row_in_the_table_of_moves() -> None:
    assert set(NEXT) == set(OrderStatus)


def test_the_statuses_are_spelled_as_on_the_wire() -> None:
    assert [status.value for status in OrderStatus] == [
        "received",
        "placed",
        "paid",
        "retiring",
        "complete",
        "cancelled",
        "failed",
    ]


@pytest.mark.parametrize("status", OrderStatus)
def test_exactly_complete_cancelled_and_failed_are_final(status: OrderStatus) -> None:
    assert (NEXT[status] == frozenset()) == (status.value in FINAL)


@pytest.mark.parametrize("status", OrderStatus)
def test_no_order_stays_where_it_is_or_goes_back(status: OrderStatus) -> None:
    reached: set[OrderStatus] = set()
    waiting = [status]
    while waiting:
        after = NEXT[waiting.pop()] - reached
        reached |= after
        waiting += after
    assert status not in reached


def test_every_status_can_be_reached_from_received() -> None:
    reached = {OrderStatus.RECEIVED}
    for _ in OrderStatus:
        reached |= {after for status in reached for after in NEXT[status]}
    assert reached == set(OrderStatus)


@pytest.mark.parametrize("status", [OrderStatus.PAID, OrderStatus.RETIRING])
def test_what_is_paid_is_retired_and_never_cancelled(status: OrderStatus) -> None:
    while NEXT[status]:
        (status,) = NEXT[status]
    assert status is OrderStatus.COMPLETE


@given(st.lists(st.sampled_from(OrderStatus), min_size=4, max_size=4))
def test_every_order_is_over_after_at_most_four_moves(wanted: list[OrderStatus]) -> None:
    status = OrderStatus.RECEIVED
    for wish in wanted:
        after = NEXT[status]
        if after:
            status = wish if wish in after else min(after)
    assert status.value in FINAL


def test_orders_are_by_quantity_or_by_value() -> None:
    assert [kind.value for kind in OrderType] == ["quantity", "value"]


@pytest.mark.parametrize(("offset_cost", "total_cost", "commission"), [(31, 35, 4), (35, 35, 0), (0, 1, 1)])
def test_the_commission_is_what_the_total_is_above_the_credits(
    offset_cost: int, total_cost: int, commission: int
) -> None:
    at = datetime(2026, 1, 31, tzinfo=UTC)
    order = Order(
        organisation_id=UUID(int=1),
        account_id=UUID(int=2),
        order_id=UUID(int=3),
        mode=Mode.TEST,
        type=OrderType.QUANTITY,
        currency=Currency("USD", 2),
        status=OrderStatus.PLACED,
        quantity_grams=12_069,
        offset_cost_minor=offset_cost,
        total_cost_minor=total_cost,
        lines=(),
        created_at=at,
        history=((OrderStatus.RECEIVED, at), (OrderStatus.PLACED, at)),
    )
    assert order.commission_minor == commission
