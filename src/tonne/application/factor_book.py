"""The emission factors that estimates are made with: those that come with Tonne, and the editions that were imported."""

from __future__ import annotations

from functools import lru_cache

from tonne.domain.factors import FactorBook
from tonne.estimates.builtin_factors import builtin_factors
from tonne.storage.factors import ImportedFactors


# Two: while editions change, some requests still work with the book of before.
@lru_cache(maxsize=2)
def factor_book(imported: ImportedFactors) -> FactorBook:
    """Every factor that is known now."""
    return builtin_factors().with_more(imported.used, imported.withdrawn)
