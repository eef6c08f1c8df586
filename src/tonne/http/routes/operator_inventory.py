"""Lots over HTTP, for operators; `tonne lots` does the same, and brings them in from files."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import JSONBody

from tonne.application.change_lots import suspend_lot, withdraw_lot
from tonne.application.identifiers import read_id, utc_now
from tonne.domain.errors import (
    CatalogueConflict,
    IdInvalid,
    InsufficientScope,
    NotFound,
    PaginationLimitInvalid,
    ValidationFailed,
)
from tonne.http.answers import answer
from tonne.http.documentation import WITH_BODY, After, Limit, refusals
from tonne.http.guards import operators_only, refuse_test_keys
from tonne.http.paging import first_page, read_cursor, read_limit
from tonne.http.request import ApiRequest
from tonne.storage.inventory import find_lots, sum_stock
from tonne.wire.inventory import (
    LotPage,
    LotState,
    StockBody,
    SuspendLot,
    WithdrawalBody,
    WithdrawSerials,
    lot_body,
    stock_body,
    withdrawal_body,
)

OPERATED: dict[str, Any] = {"tags": ["Operator: inventory"], "guards": [operators_only, refuse_test_keys]}


@get(
    "/operator/lots",
    operation_id="listLots",
    summary="List lots",
    responses=refusals(ValidationFailed, PaginationLimitInvalid, IdInvalid, InsufficientScope),
    **OPERATED,
)
async def list_lots(request: ApiRequest, limit: Limit = None, after: After = None) -> LotPage:
    """List live lots, oldest first."""
    query = request.query("limit", "after")
    size = read_limit(query)
    async with request.services.pool.acquire(timeout=5) as connection:
        found = await find_lots(connection, after=read_cursor(query), limit=size + 1)
    lots, has_more = first_page(found, size)
    return LotPage([lot_body(lot) for lot in lots], has_more, str(lots[-1].lot_id) if has_more else None)


@post(
    "/operator/lots/{id:str}/suspend",
    status_code=200,
    operation_id="suspendLot",
    summary="Suspend a lot",
    responses=refusals(*WITH_BODY, InsufficientScope, NotFound),
    **OPERATED,
)
async def suspend(request: ApiRequest, data: JSONBody[SuspendLot]) -> Response[LotState]:
    """Keep a lot from being sold until it is released."""
    return await _suspend(request, data.reason)


@post(
    "/operator/lots/{id:str}/release",
    status_code=200,
    operation_id="releaseLot",
    summary="Release a lot",
    responses=refusals(*WITH_BODY, InsufficientScope, NotFound),
    **OPERATED,
)
async def release(request: ApiRequest) -> Response[LotState]:
    """Let a suspended lot be sold again. The request needs no body."""
    await request.refuse_content()
    return await _suspend(request, None)


@post(
    "/operator/lots/{id:str}/withdraw",
    status_code=200,
    operation_id="withdrawLot",
    summary="Withdraw serial numbers",
    responses=refusals(*WITH_BODY, InsufficientScope, NotFound, CatalogueConflict),
    **OPERATED,
)
async def withdraw(request: ApiRequest, data: JSONBody[WithdrawSerials]) -> Response[WithdrawalBody]:
    """Record that credits were reversed or invalidated: what is in stock of them is not sold any more.

    Retirements that hold some of them are answered, with the orders and beneficiaries that they concern.
    """
    if (data.serial_first is None) is not (data.serial_last is None):
        raise ValidationFailed.at("/serial_first", "goes with serial_last: give both or neither")
    serials = None
    if data.serial_first is not None and data.serial_last is not None:
        serials = (data.serial_first, data.serial_last)
    done = await withdraw_lot(
        request.services.pool,
        _lot_id(request),
        data.kind,
        data.reason,
        serials=serials,
        dry_run=data.dry_run,
        at=utc_now(),
        actor=request.actor,
    )
    await request.services.snapshots.refresh()
    return answer(withdrawal_body(done, dry_run=data.dry_run))


@get(
    "/operator/inventory",
    operation_id="getInventory",
    summary="Sum up the inventory",
    responses=refusals(InsufficientScope),
    **OPERATED,
)
async def get_inventory(request: ApiRequest) -> list[StockBody]:
    """Sum up live lots by project, vintage and state."""
    async with request.services.pool.acquire(timeout=5) as connection:
        return [stock_body(line) for line in await sum_stock(connection)]


async def _suspend(request: ApiRequest, reason: str | None) -> Response[LotState]:
    lot_id = _lot_id(request)
    changed = await suspend_lot(request.services.pool, lot_id, reason, at=utc_now(), actor=request.actor)
    await request.services.snapshots.refresh()
    return answer(LotState(str(lot_id), reason is not None, changed))


def _lot_id(request: ApiRequest) -> UUID:
    lot_id = read_id(request.path_params["id"])
    if lot_id is None:
        raise NotFound
    return lot_id
