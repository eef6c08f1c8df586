"""An organisation's accounts and client accounts: open them, list them, change them, give them a logo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar import Response, delete, get, patch, post, put
from litestar.params import JSONBody

from tonne.application.identifiers import read_id, utc_now
from tonne.application.images import IMAGE_BYTES_MAX
from tonne.application.manage_accounts import change_account, open_client, open_pair, set_logo
from tonne.domain.accounts import Account, AccountScope, Mode
from tonne.domain.errors import (
    AccountIdempotencyAlreadyExists,
    AccountSuspended,
    HandleTaken,
    IdInvalid,
    NotFound,
    PaginationLimitInvalid,
    ValidationFailed,
)
from tonne.http.answers import answer
from tonne.http.documentation import WITH_BODY, After, Limit, refusals
from tonne.http.paging import first_page, read_cursor, read_limit
from tonne.http.request import ApiRequest
from tonne.wire.accounts import (
    AccountBody,
    AccountPage,
    ChangeAccount,
    ClientAccountBody,
    ClientAccountPage,
    CreateAccount,
    CreateClientAccount,
    PairBody,
    ReplaceAccount,
    account_body,
    client_account_body,
)

TAGS = ["Account"]
LISTED: dict[str, Any] = {
    "tags": TAGS,
    "responses": refusals(ValidationFailed, PaginationLimitInvalid, IdInvalid),
}
FOUND: dict[str, Any] = {"tags": TAGS, "responses": refusals(NotFound)}
CHANGED: dict[str, Any] = {"tags": TAGS, "responses": refusals(*WITH_BODY, NotFound, HandleTaken)}
OWN_CHANGED: dict[str, Any] = {"tags": TAGS, "responses": refusals(*WITH_BODY, HandleTaken)}


@get("/accounts", operation_id="listAccounts", summary="List accounts", **LISTED)
async def list_accounts(request: ApiRequest, limit: Limit = None, after: After = None) -> AccountPage:
    """List your organisation's accounts of the key's mode, oldest first."""
    found, has_more = _page(request, AccountScope.ACCOUNT)
    last = str(found[-1].account_id) if has_more else None
    return AccountPage([account_body(account) for account in found], has_more, last)


@post(
    "/accounts",
    status_code=200,
    tags=TAGS,
    operation_id="createAccount",
    summary="Open an account",
    responses=refusals(*WITH_BODY, AccountSuspended, HandleTaken),
)
async def create_account(request: ApiRequest, data: JSONBody[CreateAccount]) -> Response[PairBody]:
    """Open an account in your organisation: a live one and its test sibling. It is billed as the key's account is."""
    pair = await open_pair(
        request.services.pool, request.account, data.to_wishes(), at=utc_now(), actor=request.actor
    )
    await request.services.snapshots.refresh()
    return answer(PairBody(account_body(pair[Mode.LIVE]), account_body(pair[Mode.TEST])))


@put("/accounts/me", operation_id="putOwnAccount", summary="Replace your account", **OWN_CHANGED)
async def put_own_account(request: ApiRequest, data: JSONBody[ReplaceAccount]) -> Response[AccountBody]:
    """Replace what the account that the key acts for says of itself. Its sibling stays as it is."""
    return answer(account_body(await _change(request, request.account, data.to_changes())))


@patch("/accounts/me", operation_id="patchOwnAccount", summary="Change your account", **OWN_CHANGED)
async def patch_own_account(request: ApiRequest, data: JSONBody[ChangeAccount]) -> Response[AccountBody]:
    """Change what the account that the key acts for says of itself. Its sibling stays as it is."""
    return answer(account_body(await _change(request, request.account, data.to_changes())))


@get("/accounts/{id:str}", operation_id="getAccount", summary="Get an account", **FOUND)
async def get_account(request: ApiRequest) -> AccountBody:
    """Get an account of your organisation and the key's mode."""
    return account_body(_find(request, AccountScope.ACCOUNT))


@put("/accounts/{id:str}", operation_id="putAccount", summary="Replace an account", **CHANGED)
async def put_account(request: ApiRequest, data: JSONBody[ReplaceAccount]) -> Response[AccountBody]:
    """Replace what an account says of itself: what is left out is taken away. Its currency can't change."""
    account = _find(request, AccountScope.ACCOUNT)
    return answer(account_body(await _change(request, account, data.to_changes())))


@patch("/accounts/{id:str}", operation_id="patchAccount", summary="Change an account", **CHANGED)
async def patch_account(request: ApiRequest, data: JSONBody[ChangeAccount]) -> Response[AccountBody]:
    """Change what an account says of itself: what is left out stays, null takes away."""
    account = _find(request, AccountScope.ACCOUNT)
    return answer(account_body(await _change(request, account, data.to_changes())))


@get("/accounts/client", operation_id="listClientAccounts", summary="List client accounts", **LISTED)
async def list_client_accounts(
    request: ApiRequest, limit: Limit = None, after: After = None
) -> ClientAccountPage:
    """List the accounts that you opened for customers of yours, of the key's mode, oldest first."""
    found, has_more = _page(request, AccountScope.CLIENT_ACCOUNT)
    last = str(found[-1].account_id) if has_more else None
    return ClientAccountPage([client_account_body(account) for account in found], has_more, last)


