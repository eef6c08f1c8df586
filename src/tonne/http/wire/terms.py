"""What an order may ask for beyond a mass: whom the credits are retired for, and which ones it may be given."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from tonne.application.beneficiary_names import read_beneficiary_name
from tonne.domain.errors import ValidationFailed
from tonne.domain.money import VALUE_MAX
from tonne.domain.orders import Order
from tonne.domain.terms import NO_TERMS, Beneficiary, Restrictions, Terms
from tonne.http.wire.common import NO_NUL, Amount, read_decimal, read_id
from tonne.storage.countries import is_country

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]+\.[^@\s]+")
EXCLUDED_MAX = 250

CountryCode = Annotated[
    str,
    Meta(description="ISO 3166-1 alpha-3.", examples=["DEU"], extra_json_schema={"pattern": "^[A-Z]{3}$"}),
]


class NamedBeneficiary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """For whom credits are retired."""

    name: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=200,
            description="As it is given to the registry and printed on the certificate.",
            examples=["Example Freight Ltd"],
            extra_json_schema=NO_NUL,
        ),
    ]
    email: (
        Annotated[
            str,
            Meta(
                max_length=254,
                description="Whom to tell; it is shown to nobody else.",
                extra_json_schema=NO_NUL,
            ),
        ]
        | None
    ) = None
    country: CountryCode | None = None
    registration_number: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=100,
                description="In the country's register of companies, or what identifies the beneficiary there.",
                extra_json_schema=NO_NUL,
            ),
        ]
        | None
    ) = None
    hidden_until: (
        Annotated[
            str,
            Meta(
                description="The first day on which the public page shows the name.",
                extra_json_schema={"format": "date"},
                examples=["2027-01-31"],
            ),
        ]
        | None
    ) = None

    def to_beneficiary(self, pointer: str) -> Beneficiary:
        """Read the beneficiary.

        Raises:
            ValidationFailed: a name that certificates can't print, or what is no email address, country or date.
        """
        name = read_beneficiary_name(self.name, f"{pointer}/name")
        if self.email is not None and _EMAIL.fullmatch(self.email) is None:
            raise ValidationFailed.at(f"{pointer}/email", "must be an email address")
        if self.country is not None:
            read_country(self.country, f"{pointer}/country")
        number = self.registration_number
        if number is not None and (not number.isprintable() or not number.strip()):
            raise ValidationFailed.at(f"{pointer}/registration_number", "must be printable characters")
        return Beneficiary(
            name, self.email, self.country, number, _read_day(self.hidden_until, f"{pointer}/hidden_until")
        )


BeneficiaryOfOrder = Annotated[
    NamedBeneficiary | None,
    Meta(
        description="For whom the credits are retired, instead of for the account's beneficiary. Fractions of tonnes are "
        "pooled with those of the same beneficiary only."
    ),
]


class Guarded(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an order or a quote may ask of price and credits: what can't be kept is refused, never ignored."""

    max_unit_price: (
        Annotated[
            Amount,
            Meta(
                description="What a tonne of any bundle may cost at most, in the account's currency, commission included."
            ),
        ]
        | None
    ) = None
    min_vintage_year: (
        Annotated[
            int,
            Meta(
                ge=1990,
                le=2100,
                description="No credits of an older vintage are given; where none are left, it waits.",
            ),
        ]
        | None
    ) = None
    excluded_countries: (
        Annotated[
            list[CountryCode],
            Meta(max_length=EXCLUDED_MAX, description="No credits of projects in these countries are given."),
        ]
        | None
    ) = None
    excluded_projects: (
        Annotated[
            list[str],
            Meta(max_length=EXCLUDED_MAX, description="No credits of the projects with these ids are given."),
        ]
        | None
    ) = None

    def read_terms(self) -> Terms:
        """Read what is asked for.

        Raises:
            ValidationFailed: a price that is none, or no country or project id.
        """
        body: NamedBeneficiary | None = getattr(self, "beneficiary", None)
        if body is None and self._asks_for_nothing():
            return NO_TERMS
        return Terms(
            None if body is None else body.to_beneficiary("/beneficiary"),
            None if self.max_unit_price is None else _read_price(self.max_unit_price),
            Restrictions(self.min_vintage_year, self._countries(), self._projects()),
        )

    def _asks_for_nothing(self) -> bool:
        return (
            self.max_unit_price is None
            and self.min_vintage_year is None
            and not self.excluded_countries
            and not self.excluded_projects
        )

    def _countries(self) -> tuple[str, ...]:
        for position, code in enumerate(self.excluded_countries or ()):
            read_country(code, f"/excluded_countries/{position}")
        return tuple(sorted(set(self.excluded_countries or ())))

    def _projects(self) -> tuple[UUID, ...]:
        found = set()
        for position, text in enumerate(self.excluded_projects or ()):
            project_id = read_id(text)
            if project_id is None:
                raise ValidationFailed.at(
                    f"/excluded_projects/{position}", "is no project's id: GET /v1/projects lists them"
                )
            found.add(project_id)
        return tuple(sorted(found))


class BeneficiaryBody(msgspec.Struct, frozen=True):
    """For whom an order's credits are retired."""

    name: str
    email: str | None
    country: str | None
    registration_number: str | None
    hidden_until: Annotated[
        str | None, Meta(description="The first day on which the public page shows the name.")
    ]


def beneficiary_body(order: Order) -> BeneficiaryBody | None:
    """Print for whom an order is: the account's beneficiary unless it names another."""
    named = order.terms.beneficiary
    if named is None:
        return (
            None if order.beneficiary is None else BeneficiaryBody(order.beneficiary, None, None, None, None)
        )
    hidden_until = None if named.hidden_until is None else named.hidden_until.isoformat()
    return BeneficiaryBody(named.name, named.email, named.country, named.registration_number, hidden_until)


def read_country(code: str, pointer: str) -> str:
    """Read a country's code.

    Raises:
        ValidationFailed: there is no such country.
    """
    if not is_country(code):
        raise ValidationFailed.at(pointer, f"{code!r} is no ISO 3166-1 alpha-3 country code, such as DEU")
    return code


def _read_price(text: str) -> Decimal:
    price = read_decimal(text, "/max_unit_price")
    if price > VALUE_MAX:
        raise ValidationFailed.at("/max_unit_price", f"must be at most {VALUE_MAX}")
    return price


def _read_day(text: str | None, pointer: str) -> date | None:
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise ValidationFailed.at(pointer, "must be a date such as 2027-01-31")
    return day
