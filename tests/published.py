"""The public tables of emission factors and places, read with `csv` alone, and great circles by Vincenty's formula.

What worked cases find their expectations with: nothing here is taken from the service.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

MILE_KM = Fraction("1.609344")
POUND_KG = Fraction("0.45359237")
SHORT_TON_T = 2000 * POUND_KG / 1000
GALLON_L = 231 * Fraction("2.54") ** 3 / 1000
BTU_KWH = Fraction("1055.05585262") / 3_600_000
THOUSANDTH = Fraction(1, 1000)


@dataclass(frozen=True)
class Published:
    """The published tables, read once each."""

    folder: Path

    def rows(self, name: str) -> Sequence[dict[str, str]]:
        return _rows(self.folder / f"{name}.csv")

    def has(self, *labels: str, uom: str) -> bool:
        return bool(self._desnz(labels, uom))

    def uk(self, *labels: str, uom: str) -> Fraction:
        """The UK's figure of 2025 in kg CO2e: labels of levels 2 to 4, then the column's."""
        (figure,) = self._desnz(labels, uom)
        return Fraction(figure)

    def _desnz(self, labels: tuple[str, ...], uom: str) -> list[str]:
        return [
            row["kg_co2e_per_uom"]
            for row in self.rows("desnz_2025_scope3_factors")
            if row["level_1"].startswith(("Business travel", "Freighting"))
            and row["uom"] == uom
            and tuple(row[name] for name in ("level_2", "level_3", "level_4", "column_text")) == labels
        ]

    def us_freight(self, item: str) -> Fraction:
        """The US figure in kg CO2e a short ton-mile: methane counts 28 times, nitrous oxide 265 times."""
        times = {"CO2": 1, "CH4": 28, "N2O": 265}
        kg = {"kg": Fraction(1), "g": THOUSANDTH}
        return sum(
            (
                Fraction(row["value"]) * kg[row["value_unit"]] * times[row["gas"]]
                for row in self.rows("epa_ghg_hub_2025")
                if (row["table"], row["item"], row["per"]) == ("8", item, "short ton-mile")
            ),
            start=Fraction(0),
        )

    def spent(self, naics: str) -> Fraction:
        """Kilograms CO2e a dollar of 2022, in purchaser prices."""
        (row,) = (each for each in self.rows("epa_spend_factors_naics_v1_3") if each["naics_2017"] == naics)
        return Fraction(row["kg_co2e_per_usd2022_with_margins"])

    def position(self, iata: str) -> tuple[float, float]:
        (row,) = (each for each in self.rows("airports") if each["iata"] == iata)
        return float(row["lat"]), float(row["lon"])


@cache
def _rows(path: Path) -> Sequence[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table))


def vincenty_km(start: tuple[float, float], end: tuple[float, float]) -> float:
    """The geodesic on WGS 84 by T. Vincenty, Direct and Inverse Solutions of Geodesics on the Ellipsoid (1975)."""
    a, f = 6378.137, 1 / 298.257223563
    b = a * (1 - f)
    u1, u2 = (math.atan((1 - f) * math.tan(math.radians(point[0]))) for point in (start, end))
    across = lam = math.radians(math.remainder(end[1] - start[1], 360))
    for _ in range(200):
        sin_sigma = math.hypot(
            math.cos(u2) * math.sin(lam),
            math.cos(u1) * math.sin(u2) - math.sin(u1) * math.cos(u2) * math.cos(lam),
        )
        cos_sigma = math.sin(u1) * math.sin(u2) + math.cos(u1) * math.cos(u2) * math.cos(lam)
        sigma = math.atan2(sin_sigma, cos_sigma)
        sin_alpha = math.cos(u1) * math.cos(u2) * math.sin(lam) / sin_sigma
        cos2_alpha = 1 - sin_alpha**2
        middle = cos_sigma - 2 * math.sin(u1) * math.sin(u2) / cos2_alpha
        c = f / 16 * cos2_alpha * (4 + f * (4 - 3 * cos2_alpha))
        inner = sigma + c * sin_sigma * (middle + c * cos_sigma * (2 * middle**2 - 1))
        before, lam = lam, across + (1 - c) * f * sin_alpha * inner
        if abs(lam - before) < 1e-13:
            break
    k = cos2_alpha * (a**2 - b**2) / b**2
    big_a = 1 + k / 16384 * (4096 + k * (-768 + k * (320 - 175 * k)))
    big_b = k / 1024 * (256 + k * (-128 + k * (74 - 47 * k)))
    last = big_b / 6 * middle * (4 * sin_sigma**2 - 3) * (4 * middle**2 - 3)
    delta = big_b * sin_sigma * (middle + big_b / 4 * (cos_sigma * (2 * middle**2 - 1) - last))
    return b * big_a * (sigma - delta)
