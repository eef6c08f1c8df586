"""Bundle selections: which bundles an order buys, and how many percent of it each.

Source: contract, section 4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from tonne.domain.decimals import decimals, in_units
from tonne.domain.errors import (
    BundleSelectionRatiosInvalid,
    BundleSelectionRatiosInvalidFormat,
    ValidationFailed,
)

HUNDRED = Decimal(100)
PERCENTAGE_DIGITS = 2
BUNDLES_MAX = 100


@dataclass(frozen=True, slots=True)
class Choice:
    """A bundle and its share in percent, 0 to 100 with at most 2 decimals; `hundredths` is the same, of a percent."""

    bundle_id: UUID
    percentage: Decimal
    hundredths: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "hundredths", in_units(self.percentage, PERCENTAGE_DIGITS))


def selection_from(chosen: Sequence[tuple[UUID, Decimal | None]]) -> tuple[Choice, ...]:
    """Check a selection and fill in its percentages where none are given.

    Without percentages 100 is split in whole percents as evenly as possible, the first bundles taking the rest.

    Raises:
        ValidationFailed: no bundle, too many, or one named twice.
        BundleSelectionRatiosInvalidFormat: percentages for some only, or with more than 2 decimals.
        BundleSelectionRatiosInvalid: they do not add up to exactly 100.
    """
    refuse_repeated([bundle_id for bundle_id, _ in chosen], pointer="/bundle_selection")
    given = [percentage for _, percentage in chosen if percentage is not None]
    if not given:
        each, rest = divmod(100, len(chosen))
        given = [Decimal(each + (position < rest)) for position in range(len(chosen))]
    elif len(given) != len(chosen):
        raise BundleSelectionRatiosInvalidFormat(
            "Give a percentage for every bundle of the selection or for none: "
            f"{len(given)} of {len(chosen)} have one."
        )
    if any(decimals(percentage) > PERCENTAGE_DIGITS for percentage in given):
        raise BundleSelectionRatiosInvalidFormat("A percentage may have at most 2 decimals.")
    if sum(given) != HUNDRED:
        raise BundleSelectionRatiosInvalid(
            f"The percentages of a bundle selection must add up to exactly 100, these add up to {sum(given)}."
        )
    return tuple(
        Choice(bundle_id, percentage) for (bundle_id, _), percentage in zip(chosen, given, strict=True)
    )


def refuse_repeated(bundle_ids: Sequence[UUID], *, pointer: str) -> None:
    """Refuse an empty or oversized list of bundles, or one that names a bundle twice.

    Raises:
        ValidationFailed: naming the place.
    """
    if not bundle_ids:
        raise ValidationFailed.at(pointer, "must name at least one bundle")
    if len(bundle_ids) > BUNDLES_MAX:
        raise ValidationFailed.at(pointer, f"must name at most {BUNDLES_MAX} bundles")
    seen: set[UUID] = set()
    for position, bundle_id in enumerate(bundle_ids):
        if bundle_id in seen:
            raise ValidationFailed.at(f"{pointer}/{position}/bundle_id", "this bundle is named twice")
        seen.add(bundle_id)
