"""Exact decimals: reading them from requests, printing them, and the two roundings of the contract.

Everything here is exact. An operation that would lose a digit raises `decimal.Inexact`, which is a bug of ours.
"""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact, InvalidOperation
from fractions import Fraction
from functools import lru_cache

# 60 characters hold a binary float printed in full by any language; more is a mistake or an attack.
DECIMAL_LENGTH_MAX = 60
DECIMAL_PATTERN = r"^[0-9]+(\.[0-9]+)?$"
_DECIMAL = re.compile(r"[0-9]+(?:\.[0-9]+)?", re.ASCII)

EXACT = Context(prec=400, traps=[Inexact, InvalidOperation])


def parse_decimal(text: str) -> Decimal:
    """Read a non-negative decimal written in ASCII digits, such as "12.07".

    Source: contract, section 1.

    Raises:
        ValueError: anything else: signs, exponents, ".5", other scripts' digits, a trailing newline.
    """
    if len(text) > DECIMAL_LENGTH_MAX:
        msg = f"must have at most {DECIMAL_LENGTH_MAX} characters"
        raise ValueError(msg)
    if _DECIMAL.fullmatch(text) is None:
        msg = 'must be a decimal number in digits, such as "12.07"'
        raise ValueError(msg)
    return Decimal(text)


@lru_cache(maxsize=4096)
def plain(value: Decimal) -> str:
    """Print a decimal without exponent and without trailing zeros: "13.57", "250", "0"."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def decimals(value: Decimal) -> int:
    """How many decimals a number is written with: 2 for 13.50, 0 for 250."""
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int), "infinities and NaN are never read"
    return max(0, -exponent)


def shifted(value: Decimal, places: int) -> Decimal:
    """Move the decimal point to the right, exactly; to the left for negative `places`."""
    return value.scaleb(places, EXACT)


def in_units(value: Decimal, digits: int) -> int:
    """A value as a whole number of units of 10^-digits; one that is finer is a bug."""
    return int(value.scaleb(digits, EXACT).to_integral_exact(context=EXACT))


def power_of_ten(exponent: int) -> int:
    """10^exponent for a non-negative exponent."""
    return int(10**exponent)


def divide_half_up(numerator: int, denominator: int) -> int:
    """Divide non-negative integers and round to the nearest, halves up."""
    return (2 * numerator + denominator) // (2 * denominator)


def divide_up(numerator: int, denominator: int) -> int:
    """Divide integers and round up."""
    return -(-numerator // denominator)


def round_half_up(value: Fraction, digits: int) -> int:
    """Round a non-negative value to `digits` decimals, halves up; the result counts units of 10^-digits."""
    numerator, denominator = value.as_integer_ratio()
    return divide_half_up(numerator * power_of_ten(digits), denominator)


def round_up(value: Fraction, digits: int) -> int:
    """Round a non-negative value up to `digits` decimals; the result counts units of 10^-digits."""
    numerator, denominator = value.as_integer_ratio()
    return divide_up(numerator * power_of_ten(digits), denominator)


def from_units(units: int, digits: int) -> Decimal:
    """`units` of 10^-digits as a decimal: 1508 with 2 digits is 15.08."""
    return Decimal(units).scaleb(-digits, EXACT)
