"""Emission estimates on the wire: contract, section 10."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from tonne.application.error_body import ErrorBody
from tonne.domain.decimals import plain
from tonne.domain.errors import ValidationFailed
from tonne.domain.estimates import Estimate, Step
from tonne.domain.mass import MassUnit, readable_mass
from tonne.estimates.electricity import Consumption, EnergyUnit
from tonne.http.wire.common import (
    NO_NUL,
    Amount,
    BundleSelection,
    Id,
    IdempotencyKey,
    Metadata,
    QuantityTrunc,
    Time,
    Tonnes,
    read_decimal,
)
from tonne.http.wire.quotes import QuoteBody

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=200,
        extra_json_schema=NO_NUL,
        description="Your name for it.",
        examples=["Office, 2025"],
    ),
]


class ConsumptionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Electrical energy consumed."""

    amount: Amount
    unit: Annotated[EnergyUnit, Meta(description="Kilowatt-, megawatt- or gigawatt-hours.")]

    def to_consumption(self) -> Consumption:
        """Read the consumption.

        Raises:
            ValidationFailed: it is no decimal, or nothing at all.
        """
        amount = read_decimal(self.amount, "/consumption/amount")
        if amount == 0:
            raise ValidationFailed.at("/consumption/amount", "must be more than 0")
        return Consumption(amount, self.unit)


class CreateElectricityEstimate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Electricity to estimate the emissions of."""

    consumption: ConsumptionBody
    country_code: Annotated[
        str | None,
        Meta(
            description="Where it was consumed: ISO 3166-1 alpha-3. Without it the world average is used.",
            examples=["DEU"],
            extra_json_schema={"pattern": "^[A-Z]{3}$"},
        ),
    ] = None
    name: Name | None = None
    bundle_selection: BundleSelection | None = None
    quantity_trunc: QuantityTrunc | None = None
    metadata: Metadata | None = None
    idempotency_key: IdempotencyKey | None = None


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


class EstimateBody(msgspec.Struct, frozen=True):
    """An emission estimate. `quote` is the price of its mass now, or the error a quote would have been."""

    id: Id
    mass: EstimatedMass
    quote: QuoteOrError
    request: Annotated[dict[str, Any], Meta(description="What was asked.")]
    name: str | None
    metadata: dict[str, str] | None
    idempotency_key: str | None
    created_at: Time
    calculation: list[StepBody]


def estimate_body(estimate: Estimate, quote: QuoteBody | ErrorBody, created_at: str) -> EstimateBody:
    """Print an estimate with its quote."""
    mass = readable_mass(estimate.tonnes)
    return EstimateBody(
        id=str(estimate.estimate_id),
        mass=EstimatedMass(plain(mass.amount), mass.unit),
        quote=quote,
        request=dict(estimate.request),
        name=estimate.name,
        metadata=None if estimate.metadata is None else dict(estimate.metadata),
        idempotency_key=estimate.idempotency_key,
        created_at=created_at,
        calculation=[_step_body(step) for step in estimate.calculation],
    )


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
