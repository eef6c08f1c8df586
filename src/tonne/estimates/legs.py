"""Legs of a journey or a shipment, added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from tonne.domain.estimates import Calculation, Leg, Step, refuse_too_much, shown


def added_up(found: Sequence[Calculation]) -> Calculation:
    """The sum of what was found for each leg. Legs are rounded one by one, so that they add up exactly.

    Raises:
        ValidationFailed: together they are over 10^9 tonnes.
    """
    grams = sum((each.grams for each in found), start=Decimal(0))
    refuse_too_much(Fraction(grams), "/legs")
    km = sum((each.distance_km for each in found if each.distance_km is not None), start=Decimal(0))
    if len(found) == 1:
        return replace(found[0], legs=(Leg(found[0].grams, found[0].distance_km),), factor=None)
    steps = [
        replace(step, description=f"Leg {number}: {step.description}")
        for number, each in enumerate(found, 1)
        for step in each.steps
    ]
    inputs = {f"leg_{number}": f"{shown(each.grams)} g CO2e" for number, each in enumerate(found, 1)}
    steps.append(Step("All legs together", inputs, f"{shown(grams)} g CO2e"))
    legs = tuple(Leg(each.grams, each.distance_km) for each in found)
    return Calculation(grams, tuple(steps), legs=legs, distance_km=km)
