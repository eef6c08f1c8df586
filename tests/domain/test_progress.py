"""How far an order has come, what it waits for, and what its parts cost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tonne.domain.accounts import Mode
from tonne.domain.money import Currency
from tonne.domain.orders import Order, OrderStatus, OrderType
from tonne.domain.pricing import Line
from tonne.domain.progress import (
    RETIRED_WITHIN,
    Part,
    Progress,
    WaitingFor,
    price_parts,
    retire_by,
    waiting_for,
)
from tonne.domain.proof import ProofCodes

AT = datetime(2026, 1, 31, tzinfo=UTC)
IDS = [UUID(int=number) for number in range(1, 9)]


def order(status: OrderStatus, *lines: tuple[int, int]) -> Order:
    """An order with lines of (grams, minor units)."""
    reached = list(OrderStatus)[: list(OrderStatus).index(status) + 1]
    return Order(
        organisation_id=IDS[0],
        account_id=IDS[1],
        order_id=IDS[2],
        mode=Mode.LIVE,
        type=OrderType.QUANTITY,
        currency=Currency("USD", 2),
        status=status,
        quantity_grams=sum(grams for grams, _ in lines),
        offset_cost_minor=sum(cost for _, cost in lines),
        total_cost_minor=sum(cost for _, cost in lines),
        lines=tuple(
            Line(IDS[3 + number], grams, Decimal(1), Decimal(1), cost)
            for number, (grams, cost) in enumerate(lines)
        ),
        created_at=AT,
        history=tuple((one, AT + timedelta(seconds=n)) for n, one in enumerate(reached)),
    )


ALL, HALF = (
    Part(IDS[3], IDS[6], is_retired=False, quantity_grams=10),
    Part(IDS[3], IDS[6], is_retired=True, quantity_grams=5),
)


@pytest.mark.parametrize(
    ("status", "progress", "expected"),
    [
        (OrderStatus.RECEIVED, Progress(), WaitingFor.PLACING),
        (OrderStatus.PLACED, Progress(), WaitingFor.PAYMENT),
        (OrderStatus.PAID, Progress(), WaitingFor.TONNE),
        (OrderStatus.PAID, Progress(waits_for_stock=True), WaitingFor.STOCK),
        (OrderStatus.RETIRING, Progress((HALF,)), WaitingFor.TONNE),
        (OrderStatus.RETIRING, Progress((HALF,), waits_for_stock=True), WaitingFor.STOCK),
        (OrderStatus.RETIRING, Progress((ALL,)), WaitingFor.REGISTRY),
        (OrderStatus.COMPLETE, Progress((ALL,)), None),
        (OrderStatus.CANCELLED, Progress(), None),
        (OrderStatus.FAILED, Progress(), None),
    ],
)
def test_an_order_says_what_it_waits_for(status, progress, expected):
    assert waiting_for(order(status, (10, 10)), progress) == expected


def test_an_order_should_be_retired_within_half_a_year_of_its_payment():
    assert retire_by(order(OrderStatus.PLACED, (1, 1))) is None
    paid = order(OrderStatus.PAID, (1, 1))
    assert retire_by(paid) == paid.history[-1][1] + RETIRED_WITHIN


@given(
    st.lists(st.tuples(st.integers(1, 10**9), st.integers(0, 10**9)), min_size=1, max_size=3),
    st.data(),
)
def test_the_costs_of_all_parts_of_a_line_add_up_to_the_line_and_never_to_more(lines, data):
    bought = order(OrderStatus.RETIRING, *lines)
    parts = []
    is_whole = data.draw(st.booleans())
    for line in bought.lines:
        left = line.quantity_grams
        while left and data.draw(st.booleans()):
            grams = data.draw(st.integers(1, left))
            parts.append(Part(line.bundle_id, IDS[7], is_retired=True, quantity_grams=grams))
            left -= grams
        if left and is_whole:
            parts.append(Part(line.bundle_id, IDS[6], is_retired=False, quantity_grams=left))
    priced = price_parts(bought, parts)
    assert [one.part for one in priced] == parts
    total = sum(one.offset_cost_minor for one in priced)
    assert total <= bought.offset_cost_minor
    if is_whole:
        assert total == bought.offset_cost_minor


codes = ProofCodes(b"\1" * 32)


def test_a_code_names_the_account_and_the_order():
    code = codes.make(IDS[1], IDS[2])
    assert len(code) == 64
    assert codes.read(code) == (IDS[1], IDS[2])


@given(st.integers(0, 63), st.characters(codec="ascii"))
def test_a_changed_code_names_nothing(position, character):
    code = codes.make(IDS[1], IDS[2])
    changed = code[:position] + character + code[position + 1 :]
    assert codes.read(changed) == ((IDS[1], IDS[2]) if changed == code else None)


@pytest.mark.parametrize("code", ["", "x", "é" * 64, "A" * 63, "A" * 64, "A" * 65, "A" * 64 + "\n"])
def test_what_is_no_code_names_nothing(code):
    assert codes.read(code) is None


def test_another_service_s_code_names_nothing():
    assert ProofCodes(b"\2" * 32).read(codes.make(IDS[1], IDS[2])) is None
