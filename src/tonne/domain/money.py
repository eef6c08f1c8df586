"""Money: whole minor units with their currency."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from tonne.domain.decimals import power_of_ten

# Ten trillion units of any currency: more than is ever paid at once, and far inside 64 bits of minor units.
VALUE_MAX = Decimal(10**13)


@dataclass(frozen=True, slots=True)
class Currency:
    """An ISO 4217 currency; `minor_digits` is its number of decimals: 2 for USD, 0 for ISK, 3 for KWD."""

    code: str
    minor_digits: int

    def format(self, minor: int) -> str:
        """Print minor units with exactly the currency's digits: "0.31" USD, "31" ISK."""
        digits = self.minor_digits
        if minor < 0:
            return f"-{self.format(-minor)}"
        if digits == 0:
            return str(minor)
        text = str(minor).zfill(digits + 1)
        return f"{text[:-digits]}.{text[-digits:]}"

    def exact_minor_from(self, value: Decimal) -> int | None:
        """The whole minor units that a value is; None where it is not whole: money that came in has no fractions."""
        scaled = Fraction(value) * power_of_ten(self.minor_digits)
        return scaled.numerator if scaled.denominator == 1 else None

    def minor_from(self, value: Decimal) -> int:
        """Whole minor units in a value; what is smaller than a minor unit can't be paid and is cut off."""
        scaled = Fraction(value) * power_of_ten(self.minor_digits)
        return scaled.numerator // scaled.denominator
