"""Reading the audit log."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get
from litestar.params import QueryParameter

from tonne.domain.errors import IdInvalid, InsufficientScope, PaginationLimitInvalid, ValidationFailed
from tonne.http.answers import answer
from tonne.http.documentation import Limit, refusals
from tonne.http.guards import operators_only, refuse_test_keys
from tonne.http.paging import first_page, read_limit
from tonne.http.request import ApiRequest
from tonne.storage.audit import list_entries
from tonne.wire.audit import AuditPage, audit_cursor, audit_entry_body, read_audit_cursor
from tonne.wire.common import NO_NUL, read_time


def _text(description: str) -> QueryParameter:
    return QueryParameter(required=False, description=description, schema_extra=NO_NUL)


@get(
    "/operator/audit",
    tags=["Operator"],
    operation_id="listAuditEntries",
    summary="List changes",
    responses=refusals(ValidationFailed, PaginationLimitInvalid, IdInvalid, InsufficientScope),
    guards=[operators_only, refuse_test_keys],
)
async def list_audit_entries(
    request: ApiRequest,
    limit: Limit = None,
    after: Annotated[str | None, _text("The `next_cursor` of the page before.")] = None,
    object_id: Annotated[str | None, _text("Changes of the object with this id.")] = None,
    object_type: Annotated[str | None, _text("Changes of objects of this type, such as `account`.")] = None,
    actor: Annotated[
        str | None, _text("Changes by these: a part of a key's id or of a user's name, or `service`.")
    ] = None,
    since: Annotated[
        str | None,
        QueryParameter(
            required=False, description="Changes of then or later.", schema_extra={"format": "date-time"}
        ),
    ] = None,
) -> Response[AuditPage]:
    """List who changed what, of every organisation and the platform, live and test alike, newest first."""
    query = request.query("limit", "after", "object_id", "object_type", "actor", "since")
    page_size = read_limit(query)
    cursor = read_audit_cursor(query.get("after"))
    moment = read_time(query["since"], "since") if "since" in query else None
    async with request.services.pool.acquire(timeout=5) as connection:
        found = await list_entries(
            connection,
            object_id=query.get("object_id"),
            object_type=query.get("object_type"),
            actor=query.get("actor"),
            since=moment,
            after=cursor,
            limit=page_size + 1,
        )
    entries, has_more = first_page(found, page_size)
    page = AuditPage(
        [audit_entry_body(entry) for entry in entries],
        has_more=has_more,
        next_cursor=audit_cursor(entries[-1]) if has_more else None,
    )
    return answer(page)
