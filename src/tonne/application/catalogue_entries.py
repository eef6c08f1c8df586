"""What can be said of projects, bundles and portfolios, in a file or over HTTP: their fields, and what each may be.

A field that is left out (`UNSET`) stays as it is, or takes its default in a new object; `null` takes it away.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tonne.domain.catalogue import OnShortage
from tonne.domain.decimals import parse_decimal
from tonne.domain.errors import ValidationFailed, Violation
from tonne.domain.retirement import RetirementPolicy
from tonne.storage.countries import is_country
from tonne.storage.currencies import find_currency

_NO_NUL = {"pattern": "^[^\\u0000]*$"}
Text = Annotated[str, Meta(min_length=1, max_length=200, extra_json_schema=_NO_NUL)]
LongText = Annotated[str, Meta(max_length=20_000, extra_json_schema=_NO_NUL)]
Slug = Annotated[
    str,
    Meta(
        pattern="^[a-z0-9]+(-[a-z0-9]+)*$",
        max_length=100,
        description="Lower-case letters and digits, in words parted by hyphens.",
        examples=["katingan-peatland"],
    ),
]
Link = Annotated[str, Meta(max_length=2000, description="An https address.", extra_json_schema=_NO_NUL)]
Day = Annotated[
    str, Meta(description="A day.", extra_json_schema={"format": "date"}, examples=["2026-01-31"])
]
Number = Annotated[
    str,
    Meta(
        pattern=r"^-?[0-9]+(\.[0-9]+)?$", max_length=30, description="A decimal number.", examples=["-2.5547"]
    ),
]
PriceText = Annotated[
    str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?$", max_length=30, description="Of a tonne.", examples=["13.57"])
]
Country = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 3166-1 alpha-3.", examples=["IDN"])]
CurrencyText = Annotated[str, Meta(pattern="^[A-Z]{3}$", description="ISO 4217.", examples=["USD"])]
Colour = Annotated[str, Meta(pattern="^#[0-9a-fA-F]{6}$", examples=["#2e7d32"])]

_PRICE_MAX = Decimal(10) ** 12
_LINKS = ("registry_link", "logo", "primary_image", "thumbnail_image", "large_image", "primary_image_hires",
          "small_thumbnail")  # fmt: skip
_LONG = ("description", "risk_of_reversal", "risk_of_predicted_emissions")
_DAYS = ("crediting_start_date", "crediting_end_date", "registration_date")


class ProjectEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What is said of a carbon project."""

    slug: Slug | UnsetType = UNSET
    name: Text | UnsetType = UNSET
    short_name: Text | UnsetType = UNSET
    description: LongText | UnsetType = UNSET
    project_type: Text | UnsetType = UNSET
    registry_name: Text | UnsetType = UNSET
    registry_project_id: Text | UnsetType = UNSET
    registry_link: Link | UnsetType | None = UNSET
    country_code: Country | UnsetType = UNSET
    country_name: Text | UnsetType = UNSET
    region: Text | UnsetType | None = UNSET
    latitude: Number | UnsetType | None = UNSET
    longitude: Number | UnsetType | None = UNSET
    logo: Link | UnsetType | None = UNSET
    primary_image: Link | UnsetType | None = UNSET
    thumbnail_image: Link | UnsetType | None = UNSET
    results: list[LongText] | UnsetType = UNSET
    un_sdg: list[Annotated[int, Meta(ge=1, le=17)]] | UnsetType = UNSET
    media: list[Any] | UnsetType | None = UNSET
    crediting_start_date: Day | UnsetType | None = UNSET
    crediting_end_date: Day | UnsetType | None = UNSET
    registration_date: Day | UnsetType | None = UNSET
    protocol: Text | UnsetType | None = UNSET
    methodology: Text | UnsetType | None = UNSET
    durability: Text | UnsetType | None = UNSET
    additional_standards_met: list[Text] | UnsetType = UNSET
    verifying_body: Text | UnsetType | None = UNSET
    risk_of_reversal: LongText | UnsetType | None = UNSET
    risk_of_predicted_emissions: LongText | UnsetType | None = UNSET
    avg_annual_emission_reductions: Annotated[int, Meta(ge=0, le=10**12)] | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET


class PlannedPrice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A price that begins at a time to come; null ends a fixed price."""

    valid_from: Annotated[
        str, Meta(extra_json_schema={"format": "date-time"}, examples=["2027-01-01T00:00:00Z"])
    ]
    currency: CurrencyText
    price: PriceText | None


class BundleEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What is said of a bundle: projects sold together at one price."""

    identifier: Slug | UnsetType = UNSET
    name: Text | UnsetType = UNSET
    description: LongText | UnsetType = UNSET
    currency: Annotated[CurrencyText, Meta(description="Of its price; it never changes.")] | UnsetType = UNSET
    price: PriceText | UnsetType = UNSET
    fixed_prices: (
        Annotated[
            dict[str, str],
            Meta(
                description="Prices in other currencies, by their codes; in all others the exchange rate decides."
            ),
        ]
        | UnsetType
    ) = UNSET
    planned_prices: list[PlannedPrice] | UnsetType = UNSET
    projects: Annotated[list[Slug], Meta(description="Slugs of projects.")] | UnsetType = UNSET
    on_shortage: OnShortage | UnsetType = UNSET
    retirement_policy: RetirementPolicy | UnsetType = UNSET
    low_stock_tonnes: (
        Annotated[int, Meta(ge=0, le=10**12, description="With less in stock the operator is warned.")]
        | UnsetType
        | None
    ) = UNSET
    offset_type: Annotated[str, Meta(pattern="^(emissions_reduction|carbon_removal)$")] | UnsetType | None = (
        UNSET
    )
    approach: Annotated[str, Meta(pattern="^(traditional|innovative)$")] | UnsetType | None = UNSET
    carbon_permanence: (
        Annotated[str, Meta(pattern="^(long_term|short_term|no_storage)$")] | UnsetType | None
    ) = UNSET
    background_colour: Colour | UnsetType | None = UNSET
    primary_image: Link | UnsetType | None = UNSET
    large_image: Link | UnsetType | None = UNSET
    primary_image_hires: Link | UnsetType | None = UNSET
    small_thumbnail: Link | UnsetType | None = UNSET
    disabled: bool | UnsetType = UNSET


class ChoiceEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A bundle and, for all of a selection or for none, its share in percent."""

    bundle: Annotated[Slug, Meta(description="A bundle's identifier.")]
    percentage: Annotated[str, Meta(pattern=r"^[0-9]+(\.[0-9]+)?$", max_length=10)] | int | None = None


class PortfolioEntry(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """What is said of a portfolio: a selection that accounts take over by its name."""

    identifier: Slug | UnsetType = UNSET
    label: Text | UnsetType = UNSET
    selection: Annotated[list[ChoiceEntry], Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class CatalogueFile(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """A catalogue, or a part of one. What is not in it stays as it is."""

    projects: list[ProjectEntry] = []
    bundles: list[BundleEntry] = []
    portfolios: list[PortfolioEntry] = []
    default_selection: list[ChoiceEntry] | UnsetType = UNSET


def given(entry: msgspec.Struct) -> dict[str, Any]:
    """The fields that an entry says something of."""
    return {
        name: getattr(entry, name) for name in entry.__struct_fields__ if getattr(entry, name) is not UNSET
    }


def find_violations(entry: ProjectEntry | BundleEntry | PortfolioEntry, pointer: str = "") -> list[Violation]:
    """What can't be, of what the types let through: days, links, places on earth, prices, currencies, countries."""
    found: list[Violation] = []
    for name, value in given(entry).items():
        if value is None:
            continue
        problems = _CHECKS.get(name, _no_problems)(value)
        if isinstance(value, str) and name not in _LONG and (not value.isprintable() or not value.strip()):
            problems = [("", "must be printable characters")]
        found += [Violation(f"{pointer}/{name}{place}", problem) for place, problem in problems]
    return found


def read_instant(text: str) -> datetime:
    """A time with its offset, in UTC.

    Raises:
        ValidationFailed: it is none.
    """
    problem = _time_problem(text)
    if problem is not None:
        raise ValidationFailed.at("/valid_from", problem)
    return datetime.fromisoformat(text).astimezone(UTC)


def _link_problem(link: str) -> str | None:
    try:
        parts = urlsplit(link)
    except ValueError:
        parts = urlsplit("")
    fine = parts.scheme in ("https", "http") and parts.hostname and link.isascii() and link.isprintable()
    return None if fine and " " not in link else "must be an address that begins with https://"


def _day_problem(text: str) -> str | None:
    try:
        fine = date.fromisoformat(text).isoformat() == text
    except ValueError:
        fine = False
    return None if fine else "must be a date such as 2026-01-31"


def _time_problem(text: str) -> str | None:
    try:
        fine = text.isascii() and datetime.fromisoformat(text).astimezone(UTC).tzinfo is not None
        fine = fine and datetime.fromisoformat(text).tzinfo is not None
    except (ValueError, OverflowError):
        fine = False
    return None if fine else "must be a time with its offset, such as 2027-01-01T00:00:00Z"


def _degrees_problem(text: str, most: int) -> str | None:
    return None if abs(Decimal(text)) <= most else f"must be from -{most} to {most} degrees"


def _currency_problem(code: str) -> str | None:
    try:
        find_currency(code)
    except KeyError:
        return f"{code!r} is no ISO 4217 currency"
    return None


def _price_problem(text: str) -> str | None:
    try:
        price = parse_decimal(text)
    except ValueError as error:
        return str(error)
    return None if 0 < price <= _PRICE_MAX else f"must be more than 0 and at most {_PRICE_MAX}"


# A place below the field, and what is wrong there.
_Problems = list[tuple[str, str]]


def _one(problem: Callable[[str], str | None]) -> Callable[[Any], _Problems]:
    def check(value: Any) -> _Problems:
        found = problem(value)
        return [] if found is None else [("", found)]

    return check


def _no_problems(_: Any) -> _Problems:
    return []


def _country_problem(code: str) -> str | None:
    return None if is_country(code) else f"{code!r} is no ISO 3166-1 alpha-3 country code, such as IDN"


def _fixed_price_problems(prices: dict[str, str]) -> _Problems:
    problems = ((code, _currency_problem(code) or _price_problem(price)) for code, price in prices.items())
    return [(f"/{code}", problem) for code, problem in problems if problem is not None]


def _planned_price_problems(prices: list[PlannedPrice]) -> _Problems:
    found = []
    for position, planned in enumerate(prices):
        problem = _currency_problem(planned.currency) or _time_problem(planned.valid_from)
        if problem is None and planned.price is not None:
            problem = _price_problem(planned.price)
        if problem is not None:
            found.append((f"/{position}", problem))
    return found


_CHECKS: dict[str, Callable[[Any], _Problems]] = {
    **dict.fromkeys(_LINKS, _one(_link_problem)),
    **dict.fromkeys(_DAYS, _one(_day_problem)),
    "latitude": _one(lambda text: _degrees_problem(text, 90)),
    "longitude": _one(lambda text: _degrees_problem(text, 180)),
    "country_code": _one(_country_problem),
    "currency": _one(_currency_problem),
    "price": _one(_price_problem),
    "fixed_prices": _fixed_price_problems,
    "planned_prices": _planned_price_problems,
}
