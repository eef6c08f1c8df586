"""Cells of files of emission factors: each is what it must be, or its row is said to be damaged and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import TypeVar

from tonne.domain.decimals import decimals, parse_decimal, plain
from tonne.domain.factors import Factor
from tonne.estimates.units import UNITS
from tonne.storage.currencies import find_currency

Value = TypeVar("Value")
Row = Mapping[str, str]

NAME_LENGTH_MAX = 300
ACTIVITY_LENGTH_MAX = 200
REGION_LENGTH_MAX = 100
YEAR_MIN, YEAR_MAX = 1900, 2200
# The largest that are published, for warming by industrial gases, are tens of thousands.
KG_MAX = Decimal(10) ** 9
DECIMALS_MAX = 60
_SHOWN_MAX = 40
_EXPONENT = re.compile(r"[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]{1,2}", re.ASCII)


def slug(text: str) -> str:
    """Lower case, with everything that is no letter or digit as one hyphen: "Coal and Coke" is `coal-and-coke`."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def check_factor(factor: Factor) -> None:
    """Refuse what can't be a factor of any source."""
    _check_text("activity", factor.activity, ACTIVITY_LENGTH_MAX)
    _check_text("name", factor.name, NAME_LENGTH_MAX)
    _check_text("region", factor.region, REGION_LENGTH_MAX)
    # Ids of factors are parts of addresses.
    if any(character.isspace() for character in factor.activity):
        raise ValueError(f"the activity {shown(factor.activity)} has a space in it")
    if not _is_unit(factor.unit):
        raise ValueError(f"{shown(factor.unit)} is neither a unit that is known nor an ISO 4217 currency")
    if factor.kg_co2e > KG_MAX:
        raise ValueError(f"{plain(factor.kg_co2e)[:40]} kg CO2e for a unit is more than {KG_MAX:f}")


def _check_text(name: str, text: str, length_max: int) -> None:
    if len(text) > length_max:
        raise ValueError(f"the {name} has {len(text)} characters, at most {length_max} are taken")
    if not text.isprintable():
        raise ValueError(f"the {name} {shown(text)} has characters that can't be printed")


def _is_unit(unit: str) -> bool:
    if unit in UNITS:
        return True
    try:
        find_currency(unit)
    except KeyError:
        return False
    return True


def needed_cell(row: Row, name: str) -> str:
    if not row[name]:
        raise ValueError(f"{name} is missing")
    return row[name]


def slug_cell(row: Row, name: str) -> str:
    found = slug(needed_cell(row, name))
    if not found:
        raise ValueError(f"{name} is {shown(row[name])}, which has no letter or digit")
    return found


def refuse_other(name: str, row: Row, expected: str) -> None:
    if row[name] != expected:
        raise ValueError(f"{name} is {shown(row[name])}, not {shown(expected)}")


def mapped_cell(row: Row, name: str, known: Mapping[str, Value]) -> Value:
    found = needed_cell(row, name)
    if found not in known:
        raise ValueError(f"{name} is {shown(found)}, not one of {', '.join(known)}")
    return known[found]


def decimal_cell(row: Row, name: str, *, exponents: bool = False) -> Decimal:
    text = needed_cell(row, name)
    if exponents and _EXPONENT.fullmatch(text):
        value = tidy(Decimal(text))
        if decimals(value) > DECIMALS_MAX:
            raise ValueError(f"{name} has more than {DECIMALS_MAX} decimals")
        return value
    try:
        return parse_decimal(text)
    except ValueError as error:
        raise ValueError(f"{name} is {shown(text)}: it {error}") from None


def read_year(text: str, name: str) -> int:
    if not re.fullmatch(r"[0-9]{4}", text, re.ASCII) or not YEAR_MIN <= int(text) <= YEAR_MAX:
        raise ValueError(f"{name} is {shown(text)}, which is no year from {YEAR_MIN} to {YEAR_MAX}")
    return int(text)


def tidy(value: Decimal) -> Decimal:
    """The same number without exponent and trailing zeros."""
    return Decimal(plain(value))


def shown(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:40]}…")
