"""Orders as a table, any number of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID

from tonne.domain.accounts import Account
from tonne.domain.decimals import plain
from tonne.domain.mass import format_tonnes
from tonne.domain.orders import Order, OrderStatus
from tonne.domain.terms import Terms
from tonne.storage.database import Connection
from tonne.storage.orders import OrderFilter, list_orders

_READ_TOGETHER = 1000
_REACHED = tuple(status for status in OrderStatus if status is not OrderStatus.RECEIVED)

ORDER_COLUMNS = (
    "id",
    "organisation_id",
    "organisation_name",
    "account_id",
    "account_name",
    "mode",
    "type",
    "status",
    "billing",
    "currency",
    "offset_cost",
    "commission",
    "total_cost",
    "quantity",
    "requested_quantity",
    "requested_value",
    "estimate_id",
    "idempotency_key",
    "beneficiary",
    "beneficiary_details",
    "max_unit_price",
    "min_vintage_year",
    "excluded_countries",
    "excluded_projects",
    "bundles",
    "metadata",
    "created_at",
    *(f"{status.value}_at" for status in _REACHED),
)


async def stream_orders(
    connection: Connection, accounts: Mapping[UUID, Account], *, wanted: OrderFilter
) -> AsyncIterator[tuple[Account, Order]]:
    """Read orders of accounts, account by account, newest first; call it in a transaction that sees one moment.

    However many there are, a thousand are held at once.
    """
    for account in sorted(
        accounts.values(), key=lambda account: (account.organisation_id, account.account_id)
    ):
        after: UUID | None = None
        while True:
            found = await list_orders(connection, account, wanted=wanted, after=after, limit=_READ_TOGETHER)
            for order in found:
                yield account, order
            if len(found) < _READ_TOGETHER:
                break
            after = found[-1].order_id


def order_row(account: Account, order: Order) -> dict[str, Any]:
    """An order's row. Quantities are tonnes, costs money of `currency`, times UTC."""
    money = order.currency.format
    return {
        "id": str(order.order_id),
        "organisation_id": str(order.organisation_id),
        "organisation_name": account.organisation.name,
        "account_id": str(order.account_id),
        "account_name": account.name,
        "mode": order.mode.value,
        "type": order.type.value,
        "status": order.status.value,
        "billing": order.billing.value,
        "currency": order.currency.code,
        "offset_cost": money(order.offset_cost_minor),
        "commission": money(order.commission_minor),
        "total_cost": money(order.total_cost_minor),
        "quantity": format_tonnes(order.quantity_grams),
        "requested_quantity": None if order.requested_tonnes is None else plain(order.requested_tonnes),
        "requested_value": None
        if order.requested_value_minor is None
        else money(order.requested_value_minor),
        "estimate_id": None if order.estimate_id is None else str(order.estimate_id),
        "idempotency_key": order.idempotency_key,
        "beneficiary": order.beneficiary,
        **_terms(order.terms),
        "bundles": [
            {
                "bundle_id": str(line.bundle_id),
                "quantity": format_tonnes(line.quantity_grams),
                "unit_price": plain(line.unit_price),
                "gross_unit_price": plain(line.gross_unit_price),
                "offset_cost": money(line.offset_cost_minor),
            }
            for line in order.lines
        ],
        "metadata": dict(order.metadata or {}),
        "created_at": order.created_at,
        **{f"{status.value}_at": at for status, at in order.history if status in _REACHED},
    }


def _terms(terms: Terms) -> dict[str, Any]:
    named, restrictions = terms.beneficiary, terms.restrictions
    return {
        "beneficiary_details": None
        if named is None
        else {
            "email": named.email,
            "country": named.country,
            "registration_number": named.registration_number,
            "hidden_until": None if named.hidden_until is None else named.hidden_until.isoformat(),
        },
        "max_unit_price": None if terms.max_unit_price is None else plain(terms.max_unit_price),
        "min_vintage_year": restrictions.min_vintage_year,
        "excluded_countries": list(restrictions.excluded_countries),
        "excluded_projects": [str(project_id) for project_id in restrictions.excluded_projects],
    }
