"""Types and formats that several requests and answers share."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from tonne.application.identifiers import read_id
from tonne.domain.decimals import DECIMAL_LENGTH_MAX, DECIMAL_PATTERN, parse_decimal
from tonne.domain.errors import (
    BundleSelectionBundleInvalid,
    ValidationFailed,
)
from tonne.domain.mass import QUANTITY_GRAMS_MAX, Mass, MassUnit
from tonne.domain.money import VALUE_MAX
from tonne.domain.selection import BUNDLES_MAX, Choice, refuse_repeated, selection_from

# Said of the schema only: the reading of bodies and decimals refuses what does not match, in plainer words.
NO_NUL = {"pattern": "^[^\\u0000]*$"}
DecimalText = Annotated[
    str, Meta(extra_json_schema={"pattern": DECIMAL_PATTERN, "maxLength": DECIMAL_LENGTH_MAX})
]
Amount = Annotated[
    DecimalText,
    Meta(description="A decimal number in ASCII digits: no sign, no exponent.", examples=["12.07"]),
]
Money = Annotated[
    str,
    Meta(
        pattern=DECIMAL_PATTERN,
        description="Money with exactly the currency's minor digits.",
        examples=["0.35"],
    ),
]
Tonnes = Annotated[
    str, Meta(pattern=DECIMAL_PATTERN, description="Tonnes of CO2e, exact.", examples=["0.012069"])
]
UnitPrice = Annotated[
    str,
    Meta(
        pattern=DECIMAL_PATTERN, description="Price of a tonne in the account's currency.", examples=["13.57"]
    ),
]
CurrencyCode = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217 code.", examples=["USD"])]
Time = Annotated[
    str,
    Meta(
        description="RFC 3339, UTC, milliseconds.",
        examples=["2026-01-31T09:30:00.000Z"],
        extra_json_schema={"format": "date-time"},
    ),
]
Id = Annotated[str, Meta(description="Unique identifier.", examples=["0197f2a0-5c1e-7b52-9a35-0d6a3f9c8e11"])]
BundleId = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        extra_json_schema=NO_NUL,
        description="A bundle's id, see GET /v1/bundles.",
    ),
]
IdempotencyKey = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        extra_json_schema=NO_NUL,
        description="Your own unique key, kept for the life of the object: a second request with it is refused "
        "with 409, and `Location` names the first one's object.",
        examples=["invoice-2026-0042"],
    ),
]
MetadataKey = Annotated[str, Meta(max_length=40, extra_json_schema=NO_NUL)]
MetadataValue = Annotated[str, Meta(max_length=500, extra_json_schema=NO_NUL)]
Metadata = Annotated[
    dict[MetadataKey, MetadataValue],
    Meta(
        max_length=50,
        description="Your own data: up to 50 keys of 40 characters, values of 500.",
        examples=[{"invoice": "2026-0042"}],
    ),
]
QuantityTrunc = Annotated[
    MassUnit, Meta(description="Quantities are cut towards zero at this unit; grams unless said otherwise.")
]


class MassBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mass."""

    amount: Amount
    unit: Annotated[MassUnit, Meta(description="Grams, kilograms or tonnes.")]

    def to_mass(self, pointer: str) -> Mass:
        """Read the mass.

        Raises:
            ValidationFailed: the amount is no decimal, or above 10^9 tonnes.
        """
        mass = Mass(read_decimal(self.amount, f"{pointer}/amount"), self.unit)
        if mass.grams > QUANTITY_GRAMS_MAX:
            raise ValidationFailed.at(f"{pointer}/amount", "must be at most 1000000000 tonnes")
        return mass


class BundleChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bundle and, for all bundles of a selection or for none, its share in percent."""

    bundle_id: BundleId
    percentage: Annotated[
        Annotated[int, Meta(ge=0, extra_json_schema={"maximum": 100})] | DecimalText | None,
        Meta(
            description="0 to 100: an integer, or a string with at most 2 decimals. Together exactly 100.",
            examples=[95, "33.34"],
        ),
    ] = None


BundleSelection = Annotated[
    list[BundleChoice],
    Meta(
        min_length=1,
        max_length=BUNDLES_MAX,
        description="Which bundles to buy. Without percentages 100 is split in whole percents, the first bundles "
        "taking the rest. Without a selection, the account's own counts, else the platform's default.",
    ),
]


class ChoiceBody(msgspec.Struct, frozen=True):
    """A bundle and its share in percent."""

    bundle_id: str
    percentage: int | str


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body with nothing in it."""


def read_decimal(text: str, pointer: str) -> Decimal:
    """Read a decimal of a request.

    Raises:
        ValidationFailed: it is none.
    """
    try:
        return parse_decimal(text)
    except ValueError as error:
        raise ValidationFailed.at(pointer, str(error)) from None


def read_bundle_id(text: str) -> UUID:
    """Read a bundle's id.

    Raises:
        BundleSelectionBundleInvalid: no bundle has such an id.
    """
    bundle_id = read_id(text)
    if bundle_id is None:
        raise BundleSelectionBundleInvalid(f"There is no bundle {text!r}; GET /v1/bundles lists them.")
    return bundle_id


def read_selection(
    body: list[BundleChoice] | None, pointer: str = "/bundle_selection"
) -> tuple[Choice, ...] | None:
    """Read a bundle selection and fill in its percentages.

    Raises:
        TonneError: as `selection_from` and `read_bundle_id`.
    """
    if body is None:
        return None
    # A bundle named twice is a mistake whether or not the bundle exists.
    chosen = [
        (read_bundle_id(choice.bundle_id), _percentage(choice.percentage, f"{pointer}/{position}/percentage"))
        for position, choice in enumerate(body)
    ]
    refuse_repeated([bundle_id for bundle_id, _ in chosen], pointer=pointer)
    return selection_from(chosen)


def _percentage(value: int | str | None, pointer: str) -> Decimal | None:
    if not isinstance(value, str):
        return None if value is None else Decimal(value)
    return read_decimal(value, pointer)


def read_value(text: str, pointer: str) -> Decimal:
    """Read an order's value.

    Raises:
        ValidationFailed: it is no decimal, or too large for an order.
    """
    value = read_decimal(text, pointer)
    if value > VALUE_MAX:
        raise ValidationFailed.at(pointer, f"must be at most {VALUE_MAX}")
    return value


def choice_body(choice: Choice) -> ChoiceBody:
    """Print a choice; whole percents as an integer."""
    percentage = choice.percentage
    whole = percentage == percentage.to_integral_value()
    return ChoiceBody(str(choice.bundle_id), int(percentage) if whole else f"{percentage.normalize():f}")


def read_time(text: str, name: str) -> datetime:
    """Read an RFC 3339 time with its offset.

    Raises:
        ValidationFailed: it is none.
    """
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None and text.isascii():
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValidationFailed.at(
        name, 'must be an RFC 3339 time with its offset, such as "2026-01-31T09:30:00Z"'
    )
