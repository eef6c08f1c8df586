"""Emission estimates: a mass, how it was found, and what it was found from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any
from uuid import UUID

from tonne.domain.decimals import from_units, plain, round_half_up
from tonne.domain.errors import ValidationFailed
from tonne.domain.factors import Factor
from tonne.domain.mass import QUANTITY_GRAMS_MAX, MassUnit
from tonne.domain.selection import Choice

_MILLIGRAM_DIGITS = 3
_SHOWN_DIGITS, _SHOWN_DIGITS_MAX = 6, 60


class EstimateKind(StrEnum):
    """What is estimated."""

    ELECTRICITY = "electricity"
    FLIGHT = "flight"
    PASSENGER_TRANSPORTATION = "passenger_transportation"
    SHIPPING = "shipping"
    MULTI_LEG_SHIPPING = "multi_leg_shipping"
    TRANSACTION = "transaction"
    EMISSION_FACTOR = "emission_factor"
    DECLARED = "declared"

    @property
    def path(self) -> str:
        """Its address below `/v1/estimates`."""
        return _PATHS.get(self, self.value.replace("_", "-"))


_PATHS = {
    EstimateKind.MULTI_LEG_SHIPPING: "shipping/multi-leg",
    EstimateKind.TRANSACTION: "transactions",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a calculation, so that a mass can be checked by hand."""

    description: str
    inputs: Mapping[str, str]
    result: str
    factor_id: str | None = None
    factor_value: str | None = None
    factor_unit: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """A part of a journey: its own mass in grams, and how far it goes where that is known."""

    grams: Decimal
    distance_km: Decimal | None


@dataclass(frozen=True, slots=True)
class Calculation:
    """What a calculator found: whole grams (milligrams below one), and the steps that lead to them.

    `factor` is the one factor that decides it, where there is one; `found_by` what a search term was taken for.
    """

    grams: Decimal
    steps: tuple[Step, ...]
    legs: tuple[Leg, ...] | None = None
    distance_km: Decimal | None = None
    factor: Factor | None = None
    found_by: str | None = None


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate as stored. `request` is what the caller sent; `tonnes` is exact to the milligram.

    `outcome` holds what a kind tells beyond its mass, as it is printed: legs, distance, emission factor.
    """

    organisation_id: UUID
    account_id: UUID
    estimate_id: UUID
    kind: EstimateKind
    tonnes: Decimal
    request: Mapping[str, Any]
    calculation: tuple[Step, ...]
    precision: MassUnit
    created_at: datetime
    selection: tuple[Choice, ...] | None = None
    name: str | None = None
    metadata: Mapping[str, str] | None = None
    idempotency_key: str | None = None
    outcome: Mapping[str, Any] = field(default_factory=dict)
    changed_at: datetime | None = None


def grams_from(exact_grams: Fraction, pointer: str) -> Decimal:
    """Round half up to the gram; below a gram to the milligram.

    Raises:
        ValidationFailed: it is over 10^9 tonnes.
    """
    refuse_too_much(exact_grams, pointer)
    digits = 0 if exact_grams >= 1 else _MILLIGRAM_DIGITS
    return from_units(round_half_up(exact_grams, digits), digits)


def refuse_too_much(grams: Fraction, pointer: str) -> None:
    """Refuse a mass that must be a mistake.

    Raises:
        ValidationFailed: it is over 10^9 tonnes, more than mankind emits in a week.
    """
    if grams > QUANTITY_GRAMS_MAX:
        raise ValidationFailed.at(
            pointer, "emissions must come out at 1000000000 tonnes or less; check the units"
        )


def factor_grams(factor: Factor, quantity: Fraction) -> Fraction:
    """Exact grams of CO2e of a quantity in the factor's unit."""
    return quantity * Fraction(factor.kg_co2e) * 1000


def factor_step(
    factor: Factor, inputs: Mapping[str, str], exact_grams: Fraction, *, description: str | None = None
) -> Step:
    """The step that multiplies with a factor."""
    return Step(
        description=description or factor.name,
        inputs=inputs,
        result=f"{shown(exact_grams)} g CO2e",
        factor_id=factor.factor_id,
        factor_value=plain(factor.kg_co2e),
        factor_unit=f"kg CO2e/{factor.unit}",
        source=f"{factor.edition.title}. {factor.edition.attribution}",
    )


def shown(value: Fraction | Decimal) -> str:
    """A number for people: exact up to six decimals, rounded half up beyond; of what is below one, six digits count."""
    exact = Fraction(value)
    digits = _SHOWN_DIGITS
    while 0 < exact * 10 ** (digits - _SHOWN_DIGITS + 1) < 1 and digits < _SHOWN_DIGITS_MAX:
        digits += 1
    return plain(from_units(round_half_up(exact, digits), digits))
