"""Units of activities, and exact conversion between those that measure the same.

Pint converts, on fractions: a mile is exactly 1.609344 km, a short ton exactly 907.18474 kg.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

# The units an activity may be measured in. Pint never sees any other: it would take every expression for a unit.
UNITS = frozenset(
    [
        "m",
        "km",
        "mi",
        "nm",
        "g",
        "kg",
        "t",
        "lb",
        "short_ton",
        "Wh",
        "kWh",
        "MWh",
        "GWh",
        "MJ",
        "GJ",
        "MMBtu",
        "l",
        "m3",
        "Ml",
        "gal",
        "scf",
        "m2",
        "ha",
        "hour",
        "day",
        "year",
        "item",
        "employee*hour",
        "guest*night",
        "room*night",
        "t*km",
        "kg*km",
        "short_ton*mi",
        "person*km",
        "person*mi",
        "kg*day",
        "km*year",
        "m*year",
        "m2*year",
    ]
)
# Nautical miles are `nm` to those who measure distances; to pint that is a billionth of a metre.
_PINT_NAMES = {"nm": "nautical_mile"}
_DEFINITIONS = (
    "person = [person]",
    "guest = [guest]",
    "room = [room]",
    "night = [night]",
    "employee = [employee]",
    "item = [item]",
    "m2 = meter ** 2",
    "m3 = meter ** 3",
    # Standard cubic feet, and the million Btu of fuel trade.
    "scf = foot ** 3",
    "MMBtu = 1000000 * Btu",
)


class UnitMismatch(Exception):
    """The two units don't measure the same, or one is unknown."""


@cache
def conversion(unit: str, to: str) -> Fraction:
    """How many of `to` one `unit` is, exactly. Currencies and other unknown units are only ever themselves.

    Raises:
        UnitMismatch: they measure different things.
    """
    if unit == to:
        return Fraction(1)
    if unit not in UNITS or to not in UNITS:
        raise UnitMismatch
    # Imported with the first conversion that is asked for: setting up its registry takes a third of a second.
    import pint  # noqa: PLC0415

    try:
        return Fraction(
            _registry().convert(Fraction(1), _PINT_NAMES.get(unit, unit), _PINT_NAMES.get(to, to))
        )
    except pint.DimensionalityError:
        raise UnitMismatch from None


def units_like(unit: str) -> list[str]:
    """The units that measure the same as `unit`, itself first."""
    return [unit, *sorted(other for other in UNITS if other != unit and _converts(other, unit))]


def _converts(unit: str, to: str) -> bool:
    try:
        conversion(unit, to)
    except UnitMismatch:
        return False
    return True


@cache
def _registry() -> Any:
    import pint  # noqa: PLC0415

    registry: pint.UnitRegistry[Any] = pint.UnitRegistry(non_int_type=Fraction)
    for definition in _DEFINITIONS:
        registry.define(definition)
    return registry
