"""Masses that were calculated elsewhere: kept with how, by whom, and of what document."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tonne.domain.decimals import plain
from tonne.domain.estimates import Calculation, Step, grams_from, shown
from tonne.domain.mass import Mass


@dataclass(frozen=True, slots=True)
class Declaration:
    """A mass of CO2e, how it was calculated and by whom; `document_hash` is the SHA-256 of what proves it."""

    mass: Mass
    methodology: str
    source: str
    document_hash: str | None = None


def declare(declared: Declaration) -> Calculation:
    """Take a mass over as it was declared, to the gram.

    Raises:
        ValidationFailed: it is beyond 10^9 tonnes.
    """
    grams = grams_from(Fraction(declared.mass.grams), "/mass/amount")
    inputs = {
        "mass": f"{plain(declared.mass.amount)} {declared.mass.unit}",
        "methodology": declared.methodology,
    }
    if declared.document_hash is not None:
        inputs["document_hash"] = declared.document_hash
    step = Step(
        description="Declared by the caller: calculated elsewhere, not checked here",
        inputs=inputs,
        result=f"{shown(grams)} g CO2e",
        source=declared.source,
    )
    return Calculation(grams, (step,))
