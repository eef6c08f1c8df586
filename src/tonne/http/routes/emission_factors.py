"""Emission factors: which there are, to search and to estimate with."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from typing import Annotated

from litestar import Response, get
from litestar.params import QueryParameter

from tonne.application.find_factors import LogicalUnit, find_factors
from tonne.domain.errors import (
    IdInvalid,
    NotFound,
    PaginationLimitInvalid,
    ValidationFailed,
)
from tonne.domain.factors import Factor, FactorBook
from tonne.http.answers import answer
from tonne.http.documentation import Limit, refusals
from tonne.http.paging import read_limit
from tonne.http.request import ApiRequest
from tonne.http.routes.estimates import book_of
from tonne.wire.common import NO_NUL
from tonne.wire.estimates import (
    EmissionFactorBody,
    EmissionFactorPage,
    EmissionFactorRegions,
    factor_body,
)

TAGS = ["Emission factors"]
BY_ID_PATH = "/v1/emission-factors/by-id/"
_LISTED_MAX = 20
_NAME_LENGTH_MAX = 200
_YEAR_LENGTH = 4


def _parameter(description: str, **schema: object) -> QueryParameter:
    return QueryParameter(required=False, description=description, schema_extra=NO_NUL | schema)


@get(
    "/emission-factors",
    tags=TAGS,
    operation_id="listEmissionFactors",
    summary="List emission factors",
    responses=refusals(ValidationFailed, PaginationLimitInvalid, IdInvalid),
)
async def list_emission_factors(
    request: ApiRequest,
    limit: Limit = None,
    after: Annotated[str | None, _parameter("The `next_cursor` of the page before.")] = None,
    name: Annotated[str | None, _parameter("Words to search for; the best matches come first.")] = None,
    source: Annotated[
        str | None, _parameter("Sources, separated by commas: desnz, epa, epa-spend, owid …")
    ] = None,
    region: Annotated[
        str | None, _parameter("Regions, separated by commas: alpha-3 codes or names, in either case.")
    ] = None,
    publication_year: Annotated[str | None, _parameter("Years of publication, separated by commas.")] = None,
    unit: Annotated[
        str | None,
        _parameter("The unit that they count by, such as `t*km`, or what it measures: distance, currency …"),
    ] = None,
) -> Response[EmissionFactorPage]:
    """List emission factors by id, or by how well they match `name`.

    Of each activity only the newest is listed, unless `publication_year` asks for others.
    """
    query = request.query("limit", "after", "name", "source", "region", "publication_year", "unit")
    page_size = read_limit(query)
    unit_text = query.get("unit")
    is_logical = unit_text in list(LogicalUnit)
    if len(query.get("name", "")) > _NAME_LENGTH_MAX:
        raise ValidationFailed.at("name", f"takes at most {_NAME_LENGTH_MAX} characters")
    found = await asyncio.to_thread(
        find_factors,
        book_of(request),
        text=query.get("name"),
        sources=_listed(query, "source"),
        regions=_listed(query, "region"),
        years=_years(query),
        unit=None if is_logical else unit_text,
        logical_unit=LogicalUnit(unit_text) if unit_text is not None and is_logical else None,
    )
    first = _position_after(found, query, book_of(request))
    page = found[first : first + page_size]
    has_more = first + page_size < len(found)
    return answer(
        EmissionFactorPage(
            [factor_body(factor) for factor in page], has_more, page[-1].factor_id if has_more else None
        )
    )


@get(
    "/emission-factors/regions",
    tags=TAGS,
    operation_id="listEmissionFactorRegions",
    summary="List regions",
    responses=refusals(ValidationFailed),
)
async def list_emission_factor_regions(request: ApiRequest) -> EmissionFactorRegions:
    """List the regions that emission factors are for."""
    request.query()
    return EmissionFactorRegions(sorted({factor.region for factor in book_of(request).newest.values()}))


@get(
    "/emission-factors/by-id/{factor_id:path}",
    tags=TAGS,
    operation_id="getEmissionFactor",
    summary="Get an emission factor",
    responses=refusals(NotFound),
)
async def get_emission_factor(request: ApiRequest) -> EmissionFactorBody:
    """Get an emission factor of any edition by its id, as estimates name it."""
    found = book_of(request).by_id.get(request.scope["path"].removeprefix(BY_ID_PATH))
    if found is None:
        raise NotFound
    return factor_body(found)


def _listed(query: dict[str, str], name: str) -> tuple[str, ...]:
    listed = tuple(part.strip() for part in query.get(name, "").split(",") if part.strip())
    if len(listed) > _LISTED_MAX:
        raise ValidationFailed.at(name, f"takes at most {_LISTED_MAX} values")
    return listed


def _years(query: dict[str, str]) -> tuple[int, ...]:
    years = _listed(query, "publication_year")
    if not all(year.isascii() and year.isdigit() and len(year) == _YEAR_LENGTH for year in years):
        raise ValidationFailed.at("publication_year", "must be years of four digits, separated by commas")
    return tuple(int(year) for year in years)


def _position_after(found: list[Factor], query: dict[str, str], book: FactorBook) -> int:
    cursor = query.get("after")
    if cursor is None:
        return 0
    for position, factor in enumerate(found):
        if factor.factor_id == cursor:
            return position + 1
    if cursor in book.by_id and not query.get("name", "").strip():
        # A newer edition came while the list was walked: by id it goes on where the factor was.
        return bisect_left(found, cursor, key=lambda factor: factor.factor_id)
    raise IdInvalid("This cannot be a factor's id: pass the `next_cursor` of the page before.")
