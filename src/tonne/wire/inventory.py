"""Lots on the wire, for operators."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from tonne.application.change_lots import Withdrawal
from tonne.domain.decimals import plain
from tonne.domain.mass import format_tonnes
from tonne.domain.withdrawal import WithdrawalKind
from tonne.storage.inventory import LotFacts, StockLine
from tonne.wire.common import NO_NUL, Id, Tonnes

Reason = Annotated[
    str, Meta(min_length=1, max_length=500, extra_json_schema=NO_NUL, examples=["The forest burnt."])
]


class LotBody(msgspec.Struct, frozen=True, kw_only=True):
    """A lot: a block of serial numbers of one vintage. Counts are whole tonnes."""

    id: Id
    project_id: Id
    project_name: str
    registry_name: str
    registry_project_id: str
    vintage_year: int
    serial_block: Annotated[str, Meta(description="As its source writes it.")]
    serial_first: int
    serial_last: int
    issued: int
    available: int
    set_aside: int
    allocated: int
    retired: int
    cancelled: Annotated[int, Meta(description="Withdrawn, or used before they could be ours.")]
    cost_per_tonne: str | None
    cost_currency: str | None
    seller: str | None
    acquired_on: str | None
    suspended_for: Annotated[str | None, Meta(description="Why it is not sold for now; else null.")]


class LotPage(msgspec.Struct, frozen=True):
    """A page of lots, oldest first."""

    data: list[LotBody]
    has_more: bool
    next_cursor: str | None


class SuspendLot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a lot is not to be sold for now."""

    reason: Reason


class LotState(msgspec.Struct, frozen=True):
    """Whether a lot is sold."""

    id: Id
    suspended: bool
    changed: Annotated[bool, Meta(description="false where it was so already.")]


class WithdrawSerials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Serial numbers whose credits are none any more, and why; without numbers, the whole lot."""

    kind: Annotated[WithdrawalKind, Meta(description="`reversed` or `invalidated`.")]
    reason: Reason
    serial_first: Annotated[int, Meta(ge=1, le=2**63 - 2)] | None = None
    serial_last: Annotated[int, Meta(ge=1, le=2**63 - 2)] | None = None
    dry_run: Annotated[bool, Meta(description="Say whom it concerns, and change nothing.")] = False


class AffectedBody(msgspec.Struct, frozen=True):
    """A retirement that holds some of the serial numbers, and an order's part in it."""

    retirement_id: Id
    state: str
    organisation: str
    account_id: Id
    beneficiary: str
    registry_reference: str | None
    quantity: Annotated[Tonnes, Meta(description="Whole tonnes of the retirement that are withdrawn.")]
    order_id: Annotated[str | None, Meta(description="null: the operator's own part.")]
    order_quantity: Annotated[Tonnes, Meta(description="The order's part in the whole retirement.")]


class WithdrawalBody(msgspec.Struct, frozen=True):
    """What a withdrawal comes to."""

    id: Id
    dry_run: bool
    serial_first: int
    serial_last: int
    tonnes_in_stock: Annotated[int, Meta(description="So many of them are not sold any more.")]
    affected: list[AffectedBody]


class StockBody(msgspec.Struct, frozen=True):
    """Lots of one project, vintage and state together. Counts are whole tonnes."""

    registry_name: str
    registry_project_id: str
    project_name: str
    vintage_year: int
    state: str
    lots: int
    issued: int
    available: int
    set_aside: int
    allocated: int
    retired: int
    cancelled: int
    cost_currency: str | None
    cost_in_stock: Annotated[
        str | None, Meta(description="What the available tonnes cost, where it is known.")
    ]


def lot_body(lot: LotFacts) -> LotBody:
    """Print a lot."""
    return LotBody(
        id=str(lot.lot_id),
        project_id=str(lot.project_id),
        project_name=lot.project_name,
        registry_name=lot.registry_name,
        registry_project_id=lot.registry_project_id,
        vintage_year=lot.vintage_year,
        serial_block=lot.serial_raw or f"{lot.serial_prefix}-{lot.serial_first}-{lot.serial_last}",
        serial_first=lot.serial_first,
        serial_last=lot.serial_last,
        issued=lot.issued_tonnes,
        available=lot.available_tonnes,
        set_aside=lot.set_aside_tonnes,
        allocated=lot.allocated_tonnes,
        retired=lot.retired_tonnes,
        cancelled=lot.cancelled_tonnes,
        cost_per_tonne=None if lot.cost_per_tonne is None else plain(lot.cost_per_tonne),
        cost_currency=lot.cost_currency,
        seller=lot.seller,
        acquired_on=None if lot.acquired_on is None else lot.acquired_on.isoformat(),
        suspended_for=lot.suspended_for,
    )


def withdrawal_body(done: Withdrawal, *, dry_run: bool) -> WithdrawalBody:
    """Print what a withdrawal comes to."""
    affected = [
        AffectedBody(
            retirement_id=str(each.retirement_id),
            state=each.state,
            organisation=each.organisation_name,
            account_id=str(each.account_id),
            beneficiary=each.beneficiary,
            registry_reference=each.registry_reference,
            quantity=str(each.tonnes),
            order_id=None if each.order_id is None else str(each.order_id),
            order_quantity=format_tonnes(each.order_grams),
        )
        for each in done.affected
    ]
    return WithdrawalBody(
        str(done.lot.lot_id), dry_run, done.serial_first, done.serial_last, done.stock_tonnes, affected
    )


def stock_body(line: StockLine) -> StockBody:
    """Print lots that are summed up."""
    return StockBody(
        registry_name=line.registry_name,
        registry_project_id=line.registry_project_id,
        project_name=line.project_name,
        vintage_year=line.vintage_year,
        state=line.state,
        lots=line.lots,
        issued=line.issued_tonnes,
        available=line.available_tonnes,
        set_aside=line.set_aside_tonnes,
        allocated=line.allocated_tonnes,
        retired=line.retired_tonnes,
        cancelled=line.cancelled_tonnes,
        cost_currency=line.cost_currency,
        cost_in_stock=None if line.cost_in_stock is None else plain(line.cost_in_stock),
    )
