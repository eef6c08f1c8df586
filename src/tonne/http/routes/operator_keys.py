"""API keys of every organisation, for operators; `tonne keys` does the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from litestar import Response, delete, get, post
from litestar.params import JSONBody

from tonne.application.identifiers import read_id, utc_now
from tonne.application.manage_keys import issue_key, revoke_key, rotate_key
from tonne.domain.errors import (
    IdInvalid,
    InsufficientScope,
    NotFound,
    PaginationLimitInvalid,
    ValidationFailed,
)
from tonne.http.answers import answer
from tonne.http.documentation import WITH_BODY, After, Limit, refusals
from tonne.http.guards import operators_only
from tonne.http.paging import first_page, read_cursor, read_limit
from tonne.http.request import ApiRequest
from tonne.storage.accounts import list_keys
from tonne.wire.keys import (
    CreateKey,
    DisabledKeyBody,
    KeyPage,
    NewKeyBody,
    RotatedKeyBody,
    RotateKey,
    key_body,
    new_key_body,
    rotated_key_body,
)

OPERATED: dict[str, Any] = {"tags": ["Operator: keys"], "guards": [operators_only]}


@post(
    "/operator/keys",
    status_code=200,
    operation_id="createKey",
    summary="Create a key",
    responses=refusals(*WITH_BODY, InsufficientScope),
    **OPERATED,
)
async def create_key(request: ApiRequest, data: JSONBody[CreateKey]) -> Response[NewKeyBody]:
    """Create a key of an account of your key's mode. The secret is answered this once."""
    account = await request.find_account(read_id(data.account_id))
    if account is None:
        raise ValidationFailed.at(
            "/account_id", f"there is no account {data.account_id!r} of this key's mode"
        )
    at = utc_now()
    new = await issue_key(request.services.pool, account, data.to_wishes(account), at=at, actor=request.actor)
    return answer(new_key_body(new, at=at))


@get(
    "/operator/keys",
    operation_id="listKeys",
    summary="List keys",
    responses=refusals(ValidationFailed, InsufficientScope, PaginationLimitInvalid, IdInvalid),
    **OPERATED,
)
async def list_all_keys(
    request: ApiRequest,
    limit: Limit = None,
    after: After = None,
) -> Response[KeyPage]:
    """List the keys of all organisations, of your key's mode, oldest first; the disabled ones too."""
    query = request.query("limit", "after")
    size, cursor = read_limit(query), read_cursor(query)
    await request.services.snapshots.refresh()
    accounts = request.services.snapshots.current.directory.accounts
    async with request.services.pool.acquire(timeout=5) as connection:
        # Their ids are ordered by time.
        rows = sorted(
            (row for row in await list_keys(connection) if row.key.mode is request.caller.key.mode),
            key=lambda row: row.key.key_id,
        )
    later = [row for row in rows if cursor is None or row.key.key_id > cursor]
    page, has_more = first_page(later[: size + 1], size)
    bodies = [key_body(row, accounts[row.key.account_id]) for row in page if row.key.account_id in accounts]
    return answer(KeyPage(bodies, has_more, str(page[-1].key.key_id) if has_more else None))


@post(
    "/operator/keys/{id:str}/rotate",
    status_code=200,
    operation_id="rotateKey",
    summary="Rotate a key",
    responses=refusals(*WITH_BODY, InsufficientScope, NotFound),
    **OPERATED,
)
async def rotate(request: ApiRequest, data: JSONBody[RotateKey]) -> Response[RotatedKeyBody]:
    """Make a new key like an old one, which works on for the overlap. The secret is answered this once."""
    at = utc_now()
    new, ends_at = await rotate_key(
        request.services.pool,
        _key_id(request),
        overlap=timedelta(hours=data.overlap_hours),
        at=at,
        actor=request.actor,
    )
    return answer(rotated_key_body(new, ends_at, at=at))


@delete(
    "/operator/keys/{id:str}",
    status_code=200,
    operation_id="disableKey",
    summary="Disable a key",
    responses=refusals(InsufficientScope, NotFound),
    **OPERATED,
)
async def disable(request: ApiRequest) -> Response[DisabledKeyBody]:
    """Disable a key for good: when this is answered, no process of the service lets it in any more."""
    key_id = _key_id(request)
    changed = await revoke_key(request.services.pool, key_id, at=utc_now(), actor=request.actor)
    return answer(DisabledKeyBody(str(key_id), changed))


def _key_id(request: ApiRequest) -> UUID:
    found = read_id(request.path_params["id"])
    if found is None:
        raise NotFound
    return found
