"""Masses. What is sold is whole grams; what is asked for may be finer and is kept exactly."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tonne.domain.decimals import plain, power_of_ten, shifted

GRAMS_PER_TONNE = 10**6
# Mankind emits some forty times as much a year.
QUANTITY_GRAMS_MAX = 10**9 * GRAMS_PER_TONNE


class MassUnit(StrEnum):
    """The units a request may use; also the precisions of `quantity_trunc`."""

    G = "g"
    KG = "kg"
    T = "t"

    @property
    def grams(self) -> int:
        """How many grams one of this unit is."""
        return _GRAMS[self]

    @property
    def exponent(self) -> int:
        """The power of ten that turns this unit into grams."""
        return _EXPONENTS[self]


_EXPONENTS = {MassUnit.G: 0, MassUnit.KG: 3, MassUnit.T: 6}
_GRAMS = {unit: power_of_ten(exponent) for unit, exponent in _EXPONENTS.items()}


@dataclass(frozen=True)
class Mass:
    """A mass as it was asked for, exact and not necessarily in whole grams."""

    amount: Decimal
    unit: MassUnit

    @property
    def grams(self) -> Decimal:
        """The mass in grams, exactly."""
        return shifted(self.amount, self.unit.exponent)

    @property
    def tonnes(self) -> Decimal:
        """The mass in tonnes, exactly."""
        return shifted(self.amount, self.unit.exponent - 6)


def format_tonnes(quantity_grams: int) -> str:
    """Print grams as tonnes without trailing zeros: 12069 is "0.012069"."""
    if quantity_grams < 0:
        return f"-{format_tonnes(-quantity_grams)}"
    text = str(quantity_grams).zfill(7)
    whole, rest = text[:-6], text[-6:].rstrip("0")
    return f"{whole}.{rest}" if rest else whole


def readable_mass(tonnes: Decimal) -> Mass:
    """The same mass in the unit that reads best: t from a tonne up, kg from a kilogram up, else g."""
    for unit in (MassUnit.T, MassUnit.KG):
        amount = shifted(tonnes, 6 - unit.exponent)
        if amount >= 1:
            return Mass(Decimal(plain(amount)), unit)
    return Mass(Decimal(plain(shifted(tonnes, 6))), MassUnit.G)
