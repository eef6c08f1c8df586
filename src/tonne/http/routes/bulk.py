"""Orders in bulk: many in one request, each a row of its own."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from litestar import Response, post
from litestar.params import QueryParameter

from tonne.application.bulk_rows import BulkFormat, read_rows
from tonne.application.identifiers import utc_now
from tonne.application.order_in_bulk import RowResult, order_rows, quote_rows
from tonne.domain.accounts import Account
from tonne.http.answers import answer, encode
from tonne.http.documentation import WITH_BODY, refusals
from tonne.http.paging import read_flag
from tonne.http.request import ApiRequest
from tonne.wire.bulk import BulkBody, bulk_result, bulk_total

ROWS_MAX = 10_000
BYTES_MAX = 10_000_000
NDJSON = "application/x-ndjson"
FORMATS = {NDJSON: BulkFormat.NDJSON, "text/csv": BulkFormat.CSV}


@post(
    "/orders/bulk",
    status_code=200,
    tags=["Orders"],
    operation_id="orderInBulk",
    summary="Order in bulk",
    responses=refusals(*WITH_BODY),
    request_max_body_size=BYTES_MAX,
)
async def order_in_bulk(
    request: ApiRequest,
    dry_run: Annotated[
        str | None,
        QueryParameter(
            required=False,
            description="`true`: quote every row, and place nothing.",
            schema_extra={"type": "boolean"},
        ),
    ] = None,
) -> Response[BulkBody]:
    """Place up to 10,000 orders, each a row of NDJSON or CSV with its own `idempotency_key`.

    Rows are independent: one that is refused keeps no other from being placed. Sent again, the same rows place nothing
    twice: those placed before are answered `exists`. `Accept: application/x-ndjson` answers a result a line, and then the
    total. In CSV the names are columns: `metadata[key]`, `beneficiary`, `beneficiary_email`, `_country`,
    `_registration_number` and `_hidden_until`; `bundle_selection` is `id:percentage;id:percentage`, excluded countries and
    projects are separated by `;`.
    """
    is_dry = read_flag(request.query("dry_run"), "dry_run")
    content, media_type = await request.file(FORMATS, bytes_max=BYTES_MAX)
    rows = await asyncio.to_thread(read_rows, content, FORMATS[media_type], rows_max=ROWS_MAX)
    services, account = request.services, request.account

    # As it is when a row's turn comes: a large file takes a while.
    def catalogue() -> Any:
        return services.snapshots.current.catalogue

    if is_dry:
        outcomes = quote_rows(services.pool, rows, account=account, catalogue=catalogue, now=utc_now)
    else:
        outcomes = order_rows(
            services.desk, services.pool, rows, caller=request.caller, catalogue=catalogue, now=utc_now
        )
    results = [result async for result in outcomes]
    if NDJSON in request.headers.get("accept", ""):
        return Response(_lines(results, account), media_type=NDJSON)  # type: ignore[arg-type]
    told = [bulk_result(result, account) for result in results]
    return answer(BulkBody(is_dry, told, bulk_total(results, account)))


def _lines(results: list[RowResult], account: Account) -> bytes:
    lines = [encode(bulk_result(result, account)) for result in results]
    lines.append(encode({"total": bulk_total(results, account)}))
    return b"\n".join(lines) + b"\n"
