"""Where money is, whatever way an order goes."""

from __future__ import annotations

import itertools
from collections import Counter
from decimal import Decimal
from uuid import UUID

import pytest

from tonne.domain.accounts import Account, Billing, Mode, Organisation, SandboxBehaviour
from tonne.domain.ledger import MOVEMENTS, Movement, Place, TransferKind
from tonne.domain.money import Currency
from tonne.domain.orders import NEXT, OrderStatus, first_statuses

# What the insert of a received or placed order moves (storage/orders.py).
PLACING = {
    Billing.INVOICE: Movement(TransferKind.ORDER_PLACED, Place.RECEIVABLE, Place.HELD),
    Billing.PREPAID: Movement(TransferKind.ORDER_PLACED, Place.PREPAID, Place.HELD),
    Billing.AUTOMATIC: None,
}
HELD_ONCE = {
    Billing.INVOICE: {Place.CASH: 1, Place.HELD: -1},
    Billing.PREPAID: {Place.PREPAID: 1, Place.HELD: -1},
    Billing.AUTOMATIC: {Place.SETTLED: 1, Place.HELD: -1},
}


def books(billing: Billing, *reached: OrderStatus) -> dict[Place, int]:
    """What is debited less what is credited, of places where that is not zero."""
    debited: Counter[Place] = Counter()
    for movement in (PLACING[billing], *(MOVEMENTS.get((status, billing)) for status in reached)):
        if movement is not None:
            debited[movement.debit] += 1
            debited[movement.credit] -= 1
    return {place: units for place, units in debited.items() if units}


@pytest.mark.parametrize("billing", Billing)
def test_what_is_cancelled_or_fails_leaves_nothing_in_the_books(billing: Billing) -> None:
    assert books(billing, OrderStatus.CANCELLED) == {}
    assert books(billing, OrderStatus.FAILED) == {}
    assert books(billing, OrderStatus.PLACED, OrderStatus.CANCELLED) == {}


@pytest.mark.parametrize("billing", Billing)
def test_what_is_paid_is_held_and_owed_by_nobody(billing: Billing) -> None:
    assert books(billing, OrderStatus.PLACED, OrderStatus.PAID) == HELD_ONCE[billing]


def account(billing: Billing, behaviour: SandboxBehaviour) -> Account:
    return Account(
        organisation=Organisation(UUID(int=1), "Example", "shipper", Decimal("0.10")),
        account_id=UUID(int=2),
        name="",
        mode=Mode.TEST,
        currency=Currency("USD", 2),
        billing=billing,
        test_behaviour=behaviour,
    )


@pytest.mark.parametrize(
    ("billing", "behaviour", "statuses"),
    [
        (Billing.INVOICE, SandboxBehaviour.NORMAL, "received placed"),
        (Billing.PREPAID, SandboxBehaviour.NORMAL, "received placed paid"),
        (Billing.AUTOMATIC, SandboxBehaviour.NORMAL, "received placed paid"),
        (Billing.AUTOMATIC, SandboxBehaviour.SLOW, "received placed paid"),
        (Billing.INVOICE, SandboxBehaviour.BY_HAND, "received"),
        (Billing.PREPAID, SandboxBehaviour.BY_HAND, "received"),
        (Billing.AUTOMATIC, SandboxBehaviour.BY_HAND, "received"),
    ],
)
def test_a_new_order_is_as_far_as_its_billing_says(
    billing: Billing, behaviour: SandboxBehaviour, statuses: str
) -> None:
    reached = first_statuses(account(billing, behaviour))
    assert " ".join(reached) == statuses
    assert all(after in NEXT[before] for before, after in itertools.pairwise(reached))


@pytest.mark.parametrize(
    ("value", "minor"), [("0.35", 35), ("5", 500), ("5.000", 500), ("0.001", None), ("0.005", None)]
)
def test_money_that_came_in_is_whole_minor_units(value: str, minor: int | None) -> None:
    assert Currency("USD", 2).exact_minor_from(Decimal(value)) == minor
