"""Emissions of electricity consumption: energy times the grid's carbon intensity.

Factors: "Carbon intensity of electricity generation", grams CO2e per kWh generated, life-cycle, grid losses not
included. Source: Ember (2026), with processing by Our World in Data, CC BY 4.0. The table beside this file holds
the latest year of each country and of the world; ISO 3166-1 alpha-3 codes.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from enum import StrEnum
from functools import cache
from importlib.resources import files

from tonne.domain.decimals import EXACT, plain, shifted
from tonne.domain.errors import ValidationFailed
from tonne.domain.estimates import Step
from tonne.domain.mass import QUANTITY_GRAMS_MAX

SOURCE = "Ember (2026), with processing by Our World in Data: Carbon intensity of electricity generation, CC BY 4.0"
WORLD = "WORLD"
_ROUNDING = Context(prec=400, rounding=ROUND_HALF_UP)


class EnergyUnit(StrEnum):
    KWH = "kWh"
    MWH = "MWh"
    GWH = "GWh"

    @property
    def exponent(self) -> int:
        """The power of ten that turns this unit into kWh."""
        return {"kWh": 0, "MWh": 3, "GWh": 6}[self.value]


@dataclass(frozen=True, slots=True)
class GridIntensity:
    """A grid's carbon intensity in grams CO2e per kWh."""

    region: str
    year: int
    grams_per_kwh: Decimal

    @property
    def factor_id(self) -> str:
        return f"grid-intensity/{self.region}/{self.year}"


@dataclass(frozen=True, slots=True)
class Consumption:
    """An amount of electrical energy."""

    amount: Decimal
    unit: EnergyUnit


def estimate_electricity(
    consumption: Consumption, country_code: str | None
) -> tuple[Decimal, tuple[Step, ...]]:
    """Estimate the emissions of consumed electricity; returns exact tonnes and the steps that lead to them.

    The mass is rounded half up to the gram, under a gram to the milligram. Without a country the world average is used.

    Raises:
        ValidationFailed: the country has no factor, or the mass is beyond 10^9 tonnes.
    """
    intensity = find_grid_intensity(country_code)
    kwh = shifted(consumption.amount, consumption.unit.exponent)
    exact_grams = EXACT.multiply(kwh, intensity.grams_per_kwh)
    grams = exact_grams.quantize(Decimal(1) if exact_grams >= 1 else Decimal("0.001"), context=_ROUNDING)
    if grams > QUANTITY_GRAMS_MAX:
        raise ValidationFailed.at(
            "/consumption/amount", "emissions must come out at 1000000000 tonnes or less; check the unit"
        )
    step = Step(
        description=f"Electricity consumption times the grid intensity of {intensity.region}, {intensity.year}",
        inputs={"consumption": f"{plain(kwh)} kWh"},
        factor_id=intensity.factor_id,
        factor_value=plain(intensity.grams_per_kwh),
        factor_unit="g CO2e/kWh",
        source=SOURCE,
        result=f"{plain(grams)} g CO2e",
    )
    return shifted(grams, -6), (step,)


def find_grid_intensity(country_code: str | None) -> GridIntensity:
    """The latest carbon intensity of a country's grid, or of the world's.

    Raises:
        ValidationFailed: there is no factor for the country; the message names near matches.
    """
    intensities = _grid_intensities()
    if country_code is None:
        return intensities[WORLD]
    found = intensities.get(country_code) if country_code != WORLD else None
    if found is None:
        near = difflib.get_close_matches(
            country_code.upper(), [code for code in intensities if code != WORLD], n=3, cutoff=0.6
        )
        hint = f"; near matches: {', '.join(near)}" if near else ""
        raise ValidationFailed.at(
            "/country_code",
            "there is no grid intensity for this country: name it by its ISO 3166-1 alpha-3 code, such as DEU, "
            f"or leave it out for the world average{hint}",
        )
    return found


@cache
def _grid_intensities() -> Mapping[str, GridIntensity]:
    table = files("tonne.estimates").joinpath("grid_intensity.csv").read_text(encoding="utf-8")
    return {
        row["region"]: GridIntensity(row["region"], int(row["year"]), Decimal(row["g_co2e_per_kwh"]))
        for row in csv.DictReader(table.splitlines())
    }
