"""Bundles and projects."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Annotated, TypeVar
from uuid import UUID

from litestar import get
from litestar.params import QueryParameter

from tonne.application.identifiers import read_id, utc_now
from tonne.domain.catalogue import Bundle, Project
from tonne.domain.errors import (
    BundleIdInvalid,
    ExchangeRateNotFound,
    IdInvalid,
    NotFound,
    PaginationLimitInvalid,
    ValidationFailed,
)
from tonne.http.documentation import After, Limit, refusals
from tonne.http.paging import first_page, read_cursor, read_flag, read_limit
from tonne.http.request import ApiRequest
from tonne.wire.catalogue import (
    BundleBody,
    BundlePage,
    ProjectBody,
    ProjectPage,
    bundle_body,
    project_body,
    project_summary,
)

TAGS = ["Catalogue"]
RECENT = timedelta(days=30)

RecentlyDisabled = Annotated[
    str | None,
    QueryParameter(
        name="recently_disabled",
        required=False,
        description="`true` lists those disabled in the last 30 days too.",
        schema_extra={"enum": ["true", "false"]},
    ),
]
Listed = TypeVar("Listed", Bundle, Project)


@get(
    "/bundles",
    tags=TAGS,
    operation_id="listBundles",
    summary="List bundles",
    responses=refusals(ValidationFailed, PaginationLimitInvalid, BundleIdInvalid, ExchangeRateNotFound),
)
async def list_bundles(
    request: ApiRequest, limit: Limit = None, after: After = None, recently_disabled: RecentlyDisabled = None
) -> BundlePage:
    """List the bundles on sale, oldest first, at the account's prices."""
    query = request.query("limit", "after", "recently_disabled")
    page_size = read_limit(query)
    cursor = read_cursor(query, BundleIdInvalid)
    listed = _listed(
        request.catalogue.bundles.values(), recently_disabled=read_flag(query, "recently_disabled")
    )
    at = utc_now()
    bundles, has_more = first_page([b for b in listed if cursor is None or b.bundle_id > cursor], page_size)
    return BundlePage(
        [bundle_body(bundle, request.account, request.catalogue, at=at) for bundle in bundles],
        has_more=has_more,
        next_cursor=str(bundles[-1].bundle_id) if has_more else None,
    )


@get(
    "/bundles/{id:str}",
    tags=TAGS,
    operation_id="getBundle",
    summary="Get a bundle",
    responses=refusals(NotFound, ExchangeRateNotFound),
)
async def get_bundle(request: ApiRequest) -> BundleBody:
    """Get a bundle by its id, disabled or not."""
    bundle = request.catalogue.bundles.get(_path_id(request))
    if bundle is None:
        raise NotFound
    return bundle_body(bundle, request.account, request.catalogue, at=utc_now())


@get(
    "/projects",
    tags=TAGS,
    operation_id="listProjects",
    summary="List projects",
    responses=refusals(ValidationFailed, PaginationLimitInvalid, IdInvalid),
)
async def list_projects(
    request: ApiRequest, limit: Limit = None, after: After = None, recently_disabled: RecentlyDisabled = None
) -> ProjectPage:
    """List projects, oldest first."""
    query = request.query("limit", "after", "recently_disabled")
    page_size = read_limit(query)
    cursor = read_cursor(query)
    listed = _listed(
        request.catalogue.projects.values(), recently_disabled=read_flag(query, "recently_disabled")
    )
    projects, has_more = first_page([p for p in listed if cursor is None or p.project_id > cursor], page_size)
    return ProjectPage(
        [project_summary(project) for project in projects],
        has_more=has_more,
        next_cursor=str(projects[-1].project_id) if has_more else None,
    )


@get(
    "/projects/{id:str}",
    tags=TAGS,
    operation_id="getProject",
    summary="Get a project",
    responses=refusals(NotFound),
)
async def get_project(request: ApiRequest) -> ProjectBody:
    """Get a project by its id, disabled or not."""
    project = request.catalogue.projects.get(_path_id(request))
    if project is None:
        raise NotFound
    return project_body(project, request.catalogue.bundles.values())


@get(
    "/projects/by-slug/{slug:str}",
    tags=TAGS,
    operation_id="getProjectBySlug",
    summary="Get a project by its slug",
    responses=refusals(NotFound),
)
async def get_project_by_slug(request: ApiRequest) -> ProjectBody:
    """Get a project by the name it has in addresses."""
    slug = request.path_params["slug"]
    for project in request.catalogue.projects.values():
        if project.slug == slug:
            return project_body(project, request.catalogue.bundles.values())
    raise NotFound


def _path_id(request: ApiRequest) -> UUID:
    found = read_id(request.path_params["id"])
    if found is None:
        raise NotFound
    return found


def _listed(objects: Iterable[Listed], *, recently_disabled: bool) -> list[Listed]:
    since = utc_now() - RECENT
    return [found for found in objects if _is_listed(found.disabled_at, since, recently_disabled)]


def _is_listed(disabled_at: datetime | None, since: datetime, recently_disabled: bool) -> bool:  # noqa: FBT001
    return disabled_at is None or (recently_disabled and disabled_at >= since)