@post(
    "/accounts/client",
    status_code=200,
    tags=TAGS,
    operation_id="createClientAccount",
    summary="Open a client account",
    responses=refusals(*WITH_BODY, AccountSuspended, HandleTaken, AccountIdempotencyAlreadyExists),
)
async def create_client_account(
    request: ApiRequest, data: JSONBody[CreateClientAccount]
) -> Response[ClientAccountBody]:
    """Open an account for a customer of yours. Name it in `Lune-Account` to order for it."""
    account = await open_client(
        request.services.pool, request.account, data.to_wishes(), at=utc_now(), actor=request.actor
    )
    await request.services.snapshots.refresh()
    return answer(client_account_body(account))


@get("/accounts/client/me", operation_id="getOwnClientAccount", summary="Get the client account", **FOUND)
async def get_own_client_account(request: ApiRequest) -> ClientAccountBody:
    """Get the client account that `Lune-Account` names."""
    return client_account_body(_own_client(request))


@put(
    "/accounts/client/me", operation_id="putOwnClientAccount", summary="Replace the client account", **CHANGED
)
async def put_own_client_account(
    request: ApiRequest, data: JSONBody[ReplaceAccount]
) -> Response[ClientAccountBody]:
    """Replace what the client account that `Lune-Account` names says of itself."""
    return answer(client_account_body(await _change(request, _own_client(request), data.to_changes())))


@patch(
    "/accounts/client/me",
    operation_id="patchOwnClientAccount",
    summary="Change the client account",
    **CHANGED,
)
async def patch_own_client_account(
    request: ApiRequest, data: JSONBody[ChangeAccount]
) -> Response[ClientAccountBody]:
    """Change what the client account that `Lune-Account` names says of itself."""
    return answer(client_account_body(await _change(request, _own_client(request), data.to_changes())))


@get("/accounts/client/{id:str}", operation_id="getClientAccount", summary="Get a client account", **FOUND)
async def get_client_account(request: ApiRequest) -> ClientAccountBody:
    """Get a client account of your organisation and the key's mode."""
    return client_account_body(_find(request, AccountScope.CLIENT_ACCOUNT))


@put(
    "/accounts/client/{id:str}",
    operation_id="putClientAccount",
    summary="Replace a client account",
    **CHANGED,
)
async def put_client_account(
    request: ApiRequest, data: JSONBody[ReplaceAccount]
) -> Response[ClientAccountBody]:
    """Replace what a client account says of itself: what is left out is taken away."""
    account = _find(request, AccountScope.CLIENT_ACCOUNT)
    return answer(client_account_body(await _change(request, account, data.to_changes())))


@patch(
    "/accounts/client/{id:str}",
    operation_id="patchClientAccount",
    summary="Change a client account",
    **CHANGED,
)
async def patch_client_account(
    request: ApiRequest, data: JSONBody[ChangeAccount]
) -> Response[ClientAccountBody]:
    """Change what a client account says of itself: what is left out stays, null takes away."""
    account = _find(request, AccountScope.CLIENT_ACCOUNT)
    return answer(client_account_body(await _change(request, account, data.to_changes())))


@put(
    "/accounts/me/logo",
    tags=TAGS,
    operation_id="putLogo",
    summary="Upload a logo",
    responses=refusals(*WITH_BODY),
)
async def put_logo(request: ApiRequest) -> Response[AccountBody]:
    """Give the account that the key acts for a logo: PNG, JPEG or SVG of up to 2 MB, as the body.

    It stands on certificates that are made from now on; those handed out stay as they are.
    """
    data = await request.receive_bytes(IMAGE_BYTES_MAX)
    return answer(account_body(await _set_logo(request, data)))


@delete(
    "/accounts/me/logo",
    status_code=200,
    tags=TAGS,
    operation_id="deleteLogo",
    summary="Remove the logo",
    responses=refusals(),
)
async def delete_logo(request: ApiRequest) -> Response[AccountBody]:
    """Take the logo off the account that the key acts for."""
    return answer(account_body(await _set_logo(request, None)))


async def _set_logo(request: ApiRequest, data: bytes | None) -> Account:
    account = await set_logo(
        request.services.pool,
        request.account,
        data,
        base_url=request.services.links.base_url,
        at=utc_now(),
        actor=request.actor,
    )
    await request.services.snapshots.refresh()
    return account


async def _change(request: ApiRequest, account: Account, changes: Mapping[str, str | None]) -> Account:
    changed = await change_account(request.services.pool, account, changes, at=utc_now(), actor=request.actor)
    # The next order here is for whom this answer says; other processes decide again what they decided before.
    await request.services.snapshots.refresh()
    return changed


def _page(request: ApiRequest, scope: AccountScope) -> tuple[list[Account], bool]:
    query = request.query("limit", "after")
    limit, cursor = read_limit(query), read_cursor(query)
    own = sorted(
        (account for account in _all(request) if account.scope is scope),
        key=lambda account: account.account_id,
    )
    found, has_more = first_page([a for a in own if cursor is None or a.account_id > cursor], limit)
    return list(found), has_more


def _find(request: ApiRequest, scope: AccountScope) -> Account:
    account_id = read_id(request.path_params["id"])
    for account in _all(request):
        if account.account_id == account_id and account.scope is scope:
            return account
    raise NotFound


def _own_client(request: ApiRequest) -> Account:
    if request.account.scope is not AccountScope.CLIENT_ACCOUNT:
        raise NotFound("Name a client account in the header Lune-Account.")
    return request.account


def _all(request: ApiRequest) -> list[Account]:
    key = request.caller.key
    accounts = request.services.snapshots.current.directory.accounts.values()
    return [
        account
        for account in accounts
        if account.organisation_id == key.organisation_id and account.mode is key.mode
    ]
