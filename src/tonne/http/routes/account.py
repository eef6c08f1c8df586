"""The account that is calling, and its bundle selection."""

from __future__ import annotations

from litestar import get, put
from litestar.params import JSONBody

from tonne.application.identifiers import utc_now
from tonne.application.select_bundles import select_bundles
from tonne.domain.errors import (
    BundleSelectionBundleInvalid,
    BundleSelectionRatiosInvalid,
    BundleSelectionRatiosInvalidFormat,
)
from tonne.http.documentation import WITH_BODY, refusals
from tonne.http.request import ApiRequest
from tonne.storage.accounts import find_selection
from tonne.wire.accounts import AccountBody, account_body
from tonne.wire.common import BundleSelection, ChoiceBody, choice_body, read_selection

TAGS = ["Account"]


@get(
    "/accounts/me",
    tags=TAGS,
    operation_id="getOwnAccount",
    summary="Get your account",
    responses=refusals(),
)
async def get_own_account(request: ApiRequest) -> AccountBody:
    """Get the account that the key acts for."""
    return account_body(request.account)


@get(
    "/bundle-selections",
    tags=TAGS,
    operation_id="getBundleSelection",
    summary="Get the bundle selection",
    responses=refusals(),
)
async def get_bundle_selection(request: ApiRequest) -> list[ChoiceBody]:
    """Get the selection that orders use when they name none: the account's own, else the platform's default."""
    async with request.services.pool.acquire(timeout=5) as connection:
        own = await find_selection(connection, request.account)
    return [choice_body(choice) for choice in own or request.catalogue.default_selection]


@put(
    "/bundle-selections",
    tags=TAGS,
    operation_id="putBundleSelection",
    summary="Set the bundle selection",
    responses=refusals(
        *WITH_BODY,
        BundleSelectionBundleInvalid,
        BundleSelectionRatiosInvalid,
        BundleSelectionRatiosInvalidFormat,
    ),
)
async def put_bundle_selection(request: ApiRequest, data: JSONBody[BundleSelection]) -> list[ChoiceBody]:
    """Set the account's own selection; orders that name none will use it."""
    selection = read_selection(data, pointer="")
    assert selection is not None
    await select_bundles(
        request.services.pool,
        request.account,
        selection,
        catalogue=request.catalogue,
        at=utc_now(),
        actor=request.actor,
    )
    # The next order here buys what this answer says; other processes hear of it within milliseconds.
    await request.services.snapshots.refresh()
    return [choice_body(choice) for choice in selection]
