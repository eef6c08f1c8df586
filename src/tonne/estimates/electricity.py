"""Emissions of electricity consumption: energy times the grid's carbon intensity.

Factors: "Carbon intensity of electricity generation", CO2e per kWh generated, life-cycle, grid losses not included.
Source: Ember, with processing by Our World in Data, CC BY 4.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache

from tonne.domain.errors import ValidationFailed
from tonne.domain.estimates import Calculation, factor_grams, factor_step, grams_from, shown
from tonne.domain.factors import Factor, FactorBook
from tonne.estimates.near import hint, near_codes
from tonne.estimates.units import conversion

SOURCE = "owid"
WORLD = "WORLD"
_COUNTRY = re.compile(r"[A-Z]{3}")


class EnergyUnit(StrEnum):
    KWH = "kWh"
    MWH = "MWh"
    GWH = "GWh"


@dataclass(frozen=True, slots=True)
class Consumption:
    """An amount of electrical energy."""

    amount: Decimal
    unit: EnergyUnit


@dataclass(frozen=True, slots=True)
class Electricity:
    """Energy, where it was consumed (alpha-3; None for the world's average) and in which year (None for the latest)."""

    consumption: Consumption
    country_code: str | None = None
    year: int | None = None


def estimate_electricity(wanted: Electricity, book: FactorBook) -> Calculation:
    """Estimate the emissions of consumed electricity.

    Raises:
        ValidationFailed: there is no factor for the country or the year, or the mass is beyond 10^9 tonnes.
    """
    factor = _grid(wanted.country_code, wanted.year, book)
    consumption = wanted.consumption
    kwh = Fraction(consumption.amount) * conversion(consumption.unit, factor.unit)
    exact = factor_grams(factor, kwh)
    step = factor_step(
        factor,
        {"consumption": f"{shown(kwh)} kWh"},
        exact,
        description=f"Electricity consumption times the grid intensity: {factor.name}; grid losses are not included",
    )
    return Calculation(grams_from(exact, "/consumption/amount"), (step,), factor=factor)


def _grid(country_code: str | None, year: int | None, book: FactorBook) -> Factor:
    by_region = _years(book)
    years = by_region.get(WORLD if country_code is None else country_code)
    if years is None or country_code == WORLD:
        near = near_codes(country_code or "", [code for code in by_region if code != WORLD])
        raise ValidationFailed.at(
            "/country_code",
            "there is no grid intensity for this country: name it by its ISO 3166-1 alpha-3 code, such as DEU, "
            "or leave it out for the world average" + hint(near),
        )
    factor = years.get(max(years) if year is None else year)
    if factor is None:
        raise ValidationFailed.at(
            "/year",
            f"there is no grid intensity of {country_code or 'the world'} for {year}; there is for "
            f"{', '.join(map(str, sorted(years)))}. `tonne factors import` loads further years",
        )
    return factor


@lru_cache(maxsize=2)
def _years(book: FactorBook) -> dict[str, dict[int, Factor]]:
    """The newest factors by region and by the year they are for."""
    by_region: dict[str, dict[int, Factor]] = {}
    for factor in book.of_source(SOURCE):
        region, _, year = factor.activity.partition("/")
        # Whole editions hold continents and groups of countries, too, under names of their own.
        if region == WORLD or _COUNTRY.fullmatch(region):
            by_region.setdefault(region, {})[int(year)] = factor
    return by_region
