"""How far an order has come on its way from paid to retired, and what it waits for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from uuid import UUID

from tonne.domain.accounts import Mode
from tonne.domain.orders import Order, OrderStatus
from tonne.domain.pricing import Line, split_by_largest_remainder
from tonne.domain.retirement import RetirementState

# Half a year from payment: long enough for small orders to fill a tonne, short enough to be true to the buyer.
RETIRED_WITHIN = timedelta(days=180)


class WaitingFor(StrEnum):
    """Why an order is not complete yet.

    `placing`, `payment`: not paid. `tonne`: some of it is in a tonne that other orders of the same account and
    beneficiary, or the operator, must fill. `stock`: no credits are left. `registry`: it has not retired them yet.
    """

    PLACING = "placing"
    PAYMENT = "payment"
    TONNE = "tonne"
    STOCK = "stock"
    REGISTRY = "registry"


@dataclass(frozen=True, slots=True)
class Part:
    """Grams of one bundle's line that are in retirements of one project, retired or on the way."""

    bundle_id: UUID
    project_id: UUID
    is_retired: bool
    quantity_grams: int


@dataclass(frozen=True, slots=True)
class Progress:
    """An order's parts; `waits_for_stock` where a whole tonne of one of its pools found no credits."""

    parts: tuple[Part, ...] = ()
    waits_for_stock: bool = False


@dataclass(frozen=True, slots=True)
class PricedPart:
    """A part with its share of the line's cost, in minor units."""

    part: Part
    line: Line
    offset_cost_minor: int


@dataclass(frozen=True, slots=True)
class Retirement:
    """A retirement with what is known of its project. Serial numbers are printed whole, both inclusive."""

    organisation_id: UUID
    account_id: UUID
    retirement_id: UUID
    mode: Mode
    state: RetirementState
    project_id: UUID
    project_name: str
    project_type: str
    country_name: str
    country_code: str
    registry_name: str
    registry_project_id: str
    registry_link: str | None
    methodology: str | None
    bundle_id: UUID
    vintage_year: int
    serial_first: str
    serial_last: str
    tonnes: int
    beneficiary: str
    created_at: datetime
    submitted_at: datetime | None
    decided_at: datetime | None
    registry_reference: str | None
    retired_on: date | None
    reason: str | None
    beneficiary_country: str | None = None
    beneficiary_registration_number: str | None = None


@dataclass(frozen=True, slots=True)
class OrderPart:
    """An order's grams in one retirement, which begin at the pool's gram `gram_first`."""

    retirement: Retirement
    order_id: UUID
    gram_first: int
    quantity_grams: int


def retire_by(order: Order) -> datetime | None:
    """When a paid order should be retired at the latest; None before it is paid, or when it never will be."""
    paid_at = dict(order.history).get(OrderStatus.PAID)
    return None if paid_at is None else paid_at + RETIRED_WITHIN


def waiting_for(order: Order, progress: Progress) -> WaitingFor | None:
    """What an order waits for; None when it is over. What needs somebody comes before what comes by itself."""
    match order.status:
        case OrderStatus.COMPLETE | OrderStatus.CANCELLED | OrderStatus.FAILED:
            return None
        case OrderStatus.RECEIVED:
            return WaitingFor.PLACING
        case OrderStatus.PLACED:
            return WaitingFor.PAYMENT
        case OrderStatus.PAID | OrderStatus.RETIRING:
            if progress.waits_for_stock:
                return WaitingFor.STOCK
            if sum(part.quantity_grams for part in progress.parts) < order.quantity_grams:
                return WaitingFor.TONNE
            return WaitingFor.REGISTRY


def price_parts(order: Order, parts: Sequence[Part]) -> list[PricedPart]:
    """Share each line's cost among its parts, and what has no part yet, losing nothing."""
    priced = []
    for line in order.lines:
        own = [part for part in parts if part.bundle_id == line.bundle_id]
        if not own:
            continue
        rest = line.quantity_grams - sum(part.quantity_grams for part in own)
        assert rest >= 0, "more is allocated than was ordered"
        shares = split_by_largest_remainder(
            line.offset_cost_minor, [*(part.quantity_grams for part in own), rest]
        )
        priced += [PricedPart(part, line, share) for part, share in zip(own, shares[: len(own)], strict=True)]
    return priced
