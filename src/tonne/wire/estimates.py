"""Emission estimates on the wire: contract, section 10."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tonne.application.calculate import factor_facts
from tonne.application.error_body import ErrorBody
from tonne.domain.decimals import plain
from tonne.domain.estimates import Estimate, EstimateKind, Step
from tonne.domain.factors import Factor
from tonne.domain.mass import MassUnit, readable_mass
from tonne.domain.times import format_time
from tonne.wire.common import Id, Time, Tonnes
from tonne.wire.quotes import QuoteBody


class EstimatedMass(msgspec.Struct, frozen=True):
    """The estimated mass, exact, in the unit that reads best."""

    amount: Tonnes
    unit: MassUnit


class StepBody(msgspec.Struct, frozen=True):
    """One step of the calculation, so that the mass can be checked by hand."""

    description: str
    inputs: dict[str, str]
    result: str
    factor_id: str | None
    factor_value: str | None
    factor_unit: str | None
    source: str | None


# One or the other, told apart by the error's `error`: a schema for readers, since msgspec writes both anyway.
QuoteOrError = Annotated[
    Any,
    Meta(
        description="The price of the mass now, or the error a quote would have been.",
        extra_json_schema={
            "anyOf": [{"$ref": "#/components/schemas/QuoteBody"}, {"$ref": "#/components/schemas/ErrorBody"}]
        },
    ),
]


class DistanceBody(msgspec.Struct, frozen=True):
    """How far it is."""

    amount: Annotated[str, Meta(examples=["5554.517"])]
    unit: Annotated[str, Meta(description="Kilometres.", examples=["km"])]


class LegBody(msgspec.Struct, frozen=True):
    """A part of a journey or a shipment."""

    mass: EstimatedMass
    distance: DistanceBody | None


class EmissionFactorBody(msgspec.Struct, frozen=True):
    """An emission factor: kilograms of CO2e for a unit of an activity, and who says so."""

    id: Annotated[str, Meta(examples=["desnz-2025/27_315_3151_14_1"])]
    name: str
    source: Annotated[str, Meta(examples=["desnz"])]
    source_version: Annotated[str, Meta(description="The edition.", examples=["desnz-2025"])]
    publication_year: int
    numerator_unit: Annotated[str, Meta(examples=["kg"])]
    denominator_unit: Annotated[str, Meta(description="What it counts by.", examples=["t*km"])]
    value: Annotated[str, Meta(description="Kilograms of CO2e for one unit.", examples=["0.02779"])]
    region: Annotated[
        str, Meta(description="ISO 3166-1 alpha-3, or a wider or narrower region.", examples=["GBR"])
    ]
    price_year: Annotated[
        int | None, Meta(description="The year of the money that a factor for spending counts in.")
    ]
    attribution: str
    licence: str
    url: str
    created_at: Annotated[
        Time | None, Meta(description="When its edition was loaded; null for those that come with Tonne.")
    ]


class EmissionFactorPage(msgspec.Struct, frozen=True):
    """A page of emission factors, the best matches first."""

    data: list[EmissionFactorBody]
    has_more: bool
    next_cursor: str | None


class EmissionFactorRegions(msgspec.Struct, frozen=True):
    """The regions that emission factors are for."""

    regions: list[str]


class EstimateBody(msgspec.Struct, frozen=True):
    """An emission estimate. `quote` is the price of its mass now, or the error a quote would have been."""

    id: Id
    kind: EstimateKind
    mass: EstimatedMass
    quote: QuoteOrError
    request: Annotated[dict[str, Any], Meta(description="What was asked.")]
    name: str | None
    metadata: dict[str, str] | None
    idempotency_key: str | None
    created_at: Time
    changed_at: Annotated[Time | None, Meta(description="When it was last replaced by PUT.")]
    is_shipment: Annotated[bool | None, Meta(description="Of shipping: as the request said, else false.")]
    distance: Annotated[DistanceBody | None, Meta(description="Of travel and freight: all legs together.")]
    legs: Annotated[list[LegBody] | None, Meta(description="Of several legs: each of them, in order.")]
    emission_factor: Annotated[
        EmissionFactorBody | None, Meta(description="The one factor that decides it, where there is one.")
    ]
    search_term_match: Annotated[str | None, Meta(description="What a search term was taken for.")]
    calculation: list[StepBody]


class EstimatePage(msgspec.Struct, frozen=True):
    """A page of estimates, the newest first."""

    data: list[EstimateBody]
    has_more: bool
    next_cursor: str | None


def estimate_body(estimate: Estimate, quote: QuoteBody | ErrorBody) -> EstimateBody:
    """Print an estimate with its quote."""
    mass = readable_mass(estimate.tonnes)
    told = estimate.outcome
    is_shipping = estimate.kind in (EstimateKind.SHIPPING, EstimateKind.MULTI_LEG_SHIPPING)
    return EstimateBody(
        id=str(estimate.estimate_id),
        kind=estimate.kind,
        mass=EstimatedMass(plain(mass.amount), mass.unit),
        quote=quote,
        request=dict(estimate.request),
        name=estimate.name,
        metadata=None if estimate.metadata is None else dict(estimate.metadata),
        idempotency_key=estimate.idempotency_key,
        created_at=format_time(estimate.created_at),
        changed_at=None if estimate.changed_at is None else format_time(estimate.changed_at),
        is_shipment=bool(estimate.request.get("is_shipment")) if is_shipping else None,
        distance=_told(told, "distance", DistanceBody),
        legs=_told(told, "legs", list[LegBody]),
        emission_factor=_told(told, "emission_factor", EmissionFactorBody),
        search_term_match=told.get("search_term_match"),
        calculation=[_step_body(step) for step in estimate.calculation],
    )


def factor_body(factor: Factor) -> EmissionFactorBody:
    """Print an emission factor."""
    return msgspec.convert(factor_facts(factor), EmissionFactorBody)


def _told(told: Mapping[str, Any], name: str, kind: Any) -> Any:
    return msgspec.convert(told[name], kind) if name in told else None


def _step_body(step: Step) -> StepBody:
    inputs: Mapping[str, str] = step.inputs
    return StepBody(
        description=step.description,
        inputs=dict(inputs),
        result=step.result,
        factor_id=step.factor_id,
        factor_value=step.factor_value,
        factor_unit=step.factor_unit,
        source=step.source,
    )
