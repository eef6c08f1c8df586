"""The hub of emission factors of the US EPA: a row for each gas of an activity, and a table of warming potentials."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

from tonne.application.factor_cells import (
    Row,
    decimal_cell,
    mapped_cell,
    needed_cell,
    refuse_other,
    shown,
    slug_cell,
    tidy,
)
from tonne.application.factor_tables import Damage, Found, Table
from tonne.domain.decimals import EXACT, shifted
from tonne.domain.factors import Edition, Factor

GRAMS_PER_LB = Decimal("453.59237")
_HUB_GROUP = ("table", "category", "item", "per")
_POTENTIALS_TABLE = "11"
_GASES = ("CO2", "CH4", "N2O")
_KG = {"kg": Decimal(1), "g": Decimal("0.001"), "lb": shifted(GRAMS_PER_LB, -3)}
_HUB_UNITS = {
    "mmBtu (HHV)": "MMBtu",
    "mmBtu": "MMBtu",
    "gallon": "gal",
    "scf": "scf",
    "short ton": "short_ton",
    "MWh": "MWh",
    "vehicle-mile": "mi",
    "passenger-mile": "person*mi",
    "short ton-mile": "short_ton*mi",
    "kg": "kg",
}


@dataclass(slots=True)
class _Gases:
    """Kilograms of each gas for a unit of an activity, with the line each is on."""

    first: Row
    line: int
    kg: dict[str, Decimal] = field(default_factory=dict)
    damaged: bool = False


def read_hub(table: Table, edition: Edition, found: Found) -> None:
    """Sum the gases of each activity by their warming potentials, which are table 11 of the same file."""
    groups: dict[tuple[str, ...], _Gases] = {}
    potentials: dict[str, Decimal] = {}
    for line, row in table.rows:
        if row["gas"] == "loss":
            found.left_out["losses of the grid are no emission factors"] += 1
        elif row["table"] == _POTENTIALS_TABLE:
            found.add(line, partial(_read_potential, row, edition, potentials))
        else:
            group = groups.setdefault(tuple(row[name] for name in _HUB_GROUP), _Gases(row, line))
            try:
                _add_gas(group, row, edition)
            except ValueError as error:
                group.damaged = True
                found.damages.append(Damage(line, str(error)))
    sound = [group for group in groups.values() if not group.damaged]
    unknown = {gas for group in sound for gas in group.kg if gas != "CO2" and gas not in potentials}
    for gas in sorted(unknown):
        found.damages.append(
            Damage(1, f"the warming potential of {gas} is missing: no row of table 11 says it")
        )
    for group in sound:
        if not unknown & group.kg.keys():
            found.add(group.line, partial(_summed, group, edition, potentials))


def _read_potential(row: Row, edition: Edition, potentials: dict[str, Decimal]) -> Factor:
    refuse_other("year", row, str(edition.publication_year))
    refuse_other("value_unit", row, "kg CO2e")
    refuse_other("per", row, "kg")
    gas, value = needed_cell(row, "gas"), decimal_cell(row, "value", exponents=True)
    if gas in potentials:
        raise ValueError(f"the warming potential of {shown(gas)} is there twice")
    potentials[gas] = value
    name = f"{needed_cell(row, 'category')}, {needed_cell(row, 'item')} ({gas})"
    return Factor(edition, _hub_activity(row), name, "USA", "kg", value)


def _add_gas(group: _Gases, row: Row, edition: Edition) -> None:
    refuse_other("year", row, str(edition.publication_year))
    gas = needed_cell(row, "gas")
    if gas not in _GASES:
        raise ValueError(f"gas is {shown(gas)}, not one of {', '.join(_GASES)}")
    if gas in group.kg:
        raise ValueError(f"{gas} of this activity is there twice")
    value = decimal_cell(row, "value", exponents=True)
    group.kg[gas] = EXACT.multiply(value, mapped_cell(row, "value_unit", _KG))


def _summed(group: _Gases, edition: Edition, potentials: Mapping[str, Decimal]) -> Factor:
    row = group.first
    if set(group.kg) not in ({"CO2"}, set(_GASES)):
        missing = next(gas for gas in _GASES if gas not in group.kg)
        raise ValueError(f"{missing} of this activity is missing")
    unit = mapped_cell(row, "per", _HUB_UNITS)
    kg = Decimal(0)
    for gas, amount in group.kg.items():
        kg = EXACT.add(kg, EXACT.multiply(amount, Decimal(1) if gas == "CO2" else potentials[gas]))
    name = f"{needed_cell(row, 'category')}, {needed_cell(row, 'item')}"
    if row["per"] == "mmBtu (HHV)":
        name += ", higher heating value"
    if len(group.kg) == 1:
        name += ", CO2 only"
    return Factor(edition, _hub_activity(row), name, "USA", unit, tidy(kg))


def _hub_activity(row: Row) -> str:
    if not re.fullmatch(r"[0-9]{1,2}", row["table"], re.ASCII):
        raise ValueError(f"table is {shown(row['table'])}, which is no number of a table")
    return "/".join([f"table{row['table']}", *(slug_cell(row, name) for name in _HUB_GROUP[1:])])
