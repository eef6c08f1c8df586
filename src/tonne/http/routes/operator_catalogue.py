"""What the operator does to the catalogue over HTTP; `tonne catalogue apply` does the same with a file."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

from litestar import Response, get, patch, post, put
from litestar.params import JSONBody

from tonne.application.catalogue_entries import BundleEntry, PortfolioEntry, ProjectEntry
from tonne.application.catalogue_plan import Planned, Wanted, Wishes, selection_fields, with_price
from tonne.application.change_catalogue import change_catalogue
from tonne.application.identifiers import read_id, utc_now
from tonne.application.images import IMAGE_BYTES_MAX, upload_image
from tonne.application.import_rates import import_rates
from tonne.domain.catalogue import Bundle, Catalogue
from tonne.domain.errors import CatalogueConflict, InsufficientScope, NotFound
from tonne.http.answers import answer
from tonne.http.documentation import WITH_BODY, refusals
from tonne.http.guards import operators_only, refuse_test_keys
from tonne.http.request import ApiRequest
from tonne.wire.operator_catalogue import (
    Changed,
    ImageBody,
    PriceBody,
    RatesBody,
    SetDefaultSelection,
    SetPrice,
    SetRates,
    changed_bundle,
    changed_portfolio,
    changed_project,
    price_history,
)

TAGS = ["Operator: catalogue"]
CREATE: dict[str, Any] = {
    "status_code": 200,
    "tags": TAGS,
    "guards": [operators_only, refuse_test_keys],
    "responses": refusals(*WITH_BODY, InsufficientScope, CatalogueConflict),
}
CHANGE: dict[str, Any] = {
    "tags": TAGS,
    "guards": [operators_only, refuse_test_keys],
    "responses": refusals(*WITH_BODY, InsufficientScope, NotFound, CatalogueConflict),
}


@post("/operator/projects", operation_id="createProject", summary="Create a project", **CREATE)
async def create_project(request: ApiRequest, data: JSONBody[ProjectEntry]) -> Response[Changed]:
    """Create a project. Without a slug, one is made from its name."""
    return await _project(request, Wanted(data))


@put("/operator/projects/{id:str}", operation_id="putProject", summary="Replace a project", **CHANGE)
async def put_project(request: ApiRequest, data: JSONBody[ProjectEntry]) -> Response[Changed]:
    """Replace all that is said of a project: what is left out takes its default."""
    return await _project(request, Wanted(data, _id(request, "projects"), whole=True))


@patch("/operator/projects/{id:str}", operation_id="patchProject", summary="Change a project", **CHANGE)
async def patch_project(request: ApiRequest, data: JSONBody[ProjectEntry]) -> Response[Changed]:
    """Change what is said of a project: what is left out stays, null takes away. `disabled` takes it off sale."""
    return await _project(request, Wanted(data, _id(request, "projects")))


@post("/operator/bundles", operation_id="createBundle", summary="Create a bundle", **CREATE)
async def create_bundle(request: ApiRequest, data: JSONBody[BundleEntry]) -> Response[Changed]:
    """Create a bundle of projects with a price. Without an identifier, one is made from its name."""
    return await _bundle(request, Wanted(data))


@put("/operator/bundles/{id:str}", operation_id="putBundle", summary="Replace a bundle", **CHANGE)
async def put_bundle(request: ApiRequest, data: JSONBody[BundleEntry]) -> Response[Changed]:
    """Replace all that is said of a bundle: what is left out takes its default. Its currency stays."""
    return await _bundle(request, Wanted(data, _id(request, "bundles"), whole=True))


@patch("/operator/bundles/{id:str}", operation_id="patchBundle", summary="Change a bundle", **CHANGE)
async def patch_bundle(request: ApiRequest, data: JSONBody[BundleEntry]) -> Response[Changed]:
    """Change what is said of a bundle: what is left out stays, null takes away. A new price begins now."""
    return await _bundle(request, Wanted(data, _id(request, "bundles")))


@get(
    "/operator/bundles/{id:str}/prices",
    tags=TAGS,
    operation_id="listPrices",
    summary="List a bundle's prices",
    responses=refusals(InsufficientScope, NotFound),
    guards=[operators_only, refuse_test_keys],
)
async def list_prices(request: ApiRequest) -> list[PriceBody]:
    """List all prices a bundle has had and will have, oldest first."""
    await request.services.snapshots.refresh()
    return price_history(_find_bundle(request))


@post(
    "/operator/bundles/{id:str}/prices",
    status_code=200,
    operation_id="setPrice",
    summary="Set a bundle's price",
    **CHANGE,
)
async def set_price(request: ApiRequest, data: JSONBody[SetPrice]) -> Response[Changed]:
    """Set a price from now on or, with `valid_from`, from a time to come: it begins by itself.

    In the bundle's own currency it is the price that others are converted from; in another one it is a fixed price.
    """
    await request.services.snapshots.refresh()
    bundle_id = _find_bundle(request).bundle_id
    one_more = partial(
        with_price,
        bundle_id=bundle_id,
        currency=data.currency,
        price=data.price,
        valid_from=data.valid_from,
    )
    planned = await _change(request, one_more)
    return _changed_bundle(planned)


@post("/operator/portfolios", operation_id="createPortfolio", summary="Create a portfolio", **CREATE)
async def create_portfolio(request: ApiRequest, data: JSONBody[PortfolioEntry]) -> Response[Changed]:
    """Create a portfolio: a bundle selection that accounts take over by its name."""
    return await _portfolio(request, Wanted(data))


@put("/operator/portfolios/{id:str}", operation_id="putPortfolio", summary="Replace a portfolio", **CHANGE)
async def put_portfolio(request: ApiRequest, data: JSONBody[PortfolioEntry]) -> Response[Changed]:
    """Replace all that is said of a portfolio. Accounts that took it over buy the new selection from now on."""
    return await _portfolio(request, Wanted(data, _id(request, "portfolios"), whole=True))


@patch("/operator/portfolios/{id:str}", operation_id="patchPortfolio", summary="Change a portfolio", **CHANGE)
async def patch_portfolio(request: ApiRequest, data: JSONBody[PortfolioEntry]) -> Response[Changed]:
    """Change what is said of a portfolio: what is left out stays."""
    return await _portfolio(request, Wanted(data, _id(request, "portfolios")))


@put(
    "/operator/default-selection",
    tags=TAGS,
    operation_id="putDefaultSelection",
    summary="Set the default selection",
    responses=refusals(*WITH_BODY, InsufficientScope),
    guards=[operators_only, refuse_test_keys],
)
async def put_default_selection(
    request: ApiRequest, data: JSONBody[SetDefaultSelection]
) -> Response[Changed]:
    """Set what orders buy that name no selection, of accounts that have neither a selection nor a portfolio."""
    planned = await _change(request, Wishes(default_selection=data.selection))
    assert planned.default_selection is not None
    fields = {"selection": selection_fields(planned.default_selection, planned.all_bundles)}
    return answer(Changed("default_selection", bool(planned.differences), fields))


@post(
    "/operator/exchange-rates",
    status_code=200,
    tags=TAGS,
    operation_id="setExchangeRates",
    summary="Set exchange rates",
    responses=refusals(*WITH_BODY, InsufficientScope, CatalogueConflict),
    guards=[operators_only, refuse_test_keys],
)
async def set_exchange_rates(request: ApiRequest, data: JSONBody[SetRates]) -> Response[RatesBody]:
    """Store exchange rates, dated and with their source: all of them or none. Repeating it changes nothing."""
    done = await import_rates(
        request.services.pool, data.to_rates(), replace=data.replace, at=utc_now(), actor=request.actor
    )
    await request.services.snapshots.refresh()
    return answer(RatesBody(done.added, done.unchanged, done.replaced))


@post(
    "/operator/images",
    status_code=200,
    tags=TAGS,
    operation_id="uploadImage",
    summary="Upload a picture",
    responses=refusals(*WITH_BODY, InsufficientScope),
    guards=[operators_only, refuse_test_keys],
)
async def upload_picture(request: ApiRequest) -> Response[ImageBody]:
    """Upload a PNG, JPEG or WebP picture of up to 2 MB, as the body. It is written anew, and served to everyone."""
    data = await request.receive_bytes(IMAGE_BYTES_MAX)
    image = await upload_image(request.services.pool, data, at=utc_now(), actor=request.actor)
    return answer(ImageBody(request.services.links.base_url + image.path, image.media_type))


async def _project(request: ApiRequest, wanted: Wanted[ProjectEntry]) -> Response[Changed]:
    planned = await _change(request, Wishes(projects=[wanted]))
    [project] = planned.projects.values()
    return answer(changed_project(project, changed=bool(planned.differences)))


async def _bundle(request: ApiRequest, wanted: Wanted[BundleEntry]) -> Response[Changed]:
    return _changed_bundle(await _change(request, Wishes(bundles=[wanted])))


def _changed_bundle(planned: Planned) -> Response[Changed]:
    [bundle] = planned.bundles.values()
    changed = bool(planned.differences)
    return answer(changed_bundle(bundle, planned.all_projects, changed=changed, at=planned.at))


async def _portfolio(request: ApiRequest, wanted: Wanted[PortfolioEntry]) -> Response[Changed]:
    planned = await _change(request, Wishes(portfolios=[wanted]))
    [portfolio] = planned.portfolios.values()
    return answer(changed_portfolio(portfolio, planned.all_bundles, changed=bool(planned.differences)))


async def _change(request: ApiRequest, wishes: Wishes | Callable[[Catalogue, datetime], Wishes]) -> Planned:
    planned = await change_catalogue(request.services.pool, wishes, now=utc_now, actor=request.actor)
    # The next order here is decided as this answer says; other processes decide again what they decided before.
    await request.services.snapshots.refresh()
    return planned


def _id(request: ApiRequest, kind: str) -> UUID:
    found = read_id(request.path_params["id"])
    known: Any = getattr(request.services.snapshots.current.catalogue, kind)
    if found is None or found not in known:
        raise NotFound
    return found


def _find_bundle(request: ApiRequest) -> Bundle:
    return request.services.snapshots.current.catalogue.bundles[_id(request, "bundles")]
