"""Emissions of any activity, by an emission factor that the caller chose."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from tonne.domain.decimals import plain
from tonne.domain.errors import EmissionFactorUnitMismatch
from tonne.domain.estimates import Calculation, factor_grams, factor_step, grams_from, shown
from tonne.domain.factors import Factor
from tonne.estimates.units import UnitMismatch, conversion, units_like


@dataclass(frozen=True, slots=True)
class Activity:
    """How much was done, in a unit."""

    value: Decimal
    unit: str


def estimate_by_factor(activity: Activity, factor: Factor) -> Calculation:
    """Estimate the emissions of an activity.

    Raises:
        EmissionFactorUnitMismatch: it is measured in another kind of unit than the factor; the message names those that are
            right.
        ValidationFailed: the mass is beyond 10^9 tonnes.
    """
    try:
        quantity = Fraction(activity.value) * conversion(activity.unit, factor.unit)
    except UnitMismatch:
        raise EmissionFactorUnitMismatch.at(
            "/activity/unit",
            f"{factor.factor_id} counts by {factor.unit}, not by {activity.unit[:40]}: "
            f"give the activity in {' or '.join(units_like(factor.unit))}",
        ) from None
    exact = factor_grams(factor, quantity)
    inputs = {"activity": f"{plain(activity.value)} {activity.unit}"}
    if activity.unit != factor.unit:
        inputs["converted"] = f"{shown(quantity)} {factor.unit}"
    told = factor.name
    if factor.price_year is not None:
        told += f" (counts in {factor.unit} of {factor.price_year}: the money is taken as of that year)"
    step = factor_step(factor, inputs, exact, description=told)
    return Calculation(grams_from(exact, "/activity/value"), (step,), factor=factor)
