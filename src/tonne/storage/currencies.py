"""ISO 4217 currencies: which codes exist, and how many minor digits each has."""

from __future__ import annotations

from functools import cache

import iso4217

from tonne.domain.money import Currency


@cache
def find_currency(code: str) -> Currency:
    """Find a currency by its ISO 4217 code.

    Raises:
        KeyError: no such currency, or one in which nothing is paid, such as XAU.
    """
    try:
        found = iso4217.Currency(code)
    except ValueError:
        raise KeyError(code) from None
    if found.exponent is None:
        raise KeyError(code)
    return Currency(code, found.exponent)
