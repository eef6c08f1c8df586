"""Bundles and projects on the wire: contract, section 10."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tonne.domain.accounts import Account
from tonne.domain.catalogue import Bundle, Catalogue, Project
from tonne.domain.decimals import plain
from tonne.wire.common import CurrencyCode, Id, UnitPrice


class ProjectSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A carbon project."""

    id: Id
    name: str
    short_name: str
    slug: str
    description: str
    project_type: str
    registry_name: Annotated[str, Meta(examples=["Verra", "Puro.earth"])]
    registry_link: str | None
    latitude: float | None
    longitude: float | None
    country_name: str
    country_code: Annotated[str, Meta(description="ISO 3166-1 alpha-3.", examples=["IDN"])]
    region: str | None
    logo: str | None
    primary_image: str | None
    thumbnail_image: str | None
    results: list[str]
    un_sdg: Annotated[list[int], Meta(description="UN Sustainable Development Goals.")]
    disabled: bool
    media: list[Any] | None
    crediting_start_date: str | None
    crediting_end_date: str | None
    registration_date: str | None
    protocol: str | None
    methodology: str | None
    durability: str | None
    additional_standards_met: list[str]
    verifying_body: str | None
    risk_of_reversal: str | None
    risk_of_predicted_emissions: str | None
    avg_annual_emission_reductions: Annotated[int | None, Meta(description="Tonnes of CO2e a year.")]


class BundleName(msgspec.Struct, frozen=True):
    """A bundle a project is sold in."""

    id: Id
    name: str


class ProjectBody(ProjectSummary, frozen=True, kw_only=True):
    """A carbon project with the bundles it is sold in."""

    bundles: list[BundleName]
    impact_summary: Any | None
    datasets: Any | None
    quality_assessment: Any | None
    links_and_news: Any | None
    carbon_credits: Any | None
    timeline: Any | None
    carbon_storage_over_time: Any | None


class BundleBody(msgspec.Struct, frozen=True):
    """Projects sold together at one price; prices are in the account's currency."""

    id: Id
    name: str
    unit_price: UnitPrice
    gross_unit_price: Annotated[UnitPrice, Meta(description="Commission included.")]
    currency: CurrencyCode
    background_colour: str | None
    primary_image: str | None
    large_image: str | None
    primary_image_hires: str | None
    small_thumbnail: str | None
    description: str
    disabled: bool
    available_quantity: Annotated[str | None, Meta(description="Tonnes in stock; null where not tracked.")]
    offset_type: Annotated[
        str | None, Meta(extra_json_schema={"enum": ["emissions_reduction", "carbon_removal", None]})
    ]
    approach: Annotated[str | None, Meta(extra_json_schema={"enum": ["traditional", "innovative", None]})]
    carbon_permanence: Annotated[
        str | None, Meta(extra_json_schema={"enum": ["long_term", "short_term", "no_storage", None]})
    ]
    projects: list[ProjectSummary]


class BundlePage(msgspec.Struct, frozen=True):
    """A page of bundles."""

    data: list[BundleBody]
    has_more: bool
    next_cursor: str | None


class ProjectPage(msgspec.Struct, frozen=True):
    """A page of projects."""

    data: list[ProjectSummary]
    has_more: bool
    next_cursor: str | None


def bundle_body(bundle: Bundle, account: Account, catalogue: Catalogue, *, at: datetime) -> BundleBody:
    """Print a bundle at the account's prices of a time.

    Raises:
        ExchangeRateNotFound: there is no rate for the account's currency.
    """
    offer = catalogue.offer(
        bundle, currency=account.currency, commission_rate=account.organisation.commission_rate, at=at
    )
    return BundleBody(
        id=str(bundle.bundle_id),
        name=bundle.name,
        unit_price=plain(offer.unit_price),
        gross_unit_price=plain(offer.gross_unit_price),
        currency=account.currency.code,
        background_colour=bundle.background_colour,
        primary_image=bundle.primary_image,
        large_image=bundle.large_image,
        primary_image_hires=bundle.primary_image_hires,
        small_thumbnail=bundle.small_thumbnail,
        description=bundle.description,
        disabled=bundle.disabled,
        available_quantity=None if bundle.available_tonnes is None else str(bundle.available_tonnes),
        offset_type=bundle.offset_type,
        approach=bundle.approach,
        carbon_permanence=bundle.carbon_permanence,
        projects=[project_summary(catalogue.projects[project_id]) for project_id in bundle.project_ids],
    )


def project_summary(project: Project) -> ProjectSummary:
    """Print a project for a list."""
    return ProjectSummary(**_facts(project))


def project_body(project: Project, bundles: Iterable[Bundle]) -> ProjectBody:
    """Print a project with those of the bundles that sell it."""
    sold_in = [
        BundleName(str(bundle.bundle_id), bundle.name)
        for bundle in bundles
        if project.project_id in bundle.project_ids
    ]
    return ProjectBody(
        **_facts(project),
        bundles=sold_in,
        impact_summary=None,
        datasets=None,
        quality_assessment=None,
        links_and_news=None,
        carbon_credits=None,
        timeline=None,
        carbon_storage_over_time=None,
    )


def _facts(project: Project) -> dict[str, Any]:
    return {
        "id": str(project.project_id),
        "name": project.name,
        "short_name": project.short_name,
        "slug": project.slug,
        "description": project.description,
        "project_type": project.project_type,
        "registry_name": project.registry_name,
        "registry_link": project.registry_link,
        "latitude": _degrees(project.latitude),
        "longitude": _degrees(project.longitude),
        "country_name": project.country_name,
        "country_code": project.country_code,
        "region": project.region,
        "logo": project.logo,
        "primary_image": project.primary_image,
        "thumbnail_image": project.thumbnail_image,
        "results": list(project.results),
        "un_sdg": list(project.un_sdg),
        "disabled": project.disabled,
        "media": None if project.media is None else list(project.media),
        "crediting_start_date": _date(project.crediting_start_date),
        "crediting_end_date": _date(project.crediting_end_date),
        "registration_date": _date(project.registration_date),
        "protocol": project.protocol,
        "methodology": project.methodology,
        "durability": project.durability,
        "additional_standards_met": list(project.additional_standards_met),
        "verifying_body": project.verifying_body,
        "risk_of_reversal": project.risk_of_reversal,
        "risk_of_predicted_emissions": project.risk_of_predicted_emissions,
        "avg_annual_emission_reductions": project.avg_annual_emission_reductions,
    }


def _degrees(value: Decimal | None) -> float | None:
    # A place on a map, not money or mass: the wire has it as a number.
    return None if value is None else float(value)


def _date(value: date | None) -> str | None:
    return None if value is None else value.isoformat()
