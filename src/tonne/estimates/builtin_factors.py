"""The emission factors that come with Tonne: those that the calculators use, each with its source and edition."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib.resources import files

from tonne.domain.factors import Edition, Factor, FactorBook


@cache
def builtin_factors() -> FactorBook:
    """Every factor that comes with Tonne."""
    editions = builtin_editions()
    factors = []
    keys = {}
    for row in _rows("factors.csv"):
        edition = editions[(row["source"], int(row["year"]))]
        price_year = int(row["price_year"]) if row["price_year"] else None
        factors.append(
            Factor(
                edition,
                row["activity"],
                row["name"],
                row["region"],
                row["unit"],
                Decimal(row["kg_co2e"]),
                price_year,
            )
        )
        keys[row["key"]] = (row["source"], row["activity"])
    return FactorBook.of(factors, keys)


@cache
def builtin_editions() -> Mapping[tuple[str, int], Edition]:
    """The editions they are from, by source and year."""
    return {
        (row["source"], int(row["year"])): Edition(
            row["source"], int(row["year"]), row["title"], row["attribution"], row["licence"], row["url"]
        )
        for row in _rows("editions.csv")
    }


def _rows(name: str) -> list[dict[str, str]]:
    table = files("tonne.estimates").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(table.splitlines()))
